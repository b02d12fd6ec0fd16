"""Views about one connection: which one it is, found by one rule for every room."""

from __future__ import annotations

from uuid import UUID

from django.utils.functional import cached_property
from rest_framework.request import Request

from connections.models import Connection
from connections.querysets import ConnectionQuerySet as ConnectionRows
from core import ids
from core.api_errors import BadRequestError, NotFoundHereError
from core.errors import FieldError
from core.parameters import text_from, wrong_parameter
from workspaces.models import ApiToken
from workspaces.views import ApiView

HEADER = "X-Connection-Id"
_MISSING = f"Name the connection by the header {HEADER} (con_...), or use a connection token."


class ConnectionScopedView(ApiView):
    """A view about the connection the caller means.

    A connection token means its own; another one named beside it is 404. A workspace token names one by the header
    X-Connection-Id or `?connection=` (which the view must declare in `parameters`), else 400 CONNECTION_REQUIRED.
    Connections of the other environment or of other workspaces are 404, as is an id that cannot be read.
    """

    @cached_property
    def connection(self) -> Connection:
        return find_connection(self.token, self.connection_id)

    @cached_property
    def connection_id(self) -> UUID:
        """The UUID of the connection meant; whether it exists is asked by `connection`."""
        own, named = self.token.connection_id, self._named()
        if named is None and own is None:
            raise BadRequestError(
                _MISSING, code="CONNECTION_REQUIRED", errors=(FieldError(HEADER, "CONNECTION_REQUIRED", _MISSING),)
            )
        if named is None:
            return own  # type: ignore[return-value]  # not both are None
        found = ids.read(Connection.PREFIX, named)
        if found is None or own not in (None, found):
            raise no_such_connection()
        return found

    def _named(self) -> str | None:
        header = self.request.headers.get(HEADER)
        parameter = text_from(self.request, "connection")
        if header and parameter and header != parameter:
            raise wrong_parameter("connection", f"names another connection than {HEADER}")
        return header or parameter


def visible_connections(token: ApiToken) -> ConnectionRows:
    """Connections of the token's environment, and its own one alone when it is a connection token.

    One that was deleted is there for nobody, however much of its data is still to be purged.
    """
    every: ConnectionRows = Connection.objects.filter(workspace_id=token.workspace_id, environment=token.environment)
    rows = every.kept()
    return rows if token.connection_id is None else rows.filter(pk=token.connection_id)


def find_connection(token: ApiToken, connection_id: UUID | str) -> Connection:
    """The visible connection with this UUID or shown id, else 404."""
    value = ids.read(Connection.PREFIX, connection_id) if isinstance(connection_id, str) else connection_id
    found: Connection | None = visible_connections(token).filter(pk=value).first() if value else None
    if found is None:
        raise no_such_connection()
    return found


def asked_connection(token: ApiToken, request: Request) -> UUID | None:
    """The connection a list is limited to, by `?connection=` or the header; 404 when it is not visible."""
    header, parameter = request.headers.get(HEADER), text_from(request, "connection")
    if header and parameter and header != parameter:
        raise wrong_parameter("connection", f"names another connection than {HEADER}")
    named = header or parameter
    if not named:
        return None
    value = ids.read(Connection.PREFIX, named)
    if value is None or not visible_connections(token).filter(pk=value).exists():
        raise no_such_connection()
    return value


def no_such_connection() -> NotFoundHereError:
    """The same answer whether it does not exist, belongs to somebody else, or is of the other environment."""
    return NotFoundHereError("There is no such connection.")
