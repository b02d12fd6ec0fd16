"""Secrets that stand elsewhere: in environment variables or in the operator's own secrets managers. Django-free.

`references` says how a place is named, `reading` asks the stores, `targets` writes to them. Each store is asked through
its vendor's own client, which is an optional extra and takes its configuration from its own environment variables.
These clients are the operator's, not the customers': they do not pass through core.http.
"""
