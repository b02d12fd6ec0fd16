"""docs/guides/settings.md says what the environment may hold: rendered, current and complete."""

from __future__ import annotations

import re

import pytest

from config.settings.documentation import PAGE, render
from config.settings.environment import Environment
from tests.documents import ROOT

# Ours to read, but nobody's to choose.
NOT_SETTINGS = {"LD_LIBRARY_PATH", "DJANGO_SETTINGS_MODULE"}
READ = re.compile(r"environ(?:\.get\(|\.setdefault\(|\[)\s*[\"']([A-Z_]+)[\"']")
ROOMS = ("config", "core", "integrations", "workspaces", "connections", "webhooks", "syncs", "console", "sandbox")


def test_page_is_what_the_settings_render_to() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "Render again: python -m config.settings.documentation"


@pytest.mark.parametrize("name", Environment.model_fields)
def test_setting_has_a_meaning_and_an_example(name: str) -> None:
    info = Environment.model_fields[name]

    assert info.description
    assert info.examples or name == "LINESHAFT_PROCESS"  # chosen by nobody


def test_variables_read_elsewhere_are_on_the_page() -> None:
    files = [ROOT / "manage.py", *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))]
    read = {name for path in files for name in READ.findall(path.read_text(encoding="utf-8"))}
    compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    shown = PAGE.read_text(encoding="utf-8")

    assert {"LINESHAFT_HOME", "WEB_CONCURRENCY"} <= read and "WEB_PORT" in compose
    assert [name for name in sorted((read | compose) - NOT_SETTINGS) if name not in shown] == []
