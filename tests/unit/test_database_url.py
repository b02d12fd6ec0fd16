"""What DATABASE_URL may say, and that what it may not say stops the start."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.settings.base import _database


def test_options_when_known_then_they_reach_the_driver() -> None:
    found = _database("postgresql://u:p%40ss@db.example:6432/plant?sslmode=verify-full&sslrootcert=%2Fca.pem")
    assert (found["HOST"], found["PORT"], found["PASSWORD"], found["NAME"]) == ("db.example", 6432, "p@ss", "plant")
    assert (found["OPTIONS"]["sslmode"], found["OPTIONS"]["sslrootcert"]) == ("verify-full", "/ca.pem")


@pytest.mark.parametrize("url", ["mysql://u:p@h/x", "postgresql://u:p@h", "postgresql://u:p@h/x?sslmod=require"])
def test_address_when_it_cannot_be_meant_then_it_stops_the_start(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        _database(url)
