"""What load balancers and watchers are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone

from core import health
from core.models import TickBeat

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


@pytest.fixture(autouse=True)
def _nothing_known() -> Any:
    health._applied.clear()
    yield
    health._applied.clear()


def ask(path: str, status: int) -> dict[str, Any]:
    response = Client().get(path)
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json" and "no-store" in response["Cache-Control"]
    body: dict[str, Any] = response.json()
    return body


def beat(settings: Any, **ages: float) -> None:
    """Every duty ran just now, but for those named (a word of their path) so many seconds ago."""
    for name in settings.TICKS:
        age = next((seconds for word, seconds in ages.items() if word in name), 0.0)
        TickBeat.objects.create(name=name, last_at=timezone.now() - timedelta(seconds=age), elapsed_ms=1)


def away(*_: Any, **__: Any) -> Any:
    raise OperationalError("connection to server at 10.0.0.5, user lineshaft failed")


def test_livez_answers_without_the_database(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert ask("/livez", 200)["status"] == "ok"


def test_readyz_when_all_is_there_remembers_the_migrations(django_assert_num_queries: Any) -> None:
    assert ask("/readyz", 200) == {"status": "ok", "missing": {}}
    with django_assert_num_queries(1):
        ask("/readyz", 200)


def test_readyz_when_a_migration_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: ["0003"])

    assert list(ask("/readyz", 503)["missing"]) == ["migrations"]
    monkeypatch.undo()
    ask("/readyz", 200)


@pytest.mark.parametrize("path", ["/readyz", "/healthz/worker"])
def test_when_the_database_is_away_says_so_and_nothing_of_it(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's own transaction goes on
    monkeypatch.setattr(connection, "cursor", away)

    body = ask(path, 503)
    assert list(body["missing"]) == ["database"] and "10.0.0.5" not in str(body)


@pytest.mark.parametrize(("name", "value"), [("ENCRYPTION_KEYS", "k1:short"), ("TOKEN_PEPPER", "short")])
def test_readyz_when_a_key_is_unusable_says_so(name: str, value: str, settings: Any) -> None:
    setattr(settings, name, value)

    assert list(ask("/readyz", 503)["missing"]) == ["keys"]


def test_worker_when_all_moves_is_ok(settings: Any) -> None:
    beat(settings)

    body = ask("/healthz/worker", 200)
    assert body["missing"] == {} and "syncs.syncrun" in body["oldest_due_seconds"]
    assert set(body["last_tick_seconds"]) == set(settings.TICKS)


def test_worker_when_a_duty_never_ran_or_stopped_names_it(settings: Any) -> None:
    assert all(name in ask("/healthz/worker", 503)["missing"]["tick"] for name in settings.TICKS)

    beat(settings, dispatch=31)
    body = ask("/healthz/worker", 503)
    assert "dispatch_due_syncs" in body["missing"]["tick"] and "hint" not in body["missing"]["tick"]
    assert 31 <= body["last_tick_seconds"]["syncs.ticks.dispatch_due_syncs"] < 60


@pytest.mark.parametrize(("seconds", "status"), [(119.0, 200), (121.0, 503), (None, 200)])
def test_worker_when_a_row_waits_long_names_its_kind(
    seconds: float | None, status: int, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat(settings)
    monkeypatch.setattr(health, "oldest_due_seconds", lambda model: seconds)

    body = ask("/healthz/worker", status)
    assert body["oldest_due_seconds"]["syncs.syncrun"] == seconds
    assert ("syncs.syncrun" in body["missing"].get("workers", "")) is (status == 503)


def test_only_reading_is_possible() -> None:
    for path in ("/livez", "/readyz", "/healthz/worker"):
        assert Client().post(path).status_code == 405
        assert Client().head(path).status_code in (200, 503)
