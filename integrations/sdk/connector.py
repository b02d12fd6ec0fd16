"""The contract of a connector. Everything is declared; methods only where a system is odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from core.errors import NotSupportedError
from core.http import Door, Request, Response
from integrations.sdk.declarations import ConfigField, Limits, Resource
from integrations.sdk.pages import CheckResult, Page, Position, Window


@dataclass
class ConnectorSettings:
    """What one connection gives its connector: plain settings, secrets in clear, time zone, page size (records)."""

    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    page_size: int | None = None


class Connector:
    """Speaks to one instance of one system. Not shared between threads, but may be handed from one to another."""

    slug: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[str] = "1"  # a new one writes a new default mapping
    docs: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    config: ClassVar[tuple[ConfigField, ...]] = ()
    limits: ClassVar[Limits] = Limits()
    simulated: ClassVar[bool] = False
    call_seconds: ClassVar[float] = 60.0  # total time limit of one call; leases cover it

    def __init__(self, settings: ConnectorSettings, door: Door) -> None:
        self.settings = settings
        self.door = door
        self._clock_offset_seconds: float | None = None

    # --- declared -----------------------------------------------------------------------------------------------

    @classmethod
    def resources(cls) -> dict[str, Resource]:
        """Entity name -> resource, collected from the class attributes in order of declaration."""
        found: dict[str, Resource] = {}
        for klass in reversed(cls.__mro__):
            for value in vars(klass).values():
                if isinstance(value, Resource):
                    found[value.spec.name] = value
        return found

    @classmethod
    def resource(cls, entity: str) -> Resource:
        """The resource of an entity; NotSupportedError when the system has none."""
        try:
            return cls.resources()[entity]
        except KeyError:
            raise NotSupportedError(f"{cls.title} has no {entity.replace('_', ' ')} that can be read.") from None

    # --- spoken -------------------------------------------------------------------------------------------------

    def check(self) -> CheckResult:
        """Sign in with one cheap call and tell who we are. Errors name what to mend and who must."""
        raise NotImplementedError

    def fetch_page(self, resource: Resource, window: Window, position: Position | None) -> Page:
        """Fetch one page of a walk; `position` None is the first."""
        raise NotImplementedError

    def fetch_one(self, resource: Resource, remote_id: str) -> bytes:
        """Read one object again, as its list shows it. NotFoundError only when the system says that it is gone."""
        raise NotImplementedError

    def decode(self, raw: bytes) -> Any:
        """Bytes of one object to the value that source paths look into."""
        raise NotImplementedError

    def now(self) -> datetime:
        """The remote's clock (aware UTC), as its last answer told. Asks once; one that tells no time has ours."""
        if self._clock_offset_seconds is None:
            self._clock_offset_seconds = 0.0
            self.check()
        offset = self._clock_offset_seconds or 0.0
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + offset, UTC)

    def page_size(self) -> int:
        """Records a page: the connection's wish within the system's limit."""
        return min(self.settings.page_size or self.limits.page_size, self.limits.page_size)

    def send(self, request: Request) -> Response:
        """Send through the door, remembering the remote's clock from its Date header (whole seconds)."""
        response = self.door.send(request)
        if date := response.headers.get("Date"):
            try:
                seen = parsedate_to_datetime(date)
            except ValueError:
                return response  # a server without a usable clock: ours serves
            offset = seen.timestamp() - datetime.now(UTC).timestamp()
            # The header has whole seconds: less than that is no difference.
            self._clock_offset_seconds = 0.0 if abs(offset) < 2 else offset
        return response
