"""Hostile requests made from the API's own description: whatever is sent, the answer is never a 5xx."""
