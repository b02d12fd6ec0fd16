"""The local PostgreSQL and Valkey: who may reach them, and that they end with the last process that needs them."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config.services import LocalServicesError, Services, ensure_environment, start
from config.services import server as server_module
from config.services.accounts import server_account
from config.services.binaries import find_binaries
from config.services.home import Home
from config.services.valkey import Valkey

CHECKOUT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 20.0
CLI = (sys.executable, "-m", "config.services")

# A process that holds a lease until its standard input ends, and tells what it got.
CLIENT = """
import dataclasses, json, os, subprocess, sys
from config.services import start
lease = start()
if os.fork() == 0:
    lease.release()
    os._exit(0)
os.wait()
bystander = subprocess.Popen(["sleep", "60"]) if "bystander" in sys.argv else None
services = dataclasses.asdict(lease.services) | {"home": str(lease.services.home)}
print(json.dumps([services, bystander.pid if bystander else 0]), flush=True)
sys.stdin.read()
"""
# A command that still has its database when Ctrl-C arrives.
ASKS_AGAIN_ON_INTERRUPT = """
import os, psycopg, sys, time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    psycopg.connect(os.environ["DATABASE_URL"]).close()
    sys.exit(5)
"""


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """One ephemeral pair for the tests that only look at it."""
    with start(ephemeral=True) as lease:
        yield lease.services


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home that is kept from test to test, with a path longer than a socket address; no servers run on it."""
    folder = Path(tempfile.mkdtemp(prefix="lineshaft-test-"))
    folder.chmod(0o711)
    yield folder / ("deep-" * 25)
    shutil.rmtree(folder)


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return environment | {"LINESHAFT_HOME": str(home)}


