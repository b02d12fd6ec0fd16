"""How a workspace uses a system: by API and in the admin, through one service."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_scopes import scope

from connections.models import SystemSecret, SystemSettings
from connections.services.systems import demand_enabled, schedule_of, system_settings, update_system_settings
from core.errors import BusinessRuleError, ValidationFailedError
from core.ids import new_id
from tests.tenants import api, make_person, make_token, make_workspace, signed_in
from workspaces.models import AuditEvent
from workspaces.secrets import open_secret

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/systems/tryton/settings"
SECRET = "client-secret-canary-4711"


@pytest.fixture
def workspace():
    return make_workspace()


@pytest.fixture
def service(workspace) -> Client:
    return api(make_token(workspace)[1])


def change(client: Client, body: object) -> Any:
    return client.patch(ADDRESS, body, content_type="application/json")


def test_settings_nobody_made_are_as_declared(service: Client, settings) -> None:
    settings.PUBLIC_URL = "https://lineshaft.example.com"

    assert service.get(ADDRESS).json() == {
        "system": "tryton",
        "environment": "live",
        "enabled": True,
        "oauth_client_id": "",
        "oauth_hosts": [],
        "schedules": {},
        "has_oauth_client_secret": False,
        "oauth_redirect_uri": "https://lineshaft.example.com/link/oauth/callback",
        "updated_at": None,
    }


def test_what_is_sent_is_kept_and_the_secret_is_never_shown(service: Client, workspace) -> None:
    body = {"enabled": False, "oauth_client_id": "our-app", "oauth_client_secret": SECRET}
    answer = change(service, body)
    assert answer.status_code == 200, answer.content
    assert change(service, {"schedules": {"vendor": {"interval_seconds": 300}}}).json()["enabled"] is False

    shown = service.get(ADDRESS)
    assert SECRET not in shown.content.decode() + answer.content.decode()
    assert shown.json()["has_oauth_client_secret"] is True
    with scope(workspace=workspace.pk):
        stored = SystemSecret.objects.get()
        assert open_secret(stored) == SECRET
        told = AuditEvent.objects.filter(action="system_settings.changed").latest("pk")
    assert told.details["changed"] == ["schedules"] and told.actor.startswith("token tok_")


def test_removing_the_secret_leaves_none(service: Client, workspace) -> None:
    change(service, {"oauth_client_secret": SECRET})
    assert change(service, {"oauth_client_secret": None}).json()["has_oauth_client_secret"] is False
    with scope(workspace=workspace.pk):
        assert not SystemSecret.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"schedules": {"nonsense": {}}}, "/schedules/nonsense"),
        ({"schedules": {"vendor": {"interval_seconds": 1}}}, "/schedules/vendor/interval_seconds"),
        ({"schedules": {"vendor": {"interval_seconds": True}}}, "/schedules/vendor/interval_seconds"),
        ({"schedules": {"vendor": {"often": 60}}}, "/schedules/vendor"),
        ({"schedules": [1]}, "/schedules"),
        ({"oauth_hosts": ["https://erp.example/"]}, "/oauth_hosts/0"),
        ({"oauth_hosts": "erp.example"}, "/oauth_hosts"),
        ({"oauth_client_id": "x" * 301}, "/oauth_client_id"),
        ({"oauth_client_id": "two\nlines"}, "/oauth_client_id"),
    ],
    ids=str,
)
def test_wrong_value_is_named_and_nothing_is_stored(service: Client, workspace, body, pointer: str) -> None:
    answer = change(service, body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    with scope(workspace=workspace.pk):
        assert not SystemSettings.objects.exists()


def test_settings_are_of_one_environment_and_one_workspace(service: Client, workspace) -> None:
    change(service, {"enabled": False})
    other = make_workspace("Other")
    assert api(make_token(workspace, environment="test")[1]).get(ADDRESS).json()["enabled"] is True
    assert api(make_token(other)[1]).get(ADDRESS).json()["enabled"] is True
    with scope(workspace=workspace.pk):
        with pytest.raises(BusinessRuleError, match="switched off"):
            demand_enabled(workspace.pk, "tryton", "live")
        demand_enabled(workspace.pk, "tryton", "test")


def test_connection_token_and_missing_scope_are_refused(workspace) -> None:
    own = api(make_token(workspace, connection_id=new_id())[1])
    assert own.get(ADDRESS).status_code == own.patch(ADDRESS, {}, content_type="application/json").status_code == 403
    reader = api(make_token(workspace, scopes=["systems:read"])[1])
    assert reader.get(ADDRESS).status_code == 200
    assert change(reader, {"enabled": False}).json()["required_scope"] == "systems:write"
    assert reader.get("/api/v1/systems/nonsense/settings").status_code == 404


def test_the_service_refuses_what_it_does_not_know(workspace) -> None:
    with scope(workspace=workspace.pk):
        with pytest.raises(ValidationFailedError):
            update_system_settings(
                workspace=workspace, system="tryton", environment="live", changes={"enabled": "yes"}, by="test"
            )
        assert schedule_of(workspace.pk, "tryton", "live") == {}
        assert system_settings(workspace.pk, "tryton", "live").enabled


def test_admin_stores_through_the_service_and_shows_no_secret(
    workspace, settings, django_assert_max_num_queries
) -> None:
    owner = signed_in(make_person("owner", workspace))
    address = "/admin/connections/systemsettings/"
    form = {"workspace": workspace.pk, "system": "tryton", "environment": "live", "enabled": "on"}
    form |= {"oauth_client_id": "our-app", "oauth_client_secret": SECRET, "schedules": '{"vendor": {"enabled": false}}'}
    assert owner.post(f"{address}add/", form).status_code == 302
    with scope(workspace=workspace.pk):
        row = SystemSettings.objects.get()
        assert row.schedules == {"vendor": {"enabled": False}} and open_secret(row.secrets.get()) == SECRET

    with django_assert_max_num_queries(12):
        page = owner.get(f"{address}{row.pk}/change/").content.decode()
    assert SECRET not in page and "/link/oauth/callback" in page and "Stored." in page

    kept = {"oauth_client_id": "other-app", "oauth_client_secret": "", "schedules": "{}"}
    assert owner.post(f"{address}{row.pk}/change/", kept).status_code == 302
    with scope(workspace=workspace.pk):
        row.refresh_from_db()
        assert (row.oauth_client_id, row.enabled, row.schedules) == ("other-app", False, {})
        assert row.secrets.exists(), "an empty secret keeps the stored one"
    wrong = owner.post(f"{address}{row.pk}/change/", {**kept, "schedules": '{"vendor": {"interval_seconds": 1}}'})
    assert wrong.status_code == 200 and "from 60 to 86400" in wrong.content.decode()


def test_admin_when_there_are_settings_already_then_adding_leaves_them_alone(workspace) -> None:
    with scope(workspace=workspace.pk):
        changes = {"enabled": False, "oauth_client_id": "our-app", "schedules": {"vendor": {"enabled": False}}}
        update_system_settings(workspace=workspace, system="tryton", environment="live", changes=changes, by="test")
    form = {"workspace": workspace.pk, "system": "tryton", "environment": "live", "enabled": "on", "schedules": "{}"}
    answer = signed_in(make_person("owner", workspace)).post("/admin/connections/systemsettings/add/", form)
    assert answer.status_code == 200 and "already" in answer.content.decode()
    with scope(workspace=workspace.pk):
        row = SystemSettings.objects.get()
        assert (row.enabled, row.oauth_client_id) == (False, "our-app") and row.schedules
