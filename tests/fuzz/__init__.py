"""Hostile requests made from the API's own description: whatever is sent, the answer is never a 5xx."""

from pathlib import Path

REPORT = Path(__file__).resolve().parents[2] / "test-results" / "fuzz.json"
