"""Many runs of a flow against a simulated system while workers die: each write once, each step in the log.

    make chaos SUITE=flows

`world` makes the flow, `run` starts runs of it, lets harm come and waits for the end, `checker` judges by the simulator's
journal, the log of steps and the feed.
"""
