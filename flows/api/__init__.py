"""Flows, their versions, secrets and addresses; runs, steps, tests."""
