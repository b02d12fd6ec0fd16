"""The search can fail: a canary that is put into a table, a log, a key or a task is found, however it is written."""

from __future__ import annotations

import base64
import json
import urllib.parse
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from celery import current_app
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django_scopes import scopes_disabled

from syncs.models import Record
from syncs.packing import Packer
from tests.canary import places
from tests.canary.scanner import Scanner, core_of, new_canary
from tests.connectors import connect, erp_connector, erp_server  # noqa: F401
from tests.syncing import run_sync, sync_of
from tests.tenants import make_workspace

ALLOWED = "a place where it may be seen"


@pytest.fixture
def scanner() -> Scanner:
    made = Scanner()
    made.add("planted", new_canary(), ALLOWED)
    return made


def value_of(scanner: Scanner) -> str:
    return scanner.canaries[0].value


def wrapped(value: str) -> dict[str, bytes]:
    """As programs write a secret down."""
    return {
        "clear": f"key={value};".encode(),
        "JSON in JSON": json.dumps(json.dumps({"key": value})).encode(),
        "repr": repr({"key": value, "also": "it's"}).encode(),
        "URL": urllib.parse.quote(value, safe="").encode(),
        "URL, all of it": "".join(f"%{byte:02X}" for byte in value.encode()).encode(),
        "hex": value.encode().hex().encode(),
        "HEX": value.encode().hex().upper().encode(),
        "UTF-16": value.encode("utf-16-le"),
        "reversed": value[::-1].encode(),
        **{f"base64 after {n}": base64.b64encode(b"x" * n + value.encode() + b"tail") for n in range(3)},
        **{f"base64url after {n}": base64.urlsafe_b64encode(b"x" * n + value.encode()) for n in range(3)},
    }


@pytest.mark.parametrize("form", sorted(wrapped("")))
def test_canary_is_found_in_every_form(scanner: Scanner, form: str) -> None:
    content = wrapped(value_of(scanner))[form]
    (found, *_) = scanner.find("anywhere", {"here": b"before " + content + b" after", "there": b"nothing"})
    assert found.startswith("planted (") and found.endswith(") in here")
    assert scanner.find(ALLOWED, {"here": content}) == []


def test_canary_that_could_come_about_by_chance_is_refused() -> None:
    with pytest.raises(AssertionError, match="could be guessed"):
        Scanner().add("short", "password-1")
    assert core_of("q&\"<abc-d_1>'") == "abc-d_1"


@pytest.mark.django_db
@pytest.mark.parametrize("planted", ["text", "jsonb", "bytea", "bytea as base64", "session"])
def test_dump_shows_what_is_in_any_column(scanner: Scanner, planted: str) -> None:
    value = value_of(scanner)
    assert scanner.find("database", places.dump()) == []
    with scopes_disabled():
        workspace = make_workspace()
        if planted == "text":
            workspace.display_name = value
        elif planted == "jsonb":
            workspace.link_origins = [value]
        elif planted.startswith("bytea"):
            workspace.logo = base64.b64encode(b"user:" + value.encode()) if "base64" in planted else value.encode()
        else:
            store = SessionStore()
            store["typed"] = value
            store.save()
        workspace.save()
    assert scanner.find("database", places.dump())


@pytest.mark.django_db(transaction=True)
def test_dump_shows_what_is_packed_in_a_record(scanner: Scanner, erp_connector: Any, erp_server: Any) -> None:
    erp_server.add_orders(1)
    run_sync(sync_of(connect(erp_server)))
    with scopes_disabled():
        body = orjson.dumps({"notes": value_of(scanner), "more": "x" * 2000})
        Record.objects.update(raw=Packer(None).pack([body])[0])
    assert "planted (clear) in records, unpacked" in scanner.find("database", places.dump())


def test_redis_shows_keys_values_and_what_was_said_meanwhile(scanner: Scanner) -> None:
    client, core = redis.Redis.from_url(settings.REDIS_URL), core_of(value_of(scanner))
    name = f"{settings.REDIS_PREFIX}canary"
    traffic = places.Traffic()
    with traffic.listening():
        for key, put in {
            f"{name}-{core}": lambda key: client.set(key, "x"),
            f"{name}-list": lambda key: client.lpush(
                key, json.dumps({"body": base64.b64encode(core.encode()).decode()})
            ),
            f"{name}-hash": lambda key: client.hset(key, "field", core),
            f"{name}-set": lambda key: client.sadd(key, core),
            f"{name}-ranks": lambda key: client.zadd(key, {core: 1}),
        }.items():
            put(key)
            try:
                assert scanner.find("Redis", places.redis_keys()), key
            finally:
                client.delete(key)
    assert scanner.find("Redis", places.redis_keys()) == []
    assert scanner.find("Redis", traffic.pieces())


def test_argument_of_a_task_is_seen(scanner: Scanner) -> None:
    traffic, queue = places.Traffic(), f"{settings.REDIS_PREFIX}canary-tasks"
    with traffic.listening():
        current_app.send_task("canary.nothing", args=[value_of(scanner)], queue=queue, retry=False, ignore_result=True)
    redis.Redis.from_url(settings.REDIS_URL).delete(queue)
    assert scanner.find("Redis", traffic.pieces())


def test_line_of_a_log_is_seen(scanner: Scanner, tmp_path: Path) -> None:
    (tmp_path / "web.log").write_text(json.dumps({"event": "x"}) + "\n")
    assert scanner.find("logs", places.logs(tmp_path)) == []
    inner = tmp_path / "more"
    inner.mkdir()
    twice = base64.b64encode(base64.b64encode(f"user:{value_of(scanner)}".encode())).decode()
    (inner / "worker.log").write_text(json.dumps({"event": f"task failed with {twice}"}) + "\n")
    assert scanner.find("logs", places.logs(tmp_path)) == ["planted (base64) in worker.log"]
