"""Connectors of the system behind the OAuth server: one for each way to sign in."""

from __future__ import annotations

from integrations.entities import PurchaseOrder, Vendor
from integrations.protocols.paging import Cursor
from integrations.protocols.rest import RestConnector
from integrations.sdk.auth import ClientCredentials, OAuth2Code, PasswordLogin
from integrations.sdk.declarations import Field, Resource, Secret, Since, Text, Url
from integrations.sdk.pages import CheckResult

SLUG = "oauth-erp"


class Erp(RestConnector):
    """What can be read there."""

    summary = "An invented ERP, for tests."
    call_seconds = 10.0

    purchase_orders = Resource(
        PurchaseOrder,
        path="/api/orders",
        items="items",
        detail="/api/orders/{id}",
        paging=Cursor(next="next"),
        changes=Since("updated_at", parameter="updated_since"),
        open_values=("open",),
        fields=(
            Field("number", "number"),
            Field("description", "text"),
            Field("status", "status", values={"open": "ordered"}),
            Field("remote_status", "status"),
            Field("vendor", "vendor_id"),
            Field("currency", "currency"),
            Field("total_amount", "total"),
            Field("order_date", "ordered_on"),
            Field(
                "lines",
                "lines",
                items=(
                    Field("id", "id"),
                    Field("description", "text"),
                    Field("quantity", "quantity"),
                    Field("unit", "unit", unit={"pcs": "EA"}),
                    Field("unit_price", "price"),
                ),
            ),
            Field("remote_updated_at", "updated_at"),
        ),
    )
    vendors = Resource(
        Vendor,
        path="/api/vendors",
        items="items",
        detail="/api/vendors/{id}",
        paging=Cursor(next="next"),
        fields=(Field("number", "code"), Field("name", "name"), Field("email", "email")),
    )

    def check(self) -> CheckResult:
        me = self.get(self.url("/api/me"), {}).json()
        return CheckResult(account=me["user"], version=me["version"], now=self.now())


class OAuthErp(Erp):
    """A person agrees on the system's page."""

    slug, title = SLUG, "OAuth ERP"
    config = (Url("base_url", label="Address", help="Address of the server, e.g. https://erp.example"),)
    auth = OAuth2Code("{base_url}/o/authorize/", "{base_url}/o/token/", scopes=("read", "write"))


class ServiceErp(Erp):
    """The connection has a client of its own."""

    slug, title = "service-erp", "Service ERP"
    config = (Url("base_url"), Text("client_id"), Secret("client_secret"))
    auth = ClientCredentials("{base_url}/o/token/", scopes=("read",), client_auth="basic")


class SessionErp(Erp):
    """User and password give a session."""

    slug, title = "session-erp", "Session ERP"
    config = (Url("base_url"), Text("user"), Secret("password"))
    auth = PasswordLogin(
        "{base_url}/session/login",
        body={"user": "{user}", "password": "{password}"},
        token="session.token",
        prefix="Session ",
        lifetime_seconds=3600,
    )


CONNECTORS = tuple(f"tests.oauth.connector.{kind.__name__}" for kind in (OAuthErp, ServiceErp, SessionErp))
