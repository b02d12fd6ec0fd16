"""The form of a definition: what pydantic checks and the published JSON Schema tells.

A `Template` is any JSON; each object `{"$": "<expression>"}` in it is replaced by the expression's value. An `Expr` is an
expression alone. Both see `trigger`, `steps` (name -> output of the steps before), `run` {id, flow, started_at},
`connections` (name -> {id, system}), and inside a for-each `item` and `index`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

MAX_STEPS, MAX_NESTING, MAX_FOR_EACH_NESTING = 100, 5, 2
MAX_DEFINITION_BYTES = 128 * 1024
MAX_WAIT_SECONDS = 30 * 86_400

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="Lower-case letters, digits and _")]
Expr = Annotated[str, Field(min_length=1, max_length=1000, description="A JMESPath expression")]
Template = Annotated[
    JsonValue, Field(description='Any JSON; each object {"$": "<expression>"} in it is replaced by its value')
]
Seconds = Annotated[int, Field(ge=0, le=MAX_WAIT_SECONDS)]


class Part(BaseModel):
    """Base of everything in a definition: nothing unknown, nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ConnectionSlot(Part):
    """A connection that the flow works with, bound to a real one when the flow is set up."""

    title: str = Field("", max_length=120)
    system: str | None = Field(None, description="Slug of the system it must be of; absent: of any")
    of_trigger: bool = Field(False, description="It is the connection of the event that started the run")


# --- triggers ---------------------------------------------------------------------------------------------------------


class ScheduleTrigger(Part):
    """At certain times. After an outage once, not for each missed time."""

    on: Literal["schedule"]
    cron: str = Field(max_length=120, description="Five fields: minute hour day month weekday")
    zone: str = Field("UTC", max_length=60, description="IANA name of the time zone, e.g. Europe/Berlin")


class EventTrigger(Part):
    """Events of the feed. Events of records start a run for each record; `trigger.record` is the record as it is then."""

    on: Literal["event"]
    types: list[str] = Field(min_length=1, max_length=20, description="E.g. record.updated, operation.failed, custom.*")
    connections: list[Name] = Field(default=[], max_length=20, description="Names of connections; empty: any")
    entities: list[str] = Field(default=[], max_length=20, description="Of record and operation events; empty: any")
    filter: Expr | None = Field(None, description="Sees `trigger`; a run starts where it is true")
    include_initial: bool = Field(False, description="Also record events of first syncs")
    include_remap: bool = Field(False, description="Also record events of re-mapping")
    include_own: bool = Field(False, description="Also events that runs of this flow caused, five deep at most")


class HookSignature(Part):
    """How the sender signs: a header with the HMAC-SHA-256 of the body."""

    header: str = Field(max_length=60)
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = Field("", max_length=20, description="What stands before the signature, e.g. sha256=")


class HookTrigger(Part):
    """A message to the flow's own address, whose last part is a secret. `trigger.body` is its JSON."""

    on: Literal["hook"]
    signature: HookSignature | None = None


class ApiTrigger(Part):
    """A call of the API, or the button in the admin. `trigger.body` is what was sent."""

    on: Literal["api", "manual"]


Trigger = Annotated[ScheduleTrigger | EventTrigger | HookTrigger | ApiTrigger, Field(discriminator="on")]


class Queue(Part):
    """How many runs of the flow are under way at once; the others wait in the order they came."""

    mode: Literal["parallel", "one_at_a_time"] = "parallel"
    limit: int = Field(10, ge=1, le=100, description="Of `parallel`")

    @property
    def at_once(self) -> int:
        return 1 if self.mode == "one_at_a_time" else self.limit


# --- steps ------------------------------------------------------------------------------------------------------------


class Retry(Part):
    """Attempts after one that failed for sure and may work later. Never after an outcome that is not known."""

    attempts: int = Field(3, ge=1, le=20, description="In all; 1: no second one")
    seconds: float = Field(10, ge=0, le=86_400, description="Before the second attempt")
    factor: float = Field(2, ge=1, le=10, description="Each further pause is so many times longer")
    max_seconds: float = Field(3600, ge=0, le=86_400)


class OnError(Part):
    """Steps that are done instead of failing; they see `error` {code, message, category, step}."""

    steps: list[Step] = Field(min_length=1, max_length=20)


class StepBase(Part):
    """What every step says. `TEMPLATES` and `EXPRESSIONS` name the fields that are evaluated before it is done."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ()
    EXPRESSIONS: ClassVar[tuple[str, ...]] = ()

    name: Name
    title: str = Field("", max_length=120)
    when: Expr | None = Field(None, description="The step is skipped where this is not true")
    retry: Retry = Retry()
    timeout_seconds: int | None = Field(
        None, ge=1, le=MAX_WAIT_SECONDS, description="All attempts together, pauses included"
    )
    on_error: Literal["fail", "continue"] | OnError = Field(
        "fail", description="`continue`: the output is {error}, and the run goes on"
    )


class ListRecords(StepBase):
    """Records of the copy. Output: {records, count, is_cut}."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("where", "changed_since")
    do: Literal["list_records"]
    connection: Name
    entity: str
    where: dict[str, Template] = Field(default={}, description="Filterable field -> value, or list of values")
    changed_since: Template = None
    limit: int = Field(100, ge=1, le=1000)


class GetRecord(StepBase):
    """One record of the copy. Output: {record}."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("id", "remote_id")
    do: Literal["get_record"]
    connection: Name
    entity: str
    id: Template = None
    remote_id: Template = None
    is_fresh: bool = Field(False, description="Read it from the system first")
    if_missing: Literal["fail", "null"] = "fail"


class Write(StepBase):
    """Base of the steps that write. Output: {operation, status, record, diff, not_applied}."""

    connection: Name
    entity: str


class CreateRecord(Write):
    """Create an object in the system."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("body",)
    do: Literal["create_record"]
    body: dict[str, Template]


