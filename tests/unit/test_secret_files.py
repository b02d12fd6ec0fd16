"""Writing a secret into a file: for its owner alone, in one step, never through a link or over somebody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from core.errors import ConfigError, ValidationFailedError
from core.secret_stores.targets import check_target, write_secret


def test_write_secret_when_there_is_no_file_makes_one_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "lineshaft.token"
    was = os.umask(0)
    try:
        check_target(f"file:{path}")
        assert write_secret(f"file:{path}", "canary") == f"file:{path}"
    finally:
        os.umask(was)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("canary", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["lineshaft.token"], "no draft is left"


def test_write_secret_when_there_is_a_file_replaces_it_and_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old and longer")
    path.chmod(0o644)
    reader = path.open()
    write_secret(f"file:{path}", "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
    assert reader.read() == "old and longer", "who had it open sees no half of it"
    reader.close()


def test_write_secret_when_a_link_is_there_refuses_and_leaves_what_it_leads_to(tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.write_text("untouched")
    for make in (lambda: (tmp_path / "link").symlink_to(goal), lambda: (tmp_path / "folder").mkdir()):
        make()
    for name in ("link", "folder"):
        for act in (check_target, lambda target: write_secret(target, "canary")):
            with pytest.raises(ConfigError) as caught:
                act(f"file:{tmp_path / name}")
            assert caught.value.code == "TARGET_UNUSABLE" and "canary" not in caught.value.detail
    assert goal.read_text() == "untouched"


def test_write_secret_when_the_file_is_another_user_s_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text("theirs")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="another user"):
        write_secret(f"file:{path}", "canary")
    assert path.read_text() == "theirs"


def test_write_secret_when_the_folder_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder does not exist"):
        check_target(f"file:{tmp_path}/none/token")


@pytest.mark.parametrize(
    "path", ["", "token", "./token", "/tmp/../etc/x", "/tmp//x", "/tmp/x/", "/tmp/x\n", "/", "/" + "x" * 300]
)
def test_write_secret_when_the_path_is_not_plain_refuses(path: str) -> None:
    with pytest.raises(ValidationFailedError) as caught:
        write_secret(f"file:{path}", "canary")
    assert caught.value.code == "TARGET_INVALID"
