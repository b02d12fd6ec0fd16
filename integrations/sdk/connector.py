"""The contract of a connector. Everything is declared; methods only where a system is odd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Protocol
from zoneinfo import ZoneInfo

from core.errors import NotSupportedError
from core.http import Door, Request, Response
from integrations.sdk.auth import Auth
from integrations.sdk.declarations import ConfigField, Limits, Resource
from integrations.sdk.hooks import Hooks
from integrations.sdk.pages import CheckResult, Page, Position, Window
from integrations.sdk.raw_calls import READING_METHODS
from integrations.sdk.unmapping import Unmapping
from integrations.sdk.writes import Change, JobState, Sent, WriteCall

PATIENCE_SECONDS = 60.0
"""How long a token is waited for where nobody says otherwise."""


class Tokens(Protocol):
    """Where a connector gets the token of its calls. Nobody else gets one for the same connection meanwhile.

    Errors of both: AuthError when somebody must sign in again, ConfigError for the operator, TransientError and
    RateLimitedError when no token could be had within about `seconds`.
    """

    def current(self, seconds: float = PATIENCE_SECONDS) -> str:
        """A token that has not ended yet, as far as is known."""
        ...

    def renew(self, refused: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Another token than the one that the system refused."""
        ...


@dataclass
class ConnectorSettings:
    """What one connection gives its connector: plain settings, secrets in clear, time zone, page size (records).

    `tokens` for systems whose sign-in ends. `reread` answers the secrets as their stores have them now, None when they
    are not to be had for this place any more.
    """

    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    page_size: int | None = None
    tokens: Tokens | None = field(default=None, repr=False)
    reread: Callable[[], Mapping[str, str] | None] | None = field(default=None, repr=False)


class Connector:
    """Speaks to one instance of one system. Not shared between threads, but may be handed from one to another."""

    slug: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[str] = "1"  # a new one writes a new default mapping
    docs: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    categories: ClassVar[tuple[str, ...]] = ()  # what kind of system it is, as people look for it: ERP, CMMS
    config: ClassVar[tuple[ConfigField, ...]] = ()
    auth: ClassVar[Auth | None] = None  # None: the protocol signs in by itself
    limits: ClassVar[Limits] = Limits()
    hooks: ClassVar[Hooks | None] = None  # what the system tells by itself; None: it does not
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
    # The least that every connector has. A protocol may have some of it only, so the class is not abstract: the contract
    # suite calls each of the four.

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

    # --- written ------------------------------------------------------------------------------------------------

    def probe(self) -> dict[str, dict[str, bool]]:
        """What this account may do: {entity: {"read" | "create" | "update" | "delete": may}}; what is not named is not
        known. Reads only. A system that cannot tell answers nothing."""
        return {}

    def plan(self, resource: Resource, change: Change, unmapping: Unmapping) -> list[WriteCall]:
        """The requests that make the change, in order. May look things up, never writes.

        Errors: ValidationFailedError with a pointer per value that cannot be said to the system, NotSupportedError.
        """
        raise NotSupportedError(f"The connector of {self.title} does not write {resource.spec.title.lower()}s.")

    def send_call(self, resource: Resource, call: WriteCall, *, not_after: float | None = None) -> Sent:
        """Send one planned request, no first byte after `not_after` (on the clock of time.monotonic()).

        Errors: TimeoutUnknownError, TransientError with a status or BadAnswerError where it may have been done;
        UnreachableError and the refusals (validation, business rule, permission, conflict, ...) where it was not.
        """
        raise NotSupportedError(f"The connector of {self.title} does not write.")

    def find_marked(self, resource: Resource, change: Change, since: datetime) -> list[str]:
        """Remote ids of objects made since then (remote's clock, aware UTC) that carry the change's mark."""
        raise NotSupportedError(f"{self.title} cannot be searched for what we made.")

    def was_done(self, resource: Resource, call: WriteCall) -> bool:
        """Whether a request of a marked action, whose answer was lost, was done. Reads only."""
        raise NotSupportedError(f"{self.title} cannot be searched for what we did.")

    def poll(self, resource: Resource, job: Mapping[str, Any]) -> JobState:
        """Ask how an accepted job stands."""
        raise NotSupportedError(f"{self.title} answers at once; there is no job to ask for.")

    def encode(self, kind: str, value: Any) -> Any:
        """A unified value as the system writes it in JSON: kinds as of unified fields. Numbers come as Decimal."""
        return value

    @classmethod
    def is_read(cls, method: str, path: str) -> bool:
        """Whether a raw call only reads, so that the scope to read is enough for it."""
        return method in READING_METHODS

    def passthrough(
        self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], body: Any
    ) -> Response:
        """Make a raw call with the connection's credential and answer whatever status came. `body` UNSET is none.

        Where the path leads is checked in here, by what the system's paths are. One that may write is sent as a write.
        """
        raise NotSupportedError(f"{self.title} takes no raw calls.")

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

    def reread_secrets(self) -> bool:
        """After a refusal: take the secrets anew from where they are kept. Whether any is another now."""
        found = self.settings.reread() if self.settings.reread else None
        if found is None or dict(found) == dict(self.settings.secrets):
            return False
        self.door.hide(*found.values())
        self.settings.secrets = found
        return True

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