class UpdateRecord(Write):
    """Change an object: JSON Merge Patch, lines matched by id."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("id", "body", "if_version")
    do: Literal["update_record"]
    id: Template
    body: dict[str, Template]
    if_version: Template = None


class DeleteRecord(Write):
    """Delete an object, as the system does it."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("id", "if_version")
    do: Literal["delete_record"]
    id: Template
    if_version: Template = None


class ActOnRecord(Write):
    """A declared change of state."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("id", "body", "if_version")
    do: Literal["act_on_record"]
    id: Template
    action: str = Field(max_length=60)
    body: dict[str, Template] = {}
    if_version: Template = None


class SecretHeader(Part):
    """A header's value with a secret of the flow in it."""

    secret: Name
    before: str = Field("", max_length=60, description="E.g. `Bearer `")


class HttpRequest(StepBase):
    """A request to any address. Output: {status, headers, body}. Other statuses than `expect` are an error."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("url", "query", "headers", "body")
    do: Literal["http_request"]
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Template
    query: dict[str, Template] = {}
    headers: dict[str, Template] = Field(default={}, max_length=20)
    secret_headers: dict[str, SecretHeader] = Field(default={}, max_length=5)
    body: Template = Field(None, description="Sent as JSON")
    expect: list[int] = Field(default=[], max_length=20, description="Statuses that are well; empty: 200 to 299")
    is_idempotent: bool | None = Field(
        None, description="It may be sent again after its outcome was lost; by itself true of GET, HEAD, PUT and DELETE"
    )


class Map(StepBase):
    """A value made of others. Output: the value."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("value",)
    do: Literal["map"]
    value: Template


class Condition(StepBase):
    """One way or the other. Output: {result}. Steps inside are seen by the steps after it, where they were done."""

    EXPRESSIONS: ClassVar[tuple[str, ...]] = ("if_",)
    do: Literal["condition"]
    if_: Expr = Field(alias="if")
    then: list[Step] = Field(default=[], max_length=50)
    else_: list[Step] = Field(default=[], alias="else", max_length=50)


class ForEach(StepBase):
    """The same steps for each of some items, fixed at the start. Output: {items: [{key, status, output, error}],
    succeeded, failed, skipped}; `output` is that of the item's last step."""

    EXPRESSIONS: ClassVar[tuple[str, ...]] = ("items",)
    do: Literal["for_each"]
    items: Expr = Field(description="A list")
    key: Expr | None = Field(None, description="Sees `item` and `index`; by itself item.id, else the index")
    steps: list[Step] = Field(min_length=1, max_length=50)
    limit: int = Field(1000, ge=1, le=10_000, description="More items are an error")
    batch_size: int | None = Field(None, ge=1, le=10_000, description="So many, then the pause")
    delay_seconds: Seconds = 0
    on_item_error: Literal["continue", "fail"] = "continue"


class EventWait(Part):
    """Which event is waited for: the first after the run's own beginning that fits."""

    types: list[str] = Field(min_length=1, max_length=20)
    connections: list[Name] = Field(default=[], max_length=20)
    entities: list[str] = Field(default=[], max_length=20)
    filter: Expr | None = Field(None, description="Sees `event`, and of record events `event.data`, beside all else")
    timeout_seconds: int = Field(86_400, ge=1, le=MAX_WAIT_SECONDS)
    on_timeout: Literal["fail", "continue"] = "fail"


class Wait(StepBase):
    """For a while, until a time, or for an event; exactly one. No worker is held. Output: {woke_at, event, timed_out}."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("seconds", "until")
    do: Literal["wait"]
    seconds: Template = None
    until: Template = Field(None, description="RFC 3339, e.g. 2026-03-01T08:00:00Z")
    event: EventWait | None = None


class Emit(StepBase):
    """Tell of something of one's own in the feed. Output: {event}."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("data",)
    do: Literal["emit"]
    type: str = Field(pattern=r"^custom\.[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$", max_length=60)
    data: dict[str, Template] = {}
    connection: Name | None = None


class Stop(StepBase):
    """End the run here."""

    TEMPLATES: ClassVar[tuple[str, ...]] = ("message",)
    do: Literal["stop"]
    outcome: Literal["succeeded", "failed"] = "succeeded"
    message: Template = None


WRITES = (CreateRecord, UpdateRecord, DeleteRecord, ActOnRecord)

Step = Annotated[
    ListRecords
    | GetRecord
    | CreateRecord
    | UpdateRecord
    | DeleteRecord
    | ActOnRecord
    | HttpRequest
    | Map
    | Condition
    | ForEach
    | Wait
    | Emit
    | Stop,
    Field(discriminator="do"),
]


class Definition(Part):
    """A whole flow."""

    format: Literal[1] = 1
    title: str = Field("", max_length=120)
    description: str = Field("", max_length=1000)
    connections: dict[Name, ConnectionSlot] = Field(default={}, max_length=20)
    trigger: Trigger
    key: Expr | None = Field(
        None, description="Sees `trigger`; a second run with the same value is not started. At most 200 characters"
    )
    queue: Queue = Queue()
    overdue_after_seconds: int = Field(
        86_400, ge=60, le=90 * 86_400, description="A run that has not ended by then raises an issue"
    )
    steps: list[Step] = Field(min_length=1, max_length=50)
    example: dict[str, Any] = Field(default={}, description="What `trigger` may look like: filled in when it is tested")


for _model in (OnError, Condition, ForEach, Definition):
    _model.model_rebuild()
