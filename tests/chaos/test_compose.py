"""The production description: what docker-compose.yml starts does start, and its health checks tell the truth.

There is no Docker here: each service's command runs on this machine, on the test's PostgreSQL and Valkey, in production
mode with made keys; what the image gives (user, folder, commands) is compared with the Dockerfile.
"""

from __future__ import annotations

import base64
import http.client
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as django_settings
from django.db.models import F

from config.settings.environment import Environment
from core.models import TickBeat
from tests.chaos import processes

ROOT = processes.ROOT
BIN = Path(sys.executable).parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SANDBOX = {"simulator-maintainx"}  # started only when its profile is asked for
LASTING = sorted(name for name in OURS if name != "migrate")
RUN_FOLDER = "/run/lineshaft"
SIMULATOR_PORT = "9100"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
READY_SECONDS = 60.0


def env_file(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled_in() -> dict[str, str]:
    """`.env.example` filled in as its comments say."""
    made = {
        "SECRET_KEY": secrets.token_urlsafe(60),
        "TOKEN_PEPPER": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": "k1:" + base64.b64encode(os.urandom(32)).decode(),
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "REDIS_PASSWORD": secrets.token_hex(24),
    }
    example = env_file(".env.example")
    assert {name for name, value in example.items() if not value} - {"EGRESS_ALLOWED_NETWORKS"} == set(made)
    return example | made


def interpolated(text: str, values: dict[str, str]) -> str:
    """Compose's `${NAME:-default}` and `${NAME:?message}`."""

    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[3] if match[2] == ":-" else None
        found = values.get(name) or default
        assert found, f"{name} is demanded and .env.example does not lead to it"
        return found

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def environment(port: int) -> dict[str, str]:
    """What a container would have, but for the addresses of the servers and the port, which are the test's."""
    values = filled_in()
    at = processes.environment()
    declared = {name: interpolated(str(value), values) for name, value in OURS["web"]["environment"].items()}
    servers = {"DATABASE_URL": at["DATABASE_URL"], "REDIS_URL": django_settings.REDIS_URL}
    assert servers.keys() <= declared.keys()
    own = {
        "REDIS_PREFIX": django_settings.REDIS_PREFIX,
        "PORT": str(port),
        "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port}",
        "PATH": f"{BIN}:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**values, **declared, **servers, **own}


def on_this_machine(command: list[str], folder: Path, environment: dict[str, str]) -> list[str]:
    """A container's command, with the folder and the port that differ here, and programs of our environment."""
    program, *arguments = [
        part.replace(RUN_FOLDER, str(folder)).replace(SIMULATOR_PORT, environment["PORT"]) for part in command
    ]
    assert (BIN / program).exists(), f"{program} is not installed by the requirements"
    return [str(BIN / program), *arguments]


@pytest.fixture
def start(folder: Path, environment: dict[str, str]) -> Iterator[Any]:
    """Starts a service's command; all are ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        command = on_this_machine(OURS[name]["command"], folder, environment)
        with (folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        started.append(process)
        return process

    yield start
    for process in started:
        processes.end(process)


def health(name: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    kind, *command = OURS[name]["healthcheck"]["test"]
    assert kind == "CMD"
    return subprocess.run(
        on_this_machine(command, folder, environment),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", LASTING)
def test_service_when_started_as_compose_says_then_its_health_check_passes_and_fails_after_its_end(
    name: str, start: Any, folder: Path, environment: dict[str, str]
) -> None:
    before = health(name, folder, environment)
    assert before.returncode == 1, before.stdout + before.stderr
    process = start(name)

    def is_well() -> bool:
        assert process.poll() is None, (folder / f"{name}.log").read_text()[-3000:]
        return health(name, folder, environment).returncode == 0

    processes.until(is_well, seconds=READY_SECONDS, what=f"{name} is healthy")
    process.send_signal(signal.SIGTERM)
    process.wait(45)
    _let_signs_grow_old(folder)
    after = health(name, folder, environment)
    assert after.returncode == 1, after.stdout + after.stderr


def _let_signs_grow_old(folder: Path) -> None:
    """A minute passes."""
    for file in folder.glob("worker-*"):
        if file.suffix != ".log":
            os.utime(file, (0, 0))
    TickBeat.objects.update(last_at=F("last_at") - timedelta(minutes=1))


@pytest.mark.django_db(transaction=True)
def test_migrate_when_run_as_compose_says_then_it_ends_well(
    start: Any, folder: Path, environment: dict[str, str]
) -> None:
    process = start("migrate")
    assert process.wait(60) == 0, (folder / "migrate.log").read_text()


@pytest.mark.django_db(transaction=True)
def test_web_when_in_production_then_it_answers_https_only_and_knows_its_own_hosts(
    start: Any, folder: Path, environment: dict[str, str], port: int
) -> None:
    start("web")
    processes.until(
        lambda: health("web", folder, environment).returncode == 0, seconds=READY_SECONDS, what="web is healthy"
    )

    def ask(host: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/admin/login/", headers={"Host": host, **headers})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    host = environment["ALLOWED_HOSTS"]
    plain = ask(host)
    assert (plain.status, plain.headers["Location"]) == (301, f"https://{host}/admin/login/")
    assert ask("evil.example").status == 400


def test_production_settings_when_checked_for_deployment_then_there_is_no_warning(environment: dict[str, str]) -> None:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "no issues (0 silenced)" in result.stdout + result.stderr


@pytest.mark.parametrize("missing", ["SECRET_KEY", "TOKEN_PEPPER", "ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL"])
def test_production_when_a_key_is_missing_then_nothing_starts_and_it_is_named(
    environment: dict[str, str], missing: str
) -> None:
    del environment[missing]
    command = [sys.executable, "manage.py", "check"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 78
    assert missing in result.stderr


def test_services_are_all_there_with_restarts_and_health_checks() -> None:
    expected = {
        "web",
        "worker-sync",
        "worker-operations",
        "worker-events",
        "worker-flows",
        "tick",
        "migrate",
        "postgres",
        "redis",
    }
    assert set(SERVICES) == expected | SANDBOX
    assert all(SERVICES[name]["profiles"] == ["sandbox"] for name in SANDBOX)
    for name, service in SERVICES.items():
        assert service["restart"] == ("on-failure:5" if name == "migrate" else "unless-stopped")
        assert ("healthcheck" in service) == (name != "migrate"), name
    assert set(COMPOSE["volumes"]) == {"postgres", "redis"}
    for name in set(LASTING) - SANDBOX:
        assert OURS[name]["depends_on"] == {
            "postgres": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }


def test_our_services_run_without_root_on_files_they_cannot_write() -> None:
    for service in OURS.values():
        assert service["user"] == "10001:10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["env_file"] == ".env"
        assert service["environment"]["LINESHAFT_MODE"] == "production"


def test_nothing_but_the_web_on_loopback_is_published() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["127.0.0.1:${WEB_PORT:-8000}:8000"]}
    assert OURS["web"]["environment"]["PORT"] == "8000"


@pytest.mark.parametrize(
    "image",
    [*re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE), *(service["image"] for service in SERVICES.values())],
)
def test_image_is_pinned_to_a_release(image: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.?\d*[\w.-]*", image), image


def test_no_secret_stands_in_the_files() -> None:
    """Passwords come from .env alone, and an empty one stops compose."""
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        uses = re.findall(rf"\$\{{{name}[^}}]*\}}", text)
        assert uses and all(use == f"${{{name}:?fill in .env}}" for use in uses)
    for name in ("SECRET_KEY", "TOKEN_PEPPER", "ENCRYPTION_KEYS"):
        assert name not in text
        assert re.search(rf"{name}=only-while-building", DOCKERFILE)
    assert ".env" in (ROOT / ".dockerignore").read_text().splitlines()
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_dockerfile_and_compose_agree() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    user, workdir = re.search(r"^USER (\S+)", final, re.MULTILINE), re.search(r"^WORKDIR (\S+)", final, re.MULTILINE)
    assert user and workdir
    assert {service["user"] for service in OURS.values()} == {user[1]}
    assert re.search(r"useradd --uid 10001 --gid 10001", final)
    assert f"COPY --from=build {workdir[1]} {workdir[1]}" in final
    environment = re.search(r"^ENV PATH=(\S+)/bin:\$PATH", final, re.MULTILINE)
    assert environment and f"VIRTUAL_ENV={environment[1]} " in DOCKERFILE
    for service in OURS.values():
        mounts = {mount.split(":")[0] for mount in service["tmpfs"]}
        assert mounts == {"/tmp", RUN_FOLDER}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for needed in ("manage.py", "config", "core", "integrations", "workspaces", "connections", "syncs", "console"):
        assert needed not in ignored


def test_env_example_names_only_what_something_reads() -> None:
    known = set(Environment.model_fields) | {"WEB_CONCURRENCY"}
    read_by_compose = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert set(env_file(".env.example")) <= known | read_by_compose


def test_recipes_of_keys_in_env_example_work() -> None:
    recipes = re.findall(r'python3 -c (".*?")$', (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(recipes) == 4
    for recipe in recipes:
        (code,) = shlex.split(recipe)
        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert len(made.stdout.strip()) >= 32
