"""Everything happens here: canaries are put in everywhere, then all that can go well and wrong with them goes so."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from django_scopes import scopes_disabled

from connections.models import Grant
from tests.canary.people import Browser, Heard, Service
from tests.canary.platform import Platform, running
from tests.canary.scanner import Scanner, new_canary
from tests.canary.system import RudeServer
from tests.oauth.running import OAuthServer, oauth_server
from tests.stores.vault import Vault, running_vault
from tests.tenants import make_token, make_workspace
from workspaces.models import SecretPrefix, Workspace
from workspaces.secrets import open_secret

CUSTOMER, ADMIN, STRANGERS = "the customer's own pages", "admin pages", "pages of strangers"
REFERENCE = "LINESHAFT_REF_CANARY"


@dataclass
class Stage:
    """What the acts work with. `connections`: name -> shown id; `evidence`: place -> piece -> bytes."""

    platform: Platform
    rude: RudeServer
    leaving: RudeServer
    oauth: OAuthServer
    workspace: Workspace
    scanner: Scanner
    heard: Heard
    api: Service
    vault: Vault
    connections: dict[str, str] = field(default_factory=dict)
    customer_word: str = field(default_factory=lambda: f"customer{secrets.token_hex(12)}")
    """Stands in all that is the customer's who leaves."""

    def browser(self, place: str) -> Browser:
        return Browser(self.platform.url, self.heard, place)

    def canary(self, name: str, *allowed: str) -> str:
        return self.scanner.add(name, new_canary(), *allowed)


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """The platform, the systems beside it, a workspace with a token, and a person for the admin."""
    scanner, heard = Scanner(), Heard()
    with ExitStack() as stack:
        rude, leaving = RudeServer(), RudeServer()
        for server in (rude, leaving):
            stack.callback(server.stop)
            server.add_orders(3)
            server.add_vendors(3)
        oauth, vault = stack.enter_context(oauth_server()), stack.enter_context(running_vault())
        vault.tokens.add(vault_token := scanner.add("token of the secrets manager", new_canary()))
        environment = {
            "VAULT_ADDR": vault.address,
            "VAULT_TOKEN": vault_token,
            REFERENCE: scanner.add("secret in the environment", new_canary()),
        }
        workspace = make_workspace("Nordring")
        allow_references(workspace)
        clear = scanner.add(
            "API token", make_token(workspace)[1], STRANGERS
        )  # the address asked for is shown to who asked
        platform = stack.enter_context(running(folder, environment))
        oauth.set_redirect_uri(f"{platform.url}/link/oauth/callback")
        rude.credentials.add(environment[REFERENCE])
        api = Service(platform.url, heard, clear)
        yield Stage(platform, rude, leaving, oauth, workspace, scanner, heard, api, vault)


def allow_references(workspace: Workspace) -> None:
    with scopes_disabled():
        for prefix in (f"env:{REFERENCE}", "vault:kv/nordring/"):
            SecretPrefix.objects.create(workspace=workspace, prefix=prefix)


def grants_of(connection: str) -> str:
    """The tokens that a system gave, as they are stored."""
    with scopes_disabled():
        return open_secret(Grant.objects.get(connection_id=UUID(connection.removeprefix("con_"))))
