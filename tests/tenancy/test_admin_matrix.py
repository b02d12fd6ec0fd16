"""Every screen of the admin as its owner, a member of another workspace, an auditor, a person of none, and nobody."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db.models import ForeignKey
from django.test import RequestFactory
from django.urls import reverse
from django_scopes import scope, scopes_disabled

from console.home import home_context
from tests.tenancy.screens import (
    ADDITIONS,
    CLOSED,
    DOES_NOT_WRITE,
    LOGIN,
    NOT_FOR_AUDITORS,
    OPERATORS_ONLY,
    SITE,
    Screen,
    add_to_both,
    open_screen,
    request_of_owner,
    rows_made,
    screens,
    site_screens,
    stranger_is_refused,
    visit,
)
from tests.tenancy.world import World, state_of
from workspaces.models import Membership

pytestmark = pytest.mark.filterwarnings("ignore:No directory at")
SCREENS = screens()
LISTS = [screen for screen in SCREENS if screen.name == "changelist" and screen.model not in OPERATORS_ONLY]
ADD_SCREENS = [screen for screen in SCREENS if screen.name == "add"]
BOTH_SIDES = ("", "status/")
every = pytest.mark.parametrize


def test_every_address_of_the_site_is_known() -> None:
    assert site_screens() == set(SITE), "a new address of the admin site: who may see what it shows?"
    assert len(SCREENS) > 60 and len(LISTS) >= 8
    assert set(CLOSED) <= {screen.key for screen in SCREENS}


@every("screen", SCREENS, ids=str)
def test_screen_for_its_owner_and_for_others(world: World, screen: Screen) -> None:
    answer, closed = open_screen(world, world.mine.people["owner"], screen), screen.is_closed_to_owner(world)
    if closed:
        assert answer.status in (403, 404), f"the owner gets {answer.status}: is {screen} closed?"
    else:
        assert answer.status in (200, 302) and LOGIN not in answer.headers, (
            f"the owner gets {answer.status} for {screen}"
        )
    assert not answer.leaks(world.theirs.traces)
    before, address = state_of(world.mine), screen.address(world.mine)
    for method in ("get", "post"):
        assert_stranger_is_refused(world, screen, method, closed=closed)
        outside = visit(world, world.nobody, address, method=method)
        assert outside.status in (403, 404) or screen.name == "redirect", f"no member gets {outside.status}"
        assert not outside.leaks(world.mine.traces | world.theirs.traces, sent=address)
        anonymous = visit(world, None, address, method=method)
        assert anonymous.status == 302 and LOGIN in anonymous.headers, f"anonymous gets {anonymous.status}"
    assert state_of(world.mine) == before, "a refused request wrote something"


def assert_stranger_is_refused(world: World, screen: Screen, method: str, *, closed: bool) -> None:
    """404. What is refused to everybody may be 403, as long as it is for an id that nobody has."""
    stranger, address = world.theirs.people["owner"], screen.address(world.mine)
    told = f"a stranger gets {{}} for {method} of {screen}"
    if screen.is_object and screen.name != "redirect":
        refused_to_all = closed or (method == "post" and screen.name == "change")
        expected = (403, 404) if refused_to_all else (404,)
        stranger_is_refused(world, stranger, screen, method, expected=expected, told=told)
        return
    answer = visit(world, stranger, address, method=method, keep=True)
    assert not answer.leaks(world.mine.traces, sent=address), told.format(answer.status)
    assert screen.name != "redirect" or answer.status == 302, "it leads to the page of any id, there or not"


@every("screen", SCREENS, ids=str)
def test_screen_for_who_may_only_look(world: World, screen: Screen) -> None:
    """An auditor, and an auditor who is an owner elsewhere."""
    closed, address = screen.is_closed_to_owner(world), screen.address(world.mine)
    people = [world.mine.people["auditor"], add_to_both(world)]
    before = state_of(world.mine)
    for person in people:
        seen, posted = visit(world, person, address), visit(world, person, address, method="post")
        told = f"{person.username} gets {seen.status} for GET and {posted.status} for POST of {screen}"
        if closed or screen.name in NOT_FOR_AUDITORS:
            # Who may write elsewhere can open an empty form; the choice of workspaces is limited to those.
            elsewhere = screen.name == "add" and person is people[1] and not closed
            assert seen.status in ((200,) if elsewhere else (403, 404)), told
        else:
            assert seen.status in (200, 302), told
        if screen.name not in DOES_NOT_WRITE and screen.is_object:
            assert posted.status in (403, 404), told
    assert state_of(world.mine) == before, "who may only look wrote something"


@every("screen", LISTS, ids=str)
def test_list_shows_no_row_choice_or_count_of_others(world: World, screen: Screen) -> None:
    mine, theirs = world.mine.people["owner"], world.theirs.people["owner"]
    address = screen.address(world.mine)
    assert visit(world, mine, address).leaks(world.mine.traces), "the owner sees nothing there, so this proves nothing"
    seen = visit(world, theirs, address)
    assert seen.status == 200 and seen.leaks(world.theirs.traces) and not seen.leaks(world.mine.traces)
    for query in queries_about(world, screen):
        answer = visit(world, theirs, f"{address}?{urlencode(query)}")
        assert answer.status in (200, 302, 404), f"{query}: {answer.status}"
        assert not answer.leaks(world.mine.traces, sent=str(query)), query
    nobody = visit(world, world.nobody, address)
    assert nobody.status == 403 and not nobody.leaks(world.mine.traces | world.theirs.traces)


def queries_about(world: World, screen: Screen) -> list[dict[str, str]]:
    """Searches for what is the owner's, and every filter of the owner's page that names something of the owner."""
    plant = world.plant
    texts = [world.mine.word, plant.word, plant.connection.customer_reference, plant.shown_id, str(plant.connection.pk)]
    queries = [{"q": text} for text in [*texts, plant.token.key, f"{plant.word}-1"]]
    queries += [{name: str(plant.connection.pk)} for name in ("connection", "connection__id__exact")]
    with scope(workspace=[world.mine.workspace.pk]):
        page = screen.admin.get_changelist_instance(request_of_owner(world))
        choices = [choice for spec in page.filter_specs for choice in spec.choices(page)]
    links = [choice["query_string"] for choice in choices if "query_string" in choice]
    about = [link for link in links if any(word in link for word in world.mine.traces)]
    return queries + [dict(parse_qsl(link.lstrip("?"))) for link in about]


@every("screen", LISTS, ids=str)
def test_action_on_rows_of_others_does_nothing(world: World, screen: Screen) -> None:
    actions = list(screen.admin.get_actions(request_of_owner(world)))
    before, address = state_of(world.mine), screen.address(world.mine)
    with scopes_disabled():
        pks = [str(pk) for pk in screen.model._default_manager.values_list("pk", flat=True)]
    for person in (world.theirs.people["owner"], world.mine.people["auditor"], world.nobody):
        for action in [*actions, "delete_selected"]:
            data = {"action": action, "_selected_action": pks, "post": "yes", "index": "0", "select_across": "1"}
            answer = visit(world, person, address, method="post", data=data, keep=True)
            hidden = world.mine.traces if person is world.theirs.people["owner"] else frozenset()
            assert answer.status in (200, 302, 403) and not answer.leaks(hidden, sent=str(pks)), action
    assert state_of(world.mine) == before, "an action on rows of others wrote something"
    for action in actions:
        data = {"action": action, "_selected_action": pks, "index": "0"}
        assert visit(world, world.mine.people["owner"], address, method="post", data=data).status == 302, action


@every("screen", ADD_SCREENS, ids=str)
def test_row_cannot_be_added_to_a_workspace_of_others(world: World, screen: Screen) -> None:
    if screen.is_closed_to_owner(world):
        assert visit(world, world.mine.people["owner"], screen.address(world.mine), method="post").status in (403, 404)
        return
    told = f"{screen}: add what its owner would send to ADDITIONS in tests/tenancy/screens.py."
    assert screen.model in ADDITIONS, told
    query, values = ADDITIONS[screen.model]
    address, data = screen.address(world.mine) + query, {**values, "workspace": str(world.mine.workspace.pk)}
    assert rows_made(world, world.mine.people["owner"], address, data, screen.model) == 1, "the owner could not add it"
    for person in (world.theirs.people["owner"], world.mine.people["auditor"], world.nobody, add_to_both(world)):
        assert rows_made(world, person, address, data, screen.model) == 0, person.username
    form = visit(world, world.theirs.people["owner"], address)
    assert form.status == 403 or not form.leaks(world.mine.traces)


def test_members_of_others_cannot_be_reached_through_the_own_workspace(world: World) -> None:
    """The rows below a workspace are named by id in the form."""
    with scopes_disabled():
        foreign = Membership.objects.get(workspace=world.mine.workspace, role="auditor")
    data = {"name": "Renamed", "memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "1"}
    data |= {"memberships-0-id": str(foreign.pk), "memberships-0-workspace": str(world.theirs.workspace.pk)}
    data |= {"memberships-0-user": foreign.user.username, "memberships-0-role": "owner", "memberships-0-DELETE": "on"}
    before = state_of(world.mine)
    address = reverse("admin:workspaces_workspace_change", args=[world.theirs.workspace.pk])
    visit(world, world.theirs.people["owner"], address, method="post", data=data, keep=True)
    assert state_of(world.mine) == before


@every("path", BOTH_SIDES)
def test_home_shows_the_own_connections_only(world: World, path: str) -> None:
    address = f"{reverse('admin:index')}{path}"
    mine, theirs = world.mine.traces, world.theirs.traces
    seen = visit(world, world.mine.people["owner"], address)
    assert seen.status == 200 and seen.leaks(mine) and not seen.leaks(theirs)
    other = visit(world, world.theirs.people["owner"], address)
    assert other.status == 200 and other.leaks(theirs) and not other.leaks(mine)
    outside = visit(world, world.nobody, address)
    assert outside.status == 200 and not outside.leaks(mine | theirs)
    anonymous = visit(world, None, address)
    assert anonymous.status in (302, 403) and not anonymous.leaks(mine | theirs)


def test_home_counts_the_own_connections_only(world: World) -> None:
    request: Any = RequestFactory().get("/")
    request.user, request.workspace_roles = world.theirs.people["owner"], {world.theirs.workspace.pk: "owner"}
    with scope(workspace=[world.theirs.workspace.pk]):
        assert home_context(request)["total"] == len(world.theirs.places) == 1


def test_search_autocomplete_and_room_lists_reveal_nothing(world: World) -> None:
    root, stranger, mine = reverse("admin:index"), world.theirs.people["owner"], world.mine.traces
    addresses = [f"{root}{room}/" for room in {model._meta.app_label for model in admin.site._registry}]
    for text in (world.mine.word, world.plant.word, world.plant.shown_id):
        addresses += [f"{root}search/?s={text}", f"{root}search/?extended=1&s={text}"]
        addresses += [f"{root}autocomplete/?{urlencode({**field, 'term': text})}" for field in foreign_keys()]
    for model in admin.site._registry:
        kind = ContentType.objects.get_for_model(model)
        addresses.append(f"{root}r/{kind.pk}/{world.plant.connection.pk}/")
    for address in addresses:
        for person in (stranger, world.nobody):
            answer = visit(world, person, address)
            assert answer.status in (200, 403, 404) and not answer.leaks(mine, sent=address), address


def foreign_keys() -> list[dict[str, str]]:
    """Every field an autocomplete box could be made for."""
    return [
        {"app_label": model._meta.app_label, "model_name": str(model._meta.model_name), "field_name": field.name}
        for model in admin.site._registry
        for field in model._meta.get_fields()
        if isinstance(field, ForeignKey)
    ]
