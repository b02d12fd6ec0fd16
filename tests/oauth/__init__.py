"""A system behind OAuth 2.0: a real authorization server in a process of its own, and a connector that speaks to it."""
