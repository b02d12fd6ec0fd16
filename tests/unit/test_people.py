"""Members: what their role lets them do on the screens, and signing in, which closes after wrong passwords."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.ids import new_id
from tests.tenants import make_person, make_workspace
from workspaces.choices import Role
from workspaces.role_permissions import permits

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


@pytest.mark.parametrize(
    ("permission", "roles"),
    [
        ("connections.view_connection", {"owner", "operator", "developer", "auditor"}),
        ("connections.change_connection", {"owner", "operator", "developer"}),
        ("syncs.change_sync", {"owner", "operator", "developer"}),
        ("syncs.change_operation", {"owner", "operator", "developer"}),
        ("connections.add_capabilityoverride", {"owner", "operator"}),
        ("workspaces.add_apitoken", {"owner", "developer"}),
        ("connections.change_systemsettings", {"owner", "developer"}),
        ("workspaces.change_workspace", {"owner"}),
        ("workspaces.add_membership", {"owner"}),
        ("workspaces.view_auditevent", {"owner", "auditor"}),
        ("auth.view_user", set()),
        ("nonsense", set()),
    ],
)
def test_what_each_role_may(permission: str, roles: set[str]) -> None:
    assert {role.value for role in Role if permits(role, permission)} == roles
    workspace = make_workspace()
    for role in Role:
        person = make_person(role, workspace)
        assert person.has_perm(permission, workspace.pk) is (role in roles)
        assert person.has_perm(permission) is (role in roles)
        assert not person.has_perm(permission, new_id()), "in another workspace"


def test_who_is_not_active_may_nothing() -> None:
    workspace = make_workspace()
    person = make_person("owner", workspace, is_active=False)
    assert not person.has_perm("connections.view_connection", workspace.pk)
    assert not person.has_module_perms("connections")


def sign_in(name: str, password: str, *, address: str = "203.0.113.7") -> Any:
    return Client(REMOTE_ADDR=address).post(reverse("admin:login"), {"username": name, "password": password})


def test_five_wrong_passwords_close_the_sign_in_of_that_name_from_that_address() -> None:
    person = make_person("owner", make_workspace(), password=PASSWORD)
    assert sign_in(person.username, PASSWORD).status_code == 302, "the password works"
    for _ in range(4):
        assert sign_in(person.username, "wrong").status_code == 200
    locked = sign_in(person.username, "wrong")
    assert locked.status_code == 429 and b"Too many wrong passwords" in locked.content

    assert sign_in(person.username, PASSWORD).status_code == 429, "the right one does not help any more"
    assert sign_in(person.username, PASSWORD, address="203.0.113.8").status_code == 302, "nor are others locked out"


def test_production_settings_pass_the_deployment_check_without_a_warning() -> None:
    keys = {
        "LINESHAFT_MODE": "production",
        "SECRET_KEY": "k3y-" + "Ab9_" * 16,
        "TOKEN_PEPPER": "Pq7-" * 12,
        "ENCRYPTION_KEYS": os.environ["ENCRYPTION_KEYS"],
        "PUBLIC_URL": "https://lineshaft.example.com",
        "ALLOWED_HOSTS": "lineshaft.example.com",
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    checked = subprocess.run(command, env={**os.environ, **keys}, capture_output=True, text=True, timeout=100)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "no issues" in checked.stdout + checked.stderr