class Client:
    """A process with a lease."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        command = [sys.executable, "-c", CLIENT, *arguments]
        self.process = subprocess.Popen(
            command, env=environment, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.bystander_pid = 0

    def services(self) -> Services:
        assert self.process.stdout is not None
        found, self.bystander_pid = json.loads(self.process.stdout.readline())
        return Services(**found | {"home": Path(found["home"])})

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def wait_for_end(services: Services) -> None:
    wait_until(lambda: has_ended(services.postgres_pid) and has_ended(services.redis_pid), "the servers still run")


def run_cli(environment: dict[str, str], *arguments: str, umask: int = -1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments], env=environment, cwd=CHECKOUT, text=True, capture_output=True, umask=umask, timeout=60
    )


def show(services: Services, setting: str) -> str:
    with psycopg.connect(services.database_url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
    assert row is not None
    return str(row[0])


def test_both_servers_answer_with_development_settings(services: Services) -> None:
    with redis.Redis.from_url(services.redis_url) as client:
        assert client.ping()
    found = {name: show(services, name) for name in ("max_connections", "max_wal_size", "TimeZone", "jit", "fsync")}
    assert found == {"max_connections": "200", "max_wal_size": "4GB", "TimeZone": "UTC", "jit": "off", "fsync": "off"}
    with psycopg.connect(services.database_url) as connection:
        row = connection.execute("SELECT current_database(), upper('ä'), rolsuper FROM pg_roles WHERE rolname = user")
        assert row.fetchone() == ("lineshaft", "Ä", False)


@pytest.mark.parametrize("server", ["postgres_pid", "redis_pid"])
def test_servers_run_without_root_and_listen_on_loopback_only(services: Services, server: str) -> None:
    process = psutil.Process(getattr(services, server))
    account = server_account()
    assert set(process.uids()) == {account.uid if account else os.getuid()}
    assert 0 not in process.uids() or os.getuid() != 0
    listening = [found.laddr.ip for found in process.net_connections("inet") if found.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_wrong_or_no_password_is_refused(services: Services) -> None:
    password = psycopg.conninfo.conninfo_to_dict(services.database_url)["password"]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(services.database_url.replace(str(password), "wrong"))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(services.database_url, host=str(services.home / "postgres" / "run"), password="")
    host_and_port = services.redis_url.rsplit("@", 1)[1]
    for url in (f"redis://{host_and_port}", f"redis://:wrong@{host_and_port}"):
        with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_password_and_control_socket_are_ours_alone(services: Services) -> None:
    for name in ("password", "control.sock"):
        status = (services.home / name).stat()
        assert (status.st_uid, status.st_mode & 0o077) == (os.getuid(), 0)


def test_two_starters_at_once_share_one_pair_until_the_last_ends(environment: dict[str, str]) -> None:
    with Client(environment) as first, Client(environment) as second:
        found = first.services()
        assert second.services() == found
        first.process.communicate("")
        assert not has_ended(found.postgres_pid)
        assert run_cli(environment, "status").stdout.endswith("1 attached\n")
        second.process.communicate("")
        wait_for_end(found)
    assert run_cli(environment, "status").returncode == 3


def test_killed_client_ends_the_servers_although_its_child_lives_on(environment: dict[str, str]) -> None:
    with Client(environment, "bystander") as client:
        found = client.services()
        client.process.kill()
        wait_for_end(found)
        assert not has_ended(client.bystander_pid)
        os.kill(client.bystander_pid, signal.SIGKILL)


def test_killed_supervisor_ends_the_servers_and_the_next_start_has_the_data(environment: dict[str, str]) -> None:
    with Client(environment) as client:
        found = client.services()
        with psycopg.connect(found.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        supervisor = psutil.Process(found.postgres_pid).ppid()
        assert supervisor != client.process.pid
        os.kill(supervisor, signal.SIGKILL)
        with Client(environment) as successor:
            again = successor.services()
            assert again.postgres_pid != found.postgres_pid
            with psycopg.connect(again.database_url) as connection:
                assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
                connection.execute("DROP TABLE kept")
        wait_for_end(found)
    wait_for_end(again)


def test_recorded_process_id_of_a_stranger_does_not_stop_the_start(environment: dict[str, str]) -> None:
    with Client(environment) as client:
        found = client.services()
        client.process.communicate("")
    wait_for_end(found)
    recorded = found.home / "postgres" / "data" / "postmaster.pid"
    account = server_account()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=account.uid if account else None) as stranger:
        recorded.write_text(f"{stranger.pid}\n{recorded.parent}\n")
        with Client(environment) as client:
            assert client.services().home == found.home
        assert stranger.stdin is not None
        stranger.stdin.close()


def test_ctrl_c_in_the_terminal_reaches_the_command_and_not_the_servers(environment: dict[str, str]) -> None:
    controller, terminal = pty.openpty()
    command = [*CLI, "run", "--", sys.executable, "-c", ASKS_AGAIN_ON_INTERRUPT]
    code = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, *command],
        env=environment,
        cwd=CHECKOUT,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        assert b"ready" in os.read(controller, 1000)
        os.write(controller, b"\x03")
        assert process.wait(DEADLINE_SECONDS) == 5
    os.close(controller)
    os.close(terminal)
    assert run_cli(environment, "status").returncode == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 5), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_signal_to_run_is_passed_on(environment: dict[str, str], number: signal.Signals, code: int) -> None:
    command = [*CLI, "run", "--", sys.executable, "-c", ASKS_AGAIN_ON_INTERRUPT]
    with subprocess.Popen(command, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.wait(DEADLINE_SECONDS) == code
    assert run_cli(environment, "status").returncode == 3


def test_ephemeral_run_passes_the_exit_code_and_leaves_nothing_whatever_the_umask(environment: dict[str, str]) -> None:
    script = 'echo "$DATABASE_URL $REDIS_URL"; exit 7'
    result = run_cli(environment, "run", "--ephemeral", "--", "sh", "-c", script, umask=0o077)
    assert result.returncode == 7, result.stderr
    for url in result.stdout.split():
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_ephemeral_home_is_gone_after_release(environment: dict[str, str]) -> None:
    with start(ephemeral=True, postgres_settings={"work_mem": "7MB"}) as lease:
        found = lease.services
        assert show(found, "work_mem") == "7MB"
        with psycopg.connect(found.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        lease.stop_postgres_immediately()
        assert has_ended(found.postgres_pid)
        lease.start_postgres()
        assert lease.services.database_url == found.database_url
        with psycopg.connect(found.database_url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    wait_for_end(lease.services)
    assert not found.home.exists()


def test_unknown_command_is_said(environment: dict[str, str]) -> None:
    result = run_cli(environment, "run", "--", "no-such-command")
    assert result.returncode == 127
    assert "no-such-command" in result.stderr


def test_stop_ends_servers_that_are_in_use(environment: dict[str, str]) -> None:
    with Client(environment) as client:
        found = client.services()
        assert run_cli(environment, "stop").returncode == 0
        wait_for_end(found)


def test_failing_start_shows_the_end_of_the_log(home: Path) -> None:
    with pytest.raises(LocalServicesError, match='invalid value for parameter "work_mem"'):
        start(home, postgres_settings={"work_mem": "much"})


def test_unfit_home_is_refused_and_keeps_its_mode(tmp_path: Path) -> None:
    # For root: a folder that the servers' user cannot enter. For others, who run them themselves: one open to all.
    mode, message = (0o700, "cannot enter") if os.getuid() == 0 else (0o777, "others may write")
    tmp_path.chmod(mode)
    with pytest.raises(LocalServicesError, match=message):
        start(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == mode


def test_port_taken_meanwhile_is_replaced_by_another(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = int(services.redis_url.rsplit(":", 1)[1].split("/")[0])
    free = server_module.free_port()
    ports = iter([taken, free])
    monkeypatch.setattr(server_module, "free_port", lambda: next(ports))
    folder = Path(tempfile.mkdtemp(prefix="lineshaft-test-"))
    folder.chmod(0o711)
    (folder / "logs").mkdir()
    account = server_account()
    server = Valkey(Home(folder), account, find_binaries(account).valkey)
    try:
        server.start()
        assert server.port == free
    finally:
        server.stop()
        shutil.rmtree(folder)


def test_environment_with_both_addresses_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.services.start", lambda: pytest.fail("started"))
    given = {"DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://cache/0"}
    ensure_environment(given)
    assert given == {"DATABASE_URL": "postgresql://db/x", "REDIS_URL": "redis://cache/0"}


def test_environment_gets_only_the_missing_address(environment: dict[str, str]) -> None:
    script = "import os; from config.services import ensure_environment; ensure_environment()"
    script += "; print(os.environ['DATABASE_URL'], os.environ['REDIS_URL'])"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"DATABASE_URL": "postgresql://db/x"},
        cwd=CHECKOUT,
        text=True,
        capture_output=True,
    )
    database_url, redis_url = result.stdout.split()
    assert database_url == "postgresql://db/x"
    assert redis_url.startswith("redis://:")
    assert run_cli(environment, "status").returncode == 3  # the exiting process waited for the servers' end
