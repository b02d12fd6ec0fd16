"""What tests of screens share: addresses, the text of a page, and the form of a connection."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.urls import reverse

from tests.connectors import API_KEY
from workspaces.models import Workspace


def change(row: Any) -> str:
    """The address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def press(row: Any, name: str) -> str:
    """The address of a button."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_press", args=[row.pk, name])


def rows_of(model: Any) -> str:
    """The address of a list."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def html(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response
    content: str = response.content.decode()
    return content


def words(response: Any, status: int = 200) -> str:
    """What a person reads, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html(response, status))).split())


def connection_form(workspace: Workspace | None, base_url: str, **values: Any) -> dict[str, Any]:
    """What a browser sends for a connection to the test system; without a workspace it is the form of changing one."""
    where = {"workspace": str(workspace.pk), "environment": "live"} if workspace else {}
    return {
        "name": "Plant 1",
        "customer_reference": "",
        "metadata": "{}",
        "time_zone": "UTC",
        "page_size": "",
        "proxy": "",
        "ca_certificate": "",
        "client_certificate": "",
        "client_key": "",
        "config__base_url": base_url,
        "config__company": "",
        "config__site": "north",
        "config__fiscal_year": "",
        "secret__api_key": API_KEY if workspace else "",
        **where,
        **values,
    }
