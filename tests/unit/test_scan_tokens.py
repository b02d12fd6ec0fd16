"""Leaked tokens are found by form and checksum, told by what they are worth, and ended when asked."""

from __future__ import annotations

import io
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from django_scopes import scopes_disabled

from tests.tenants import api, make_token, make_workspace
from workspaces import tokens
from workspaces.models import ApiToken, AuditEvent
from workspaces.tokens import scanning

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at")]


def scan(*arguments: Any) -> tuple[int, list[str], str]:
    """How the command ended, what it printed, and what it said beside."""
    output, beside = io.StringIO(), io.StringIO()
    try:
        call_command("scan_tokens", *map(str, arguments), stdout=output, stderr=beside)
        code = 0
    except SystemExit as error:
        code = int(str(error.code))
    return code, output.getvalue().splitlines(), beside.getvalue()


def of_nobody() -> str:
    body = f"lsh_live_{'a' * 12}_{'b' * 32}"
    return body + tokens.checksum(body)


def test_scan_tells_file_line_and_worth_of_each(tmp_path: Path) -> None:
    workspace = make_workspace()
    made = {name: make_token(workspace, name=name) for name in ("active", "old", "gone")}
    with scopes_disabled():
        ApiToken.objects.filter(name="old").update(expires_at=timezone.now() - timedelta(days=1))
        ApiToken.objects.filter(name="gone").update(revoked_at=timezone.now())
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "settings.py"
    lines = [f"{name.upper()} = '{clear}'" for name, (_, clear) in made.items()]
    file.write_text("\n".join(["# settings", *lines, f"STRANGE = '{of_nobody()}'\r\n"]))

    code, output, _ = scan(tmp_path)

    active = made["active"][0]
    assert code == 1 and len(output) == 4
    assert output[0] == (
        f'{file}:2: lsh_live_{active.key}_... active "active" (tok_{active.pk.hex}, workspace {workspace.slug})'
    )
    assert f"{file}:3:" in output[1] and "expired" in output[1]
    assert f"{file}:4:" in output[2] and "revoked" in output[2]
    assert output[3] == f"{file}:5: lsh_live_{'a' * 12}_... unknown here"
    assert not any(clear[22:] in "".join(output) for _, clear in made.values())


def test_scan_when_nothing_works_any_more_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(of_nobody())

    assert scan(tmp_path)[0] == 0
    assert scan(tmp_path, "--offline")[0] == 1, "not looked up: it might work"
    (tmp_path / "notes.txt").write_text(of_nobody()[:-1] + "_ lsh_live_x lsh_prod_")
    assert scan(tmp_path, "--offline")[:2] == (0, [])


def test_scan_with_revoke_ends_the_active_ones(tmp_path: Path) -> None:
    token, clear = make_token(make_workspace())
    for name in ("one", "two"):
        (tmp_path / name).write_text(clear)

    code, output, _ = scan(tmp_path, "--revoke")

    assert code == 1 and output[-1] == f"tok_{token.pk.hex} is revoked." and len(output) == 3
    assert api(clear).get("/api/v1/tokens").status_code == 401
    assert scan(tmp_path)[0] == 0
    with scopes_disabled():
        assert "scan_tokens" in AuditEvent.objects.get(action="token.revoked").actor


def test_scan_tells_a_forged_secret_from_the_real_one(tmp_path: Path) -> None:
    token, clear = make_token(make_workspace())
    body = f"lsh_live_{token.key}_{'z' * 32}"
    (tmp_path / "both").write_text(f"{body + tokens.checksum(body)}\n{clear}\n{body + tokens.checksum(body)}")

    worth = [line.split("_... ")[1].split(" ")[0] for line in scan(tmp_path)[1]]
    assert worth == ["unknown", "active", "unknown"]


def test_scan_leaves_out_what_it_must(tmp_path: Path) -> None:
    clear = of_nobody()
    (tmp_path / ".git").mkdir()
    for name in (".git/config", "kept.txt"):
        (tmp_path / name).write_text(clear)
    (tmp_path / "large.bin").write_bytes(b"\0" * (scanning.MAX_BINARY_BYTES + 1) + clear.encode())
    (tmp_path / "small.bin").write_bytes(b"\0" + clear.encode())
    (tmp_path / "link.txt").symlink_to(tmp_path / "kept.txt")
    (tmp_path / "folder").symlink_to(tmp_path / ".git")
    os.mkfifo(tmp_path / "pipe")

    found = [Path(line.split(":")[0]).name for line in scan(tmp_path, "--offline")[1]]
    assert found == ["kept.txt", "small.bin"]


def test_scan_finds_tokens_across_blocks_once_and_counts_lines(tmp_path: Path, monkeypatch: Any) -> None:
    clear, file = of_nobody(), tmp_path / "long.txt"
    text = (
        "".join("x" * number + "\n" + clear + "\n" for number in range(80)) + f"lsh_live_{'c' * 12}_{'d' * 35}{clear}"
    )
    file.write_text(text)
    expected = [number for number, line in enumerate(text.split("\n"), 1) if clear in line]

    for block in (61, 64, 97, 1000, 1024 * 1024):
        monkeypatch.setattr(scanning, "_BLOCK", block)
        found = list(scanning.find_tokens([file], unreadable=lambda *_: None))
        assert [one.line for one in found] == expected and {one.clear for one in found} == {clear}, block
    assert clear not in repr(found)


def test_scan_when_a_path_is_wrong_or_cannot_be_read_says_so(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for path in (tmp_path / "nothing", tmp_path / "link"):
        with pytest.raises(CommandError, match="not there"):
            scan(path)
    with pytest.raises(CommandError, match="offline"):
        scan(tmp_path, "--offline", "--revoke")

    (tmp_path / "closed").write_text("x")
    real = Path.open

    def refuse(path: Path, *arguments: Any, **more: Any) -> Any:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **more)

    monkeypatch.setattr(Path, "open", refuse)
    (tmp_path / "open").write_text(of_nobody())
    code, output, beside = scan(tmp_path, "--offline")
    assert code == 1 and len(output) == 1 and "closed: cannot be read (Permission denied)" in beside


def test_scan_when_the_database_does_not_answer_finds_all_the_same(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "notes.txt").write_text(of_nobody())

    def fail(_: Any) -> None:
        raise OperationalError("no route to host")

    monkeypatch.setattr("workspaces.management.commands.scan_tokens.known_tokens", fail)
    code, output, beside = scan(tmp_path)
    assert code == 1 and output[0].endswith("not looked up") and "does not answer" in beside
    with pytest.raises(CommandError, match="nothing was revoked"):
        scan(tmp_path, "--revoke")
