"""Without a scope nothing is found: managers raise, and SQL of our own stands only where a scope is demanded."""

from __future__ import annotations

import ast
from dataclasses import MISSING, fields
from typing import Any

import pytest
from django.apps import apps
from django.db.models import ForeignKey, Model
from django_scopes import scope
from django_scopes.exceptions import ScopeError

from connections.models import MappingField, SystemLogo
from core.leases import Lease
from core.models import TickBeat
from syncs.engine.store import Scope
from tests.tenancy.raw_sql import (
    DEMANDED,
    NO_SCOPE,
    ROOMS,
    arguments_of,
    functions_with_sql,
    names_used_in,
    optional_arguments_of,
)
from tests.tenancy.world import OWNED, World
from workspaces.events import Cause
from workspaces.models import Workspace

OURS = [model for model in apps.get_models() if model._meta.app_label in ROOMS]
UNSCOPED: dict[type[Model], str] = {
    TickBeat: "when each duty of the tick ran last, of the whole installation",
    SystemLogo: "pictures of systems, of the whole installation",
    MappingField: "reached only through its mapping, which is scoped; defaults belong to no workspace",
}
SCOPED: list[Any] = [model for model in OURS if model not in UNSCOPED]
QUERIES = {
    "all": lambda rows: list(rows.all()),
    "filter": lambda rows: list(rows.filter(pk=None)),
    "get": lambda rows: rows.get(pk=None),
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.filter(pk=None).exists(),
    "first": lambda rows: rows.first(),
    "update": lambda rows: rows.update(),
    "delete": lambda rows: rows.filter(pk=None).delete(),
    "values": lambda rows: list(rows.values("pk")),
    "order_by": lambda rows: list(rows.order_by("pk")),
    "annotate": lambda rows: list(rows.annotate()),
    "iterator": lambda rows: list(rows.iterator()),
    "select_for_update": lambda rows: list(rows.select_for_update()),
    "raw": lambda rows: list(rows.raw("SELECT 1")),
}


def test_every_table_belongs_to_a_workspace_or_to_nobody_for_a_reason() -> None:
    assert set(OURS) - set(UNSCOPED) == set(OWNED) - {MappingField}, (
        "a new model: scope its manager and add it to OWNED in tests/tenancy/world.py with a row in its world, or to"
        " UNSCOPED here with the reason"
    )


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model.__name__)
def test_query_without_a_scope_raises(model: Any, name: str) -> None:
    for manager in {model.objects, model._default_manager}:
        with pytest.raises(ScopeError):
            QUERIES[name](manager)


@pytest.mark.parametrize("model", SCOPED, ids=lambda model: model.__name__)
def test_query_within_a_scope_finds_the_rows_of_that_workspace_alone(world: World, model: Any) -> None:
    found = {}
    for side in (world.mine, world.theirs):
        with scope(workspace=side.workspace.pk):
            found[side.word] = set(model.objects.values_list("pk", flat=True))
        with scope(workspace=[side.workspace.pk]):
            assert found[side.word] == set(model.objects.values_list("pk", flat=True)), "as the admin enters it"
            assert set(model.objects.values_list(OWNED[model], flat=True)) == {side.workspace.pk}
    assert all(found.values()), f"the world has no {model.__name__}, so this proves nothing"
    assert not set.intersection(*found.values())
    with scope(workspace=[]):
        assert not model.objects.exists(), "a person of no workspace"


def test_rows_below_a_workspace_name_it_in_their_own_table() -> None:
    """But for what hangs on a scoped row and is never listed by itself."""
    below = {model.__name__ for model in SCOPED if model is not Workspace and not _names_workspace(model)}
    assert below == {"RunPage", "Suspect"}


def _names_workspace(model: Any) -> bool:
    return any(isinstance(field, ForeignKey) and field.related_model is Workspace for field in model._meta.fields)


def test_sql_of_our_own_is_listed_with_the_scope_it_demands() -> None:
    found = set(functions_with_sql())
    listed = set(DEMANDED) | set(NO_SCOPE)
    new, gone = sorted(found - listed), sorted(listed - found)
    assert not new, f"SQL that no manager guards, add it to tests/tenancy/raw_sql.py with the scope it demands: {new}"
    assert not gone, f"listed, but there is no SQL any more: {gone}"
    assert not set(DEMANDED) & set(NO_SCOPE)


@pytest.mark.parametrize("name", DEMANDED)
def test_sql_of_our_own_cannot_be_called_without_its_scope(name: str) -> None:
    function = functions_with_sql()[name]
    assert isinstance(function, ast.FunctionDef)
    _, wanted = DEMANDED[name]
    assert set(wanted) <= arguments_of(function) - optional_arguments_of(function)
    assert set(wanted) <= names_used_in(function), "demanded, but not used"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Scope, {"workspace_id", "connection_id", "sync_id", "entity"}),
        (Cause, {"workspace_id", "environment"}),
        (Lease, {"table", "pk", "fence"}),
    ],
)
def test_what_stands_for_a_scope_cannot_be_made_without_it(kind: Any, names: set[str]) -> None:
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    assert names <= required
