"""What happens on the stage, in this order. Each act takes the stage, and asserts only that it happened at all."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

from django.contrib.auth import get_user_model
from django_scopes import scopes_disabled

from syncs.models import Operation, SyncRun
from tests.canary.people import Browser, Service
from tests.canary.scanner import core_of
from tests.canary.stage import ADMIN, CUSTOMER, REFERENCE, STRANGERS, Stage, grants_of
from tests.chaos.processes import until
from tests.unit.test_connections_lifecycle import certificate

PATIENCE = 60.0
ENDED_RUNS = ("completed", "failed", "cancelled", "needs_review")
OPEN_OPERATIONS = ("queued", "running")


# --- putting secrets in -----------------------------------------------------------------------------------------------


def connect_by_api(stage: Stage) -> None:
    """Good connections, one for each way to sign in and each place where a secret can be."""
    accepted = {name: stage.canary(f"{name} of a connection") for name in ("header key", "password", "query key")}
    careless = stage.canary("key of a careless connector")
    public, private = certificate()
    stage.scanner.add("client key", _middle_of(private))
    kept = stage.canary("secret in Vault")
    stage.vault.put("kv/nordring/erp", key=kept)
    stage.rude.credentials |= {*accepted.values(), careless, kept}
    extra = {"client_certificate": public, "client_key": private}
    _make(stage, "by header", "by-header", {"api_key": accepted["header key"]}, **extra)
    _make(stage, "by basic", "by-basic", {"password": accepted["password"]}, config={"user": "integration"})
    _make(stage, "by query", "by-query", {"api_key": accepted["query key"]})
    _make(stage, "careless", "careless", {"api_key": careless})
    _make(stage, "by env", "by-header", {"api_key": {"ref": f"env:{REFERENCE}"}})
    _make(stage, "by vault", "by-header", {"api_key": {"ref": "vault:kv/nordring/erp#key"}})
    password = stage.scanner.add("password of a session", stage.oauth.password)
    session = {"user": stage.oauth.username}
    _make(stage, "by session", "session-erp", {"password": password}, config=session, base_url=stage.oauth.base_url)
    stage.scanner.add("session of a system", json.loads(grants_of(stage.connections["by session"]))["access_token"])


def connect_wrongly(stage: Stage) -> None:
    """What is refused by the system, by us, and what breaks."""
    for system, field, config in (
        ("by-header", "api_key", {}),
        ("by-basic", "password", {"user": "integration"}),
        ("by-query", "api_key", {}),
    ):
        wrong = {field: stage.canary(f"wrong secret, {system}")}
        _make(stage, f"wrong {system}", system, wrong, config=config, status="pending")
    refused = _connection(stage, "x" * 300, "by-header", {"api_key": stage.canary("secret beside a wrong value")}, {})
    assert stage.api.post("connections", refused).status_code == 422
    shown = stage.connections["by header"]
    for name, body in {
        "secret of no such field": {"secrets": {"nothing": stage.canary("secret of no such field")}},
        "secret in a setting": {
            "config": {"base_url": f"https://u:{stage.canary('password in an address')}@erp.example"}
        },
        "reference": {"secrets": {"api_key": {"ref": "vault:elsewhere/erp#key"}}},
    }.items():
        assert stage.api.call("PATCH", f"connections/{shown}", json=body).status_code in (400, 422), name
    cut_short = json.dumps({"secrets": {"api_key": stage.canary("secret in broken JSON")}})[:-2]
    headers = {"Content-Type": "application/json"}
    assert stage.api.call("PATCH", f"connections/{shown}", data=cut_short, headers=headers).status_code == 400


def connect_by_oauth(stage: Stage) -> None:
    """The OAuth client by API, then a customer through Link, to the token that the product gets."""
    client: dict[str, object] = {"oauth_client_id": stage.oauth.client_id, "oauth_hosts": [stage.oauth.host]}
    client["oauth_client_secret"] = stage.scanner.add("OAuth client secret", stage.oauth.client_secret)
    assert stage.api.call("PATCH", "systems/oauth-erp/settings", json=client).status_code == 200
    redirect_uri = "https://product.example/linked"
    stage.workspace.link_redirect_uris = [redirect_uri]
    stage.workspace.save()
    address, browser = _invite(stage, "oauth-erp", redirect_uri=redirect_uri)
    browser.post(address, {})
    page = browser.post(f"{address}/connect", {"base_url": stage.oauth.base_url, "of": "oauth-erp"})
    leaving = re.search(r'href="([^"]+)" rel="noreferrer" data-forward', page.text)
    assert leaving, page.text[-2000:]
    answer = stage.oauth.agree(unescape(leaving[1]))
    stage.scanner.add("code of OAuth", answer["code"])
    came = browser.get("/link/oauth/callback?" + "&".join(f"{name}={value}" for name, value in answer.items()))
    assert came.url.endswith("/result"), came.text[-2000:]
    done = browser.post(f"{address}/share", {"vendor": "read", "purchase_order": "read"})
    code = re.search(r"linked\?code=([A-Za-z0-9_-]+)", unescape(done.text))
    assert code, done.text[-3000:]
    stage.scanner.add("code of Link", code[1], CUSTOMER)
    # Here a token is told, to the one it is for.
    exchanged = stage.api.post("link-sessions/exchange", {"code": code[1]}, heard=False).json()
    stage.scanner.add("token of a connection", exchanged["token"])
    stage.connections["by oauth"] = exchanged["connection"]["id"]
    grant = json.loads(grants_of(exchanged["connection"]["id"]))
    for name in ("access_token", "refresh_token"):
        stage.scanner.add(f"OAuth {name}", grant[name])


def connect_who_will_leave(stage: Stage) -> None:
    """A customer with a system of their own, whose word stands in everything that is theirs."""
    word, server, key = stage.customer_word, stage.leaving, stage.canary("key of the customer who leaves")
    server.credentials.add(key)
    for remote_id in list(server.orders):
        server.change("orders", remote_id, notes=word, vendor_name=word)
    for remote_id in list(server.vendors):
        server.change("vendors", remote_id, name=word)
    address: dict[str, Any] = {"base_url": server.base_url, "metadata": {"region": word}}
    _make(stage, "leaving", "by-header", {"api_key": key}, name_of=word, **address)
    about: dict[str, Any] = {"headers": {**stage.api.about(stage.connections["leaving"]), "Prefer": "wait=2"}}
    stage.api.post("purchase-orders", {"notes": word, "vendor": {"remote_id": "1"}}, **about)
    stage.api.post("passthrough", {"method": "POST", "path": "/nothing", "body": {"who": word}}, **about)


def leave_link_half_way(stage: Stage) -> None:
    """One secret stays in a session that is not finished, another one was refused."""
    address, browser = _invite(stage, "by-header")
    browser.post(address, {})
    wrong, right = stage.canary("wrong secret on Link"), stage.canary("secret of a session half-way")
    stage.rude.credentials.add(right)
    form = {"base_url": stage.rude.base_url, "of": "by-header"}
    refused = browser.post(f"{address}/connect", {**form, "api_key": wrong})
    assert refused.status_code == 422, refused.text[-2000:]
    browser.post(
        f"{address}/connect", {**form, "base_url": "nonsense", "api_key": stage.canary("secret beside nonsense")}
    )
    assert browser.post(f"{address}/connect", {**form, "api_key": right}).url.endswith("/result")
    for step in ("", "/system", "/connect", "/result", "/share", "/theme.css", "/cancel"):
        browser.get(address + step)


# --- misuse -----------------------------------------------------------------------------------------------------------


def be_told(stage: Stage) -> None:
    """An endpoint with its signing secret, rotated, looked at, and sent to."""
    made = stage.api.post("webhook-endpoints", {"url": "https://product.example/hooks"}, heard=False).json()
    address, told = f"webhook-endpoints/{made['id']}", [made["secret"]]
    for _ in range(5):
        told.append(stage.api.post(f"{address}/rotate-secret", {}, heard=False).json()["secret"])
    # Base64 has signs that are escaped here and there: those that are too broken by them to be looked for are left out.
    whole = [secret for one in told if len(core_of(secret := one.removeprefix("whsec_"))) >= 16]
    assert len(whole) >= 2
    for number, secret in enumerate(whole):
        stage.scanner.add(f"webhook secret {number}", secret)
    assert stage.api.get(address).status_code == stage.api.get("webhook-endpoints").status_code == 200
    assert stage.api.post(f"{address}/test", {}).status_code < 300


def misuse_tokens(stage: Stage) -> None:
    """Tokens where they do not belong, and ones that are none."""
    clear = next(canary.value for canary in stage.scanner.canaries if canary.name == "API token")
    nobody = Service(stage.platform.url, stage.heard, None)
    assert nobody.get("connections", params={"token": clear}).status_code == 401
    nobody.get(f"connections/{clear}")
    stage.api.get("connections", params={"token": clear})
    stage.api.get(f"connections/{clear}")
    stage.api.get("records", headers={"X-Connection-Id": clear})
    stage.api.post("tokens", {"name": "x", "scopes": [], "token": clear})
    for path in (f"/admin/?token={clear}", f"/nothing/{clear}", f"/link/{clear}", f"/?access_token={clear}"):
        stage.browser(STRANGERS).get(path)
    wrong = clear[:-6] + "000000"
    Service(stage.platform.url, stage.heard, wrong).get("connections")
    Service(stage.platform.url, stage.heard, stage.canary("no token at all")).get("connections")
    basic = stage.canary("password sent as Basic")
    nobody.get("connections", auth=("integration", basic))


def misuse_sign_in(stage: Stage) -> Browser:
    """A wrong password, then the right one. Answers the browser that is signed in."""
    password = stage.canary("password of a person")
    get_user_model()._default_manager.create_superuser("operator", "operator@nordring.example", password)
    browser = stage.browser(ADMIN)
    wrong = {"username": "operator", "password": stage.canary("wrong password at the sign-in")}
    assert browser.post("/admin/login/?next=/admin/", wrong).url.endswith("next=/admin/")
    assert browser.post("/admin/login/?next=/admin/", {"username": "operator", "password": password}).url.endswith(
        "/admin/"
    )
    return browser


def pass_through(stage: Stage) -> None:
    """Secrets in raw calls: refused ones, and one that the system echoes."""
    for name in ("by header", "by basic", "by query"):
        connection = stage.connections[name]
        about: dict[str, Any] = {"headers": stage.api.about(connection)}
        stage.api.post("passthrough", {"method": "GET", "path": "/orders"}, **about)
        for bad in (
            {"headers": {"Authorization": f"Bearer {stage.canary(f'header of a raw call, {name}')}"}},
            {"headers": {"X-Api-Key": stage.canary(f"key of a raw call, {name}")}},
            {"query": {"api_key": stage.canary(f"query of a raw call, {name}")}},
            {"query": {"access_token": stage.canary(f"token in a raw call, {name}")}},
        ):
            stage.api.post("passthrough", {"method": "GET", "path": "/orders", **bad}, **about)
        body = {"password": stage.canary(f"password in a raw body, {name}"), "items": [{"client_secret": "x"}]}
        stage.api.post("passthrough", {"method": "POST", "path": "/nothing", "body": body}, **about)
        stage.api.post(
            "passthrough", {"method": "POST", "path": f"/no?api_key={body['password']}", "body": body}, **about
        )
    stage.rude.refuses, stage.rude.on = "500 Internal Server Error", "/"
    for name in ("by header", "by basic", "by query"):
        about = {"headers": stage.api.about(stage.connections[name])}
        for path in ("/orders", "/vendors", "/me"):  # each time the echo has another form
            stage.api.post("passthrough", {"method": "GET", "path": path}, **about)
    stage.rude.refuses = ""


# --- work -------------------------------------------------------------------------------------------------------------


def sync(stage: Stage) -> None:
    """Every connection once to the end, by tick and workers."""
    _wait_for_runs(stage, least=len(stage.connections))


def show_bugs(stage: Stage) -> None:
    """A connector breaks in the web process and in the worker."""
    stage.rude.bugs = True
    connection = stage.connections["careless"]
    stage.api.post(f"connections/{connection}/check")
    broken = {"api_key": stage.canary("key in an exception")}
    stage.rude.credentials.add(broken["api_key"])
    stage.api.post("connections", _connection(stage, "breaks", "careless", broken, {}))
    before = _runs_ended()
    for one in stage.api.get("syncs", params={"connection": connection}).json()["data"]:
        stage.api.post(f"syncs/{one['id']}/runs", {"mode": "full"})
    about = stage.api.about(connection)
    for record in stage.api.get("purchase-orders", headers=about).json()["data"][:2]:
        stage.api.post(f"purchase-orders/{record['id']}/refresh", headers=about)
    _wait_for_runs(stage, least=before + 1)
    stage.rude.bugs = False


def write(stage: Stage) -> None:
    """Orders that go well, that are refused with an echo, and of which nobody knows."""
    for status in ("", "422 Unprocessable Entity", "500 Internal Server Error", "401 Unauthorized"):
        stage.rude.refuses, stage.rude.on = status, "/orders"
        for name in ("by header", "by basic", "by query"):
            headers = {**stage.api.about(stage.connections[name]), "Prefer": "wait=2"}
            told = stage.api.post(
                "purchase-orders", {"notes": f"as {status}", "vendor": {"remote_id": "1"}}, headers=headers
            )
            assert told.status_code == 201 or status, told.text
    stage.rude.refuses = ""

    def ended() -> bool:
        with scopes_disabled():
            return not Operation.objects.filter(status__in=OPEN_OPERATIONS, attempts=0).exists()

    until(ended, seconds=PATIENCE, what="each operation was tried")


def refuse_everything(stage: Stage) -> None:
    """Runs, checks and re-reads while the system refuses with an echo."""
    for status in ("500 Internal Server Error", "403 Forbidden", "401 Unauthorized"):
        stage.rude.refuses = stage.leaving.refuses = status
        stage.rude.on = "/"
        before = _runs_ended()
        _request_runs(stage)
        _wait_for_runs(stage, least=before + 1)
        for connection in stage.connections.values():
            stage.api.post(f"connections/{connection}/check")
    stage.rude.refuses = stage.leaving.refuses = ""


def renew_by_oauth(stage: Stage) -> None:
    """The system withdraws its consent, so that a renewal fails; before that one goes well."""
    connection = stage.connections["by oauth"]
    stage.oauth.expire()
    stage.api.post(f"connections/{connection}/check")
    grant = json.loads(grants_of(connection))
    for name in ("access_token", "refresh_token"):
        stage.scanner.add(f"renewed OAuth {name}", grant[name])
    stage.oauth.revoke()
    stage.api.post(f"connections/{connection}/check")


# --- looking ----------------------------------------------------------------------------------------------------------


def read_all(stage: Stage) -> None:
    """Every list of the API, every object that a list names, and what hangs on a connection."""
    for path in (
        "systems", "connections", "link-sessions", "upstream-calls", "sync-status", "syncs", "sync-runs", "operations",
        "events", "tokens", "audit-events", "audit-events/export",
    ):  # fmt: skip
        listed = stage.api.get(path)
        assert listed.status_code == 200, listed.text
        rows = listed.json().get("data", []) if listed.headers["Content-Type"] == "application/json" else []
        for row in rows:
            if path not in ("events", "upstream-calls", "sync-status"):
                stage.api.get(f"{path}/{row.get('id') or row['slug']}")
            if path == "sync-runs":
                stage.api.get(f"{path}/{row['id']}/errors")
    for connection in stage.connections.values():
        for path in ("health", "capabilities", "mappings", "tokens", "sync-status"):
            stage.api.get(f"connections/{connection}/{path}")
        for entity in ("purchase-orders", "vendors"):
            about = stage.api.about(connection)
            records = stage.api.get(entity, headers=about, params={"include": "raw"}).json().get("data", [])
            for record in records[:1]:
                stage.api.get(f"{entity}/{record['id']}", headers=about)
                stage.api.post(f"{entity}/{record['id']}/refresh", headers=about)
    stage.api.get("systems/oauth-erp/settings")


def work_in_the_admin(stage: Stage, browser: Browser) -> list[str]:
    """Every page, and forms that are sent back with their faults. Answers the pages that were opened."""
    shown = stage.connections["by header"].removeprefix("con_")
    change = f"/admin/connections/connection/{_dashed(shown)}/change/"
    wrong = {"name": "", "secret__api_key": stage.canary("secret typed beside a fault")}
    browser.post(change, wrong)
    add = "/admin/connections/connection/add/?system=by-header"
    values = {
        "name": "By hand", "environment": "live", "time_zone": "UTC", "metadata": "{}",
        "workspace": str(stage.workspace.pk), "config__base_url": stage.rude.base_url,
        "secret__api_key": stage.canary("wrong secret typed in the admin"),
    }  # fmt: skip
    browser.post(add, values)
    return browser.crawl()


# --- inside -----------------------------------------------------------------------------------------------------------


def _connection(stage: Stage, name: str, system: str, secrets: Any, config: Any, base_url: str = "") -> dict[str, Any]:
    return {
        "system": system,
        "name": name,
        "customer_reference": f"reference of {name}"[:100],
        "config": {"base_url": base_url or stage.rude.base_url, **config},
        "secrets": secrets,
    }


def _make(
    stage: Stage, name: str, system: str, secrets: Any, *, config: Any = None, base_url: str = "",
    status: str = "active", name_of: str = "", **more: Any,
) -> None:  # fmt: skip
    body = {**_connection(stage, name_of or name, system, secrets, config or {}, base_url), **more}
    answer = stage.api.post("connections", body)
    assert answer.status_code == 201 and answer.json()["status"] == status, answer.text
    stage.connections[name] = answer.json()["id"]


def _invite(stage: Stage, system: str, **wishes: Any) -> tuple[str, Browser]:
    wishes = {"system": system, "name": f"by link {system}", **wishes}
    told = stage.api.post("link-sessions", wishes, heard=False)
    token = told.json()["url"].rpartition("/")[2]
    stage.scanner.add(f"token of a link session, {system}", token, CUSTOMER)
    return f"/link/{token}", stage.browser(CUSTOMER)


def _request_runs(stage: Stage) -> None:
    for one in stage.api.get("syncs").json()["data"]:
        stage.api.post(f"syncs/{one['id']}/runs", {"mode": "full"})


def _runs_ended() -> int:
    with scopes_disabled():
        return int(SyncRun.objects.filter(status__in=ENDED_RUNS).count())


def _wait_for_runs(stage: Stage, *, least: int) -> None:
    def ended() -> bool:
        with scopes_disabled():
            waiting = SyncRun.objects.exclude(status__in=ENDED_RUNS).exclude(status="waiting")
            return _runs_ended() >= least and not waiting.exists()

    until(ended, seconds=PATIENCE, what="the runs end")


def _middle_of(pem: str) -> str:
    """The line of it with the longest run of letters and digits."""
    lines = [line for line in pem.splitlines() if not line.startswith("-")]
    return max(lines, key=lambda line: max(map(len, re.findall("[A-Za-z0-9]+", line))))


def _dashed(hexadecimal: str) -> str:
    parts = (hexadecimal[:8], hexadecimal[8:12], hexadecimal[12:16], hexadecimal[16:20], hexadecimal[20:])
    return "-".join(parts)
