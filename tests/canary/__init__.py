"""Secrets that must appear nowhere: put in wherever a secret can be put, then looked for wherever one could come out.

Webhook endpoints have no secrets yet because there are none; whoever adds them adds a canary to `tests.canary.stage`.
"""
