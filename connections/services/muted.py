"""A connector that knows its system and cannot say a word to it: for trying out what would be sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn
from zoneinfo import ZoneInfo

from connections.models import Connection
from connections.services.opening import connector_of
from core.errors import NotSupportedError
from core.http import Door, EgressPolicy, Request, Response
from integrations.sdk.connector import Connector, ConnectorSettings


@dataclass(eq=False)
class AskedNothingError(NotSupportedError):
    """The connector would have to ask the system, which is not done here."""

    default_code = "SYSTEM_NOT_ASKED"


@contextmanager
def muted_connector(connection: Connection) -> Iterator[Connector]:
    """The connection's connector without its secrets and with a door that sends nothing.

    Whatever needs a call raises AskedNothingError, before a name is looked up or a secret is opened.
    Errors: ConfigError SYSTEM_UNKNOWN.
    """
    kind = connector_of(connection)
    plain = {field.name: field.default for field in kind.config if not field.secret and field.default is not None}
    given = ConnectorSettings(
        config=plain | {name: value for name, value in connection.config.items() if value not in (None, "")},
        secrets=_Untold(),
        zone=ZoneInfo(connection.time_zone),
        page_size=connection.page_size,
        tokens=_NoTokens(),
    )
    with _SilentDoor() as door:
        yield kind(given, door)


class _SilentDoor(Door):
    def __init__(self) -> None:
        super().__init__(EgressPolicy("trial", (), frozenset()))

    def send(self, request: Request) -> Response:
        refuse()


class _Untold(Mapping[str, str]):
    """Secrets that nobody may see. There are none to list."""

    def __getitem__(self, name: str) -> str:
        refuse()

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _NoTokens:
    def current(self, seconds: float = 0.0) -> str:
        refuse()

    def renew(self, refused: str, seconds: float = 0.0) -> str:
        refuse()


def refuse() -> NoReturn:
    raise AskedNothingError("The system would have to be asked, and in a trial nothing is sent.")
