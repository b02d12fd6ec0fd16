"""What a token sees of this room: endpoints and deliveries of its workspace and environment.

They belong to the vendor as a whole: an endpoint may be told of every connection. For a connection token there are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects
from django.db.models.functions import Now
from rest_framework.request import Request

from core import ids
from core.api_errors import ForbiddenError, NotFoundHereError
from webhooks.models import Delivery, WebhookEndpoint, WebhookSecret
from webhooks.serializers import endpoint_body
from workspaces.views import ApiView


class WebhookView(ApiView):
    """For workspace tokens: a connection token manages and sees none of this."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.token.connection_id is not None and not kwargs:
            raise ForbiddenError(
                "Webhook endpoints are told of the whole workspace: use a workspace token. A connection token can follow"
                " GET /events."
            )

    def endpoints(self) -> QuerySet[WebhookEndpoint]:
        """Those of the token's environment."""
        rows: QuerySet[WebhookEndpoint] = WebhookEndpoint.objects.filter(**self._mine())
        return rows if self.token.connection_id is None else rows.none()

    def deliveries(self) -> QuerySet[Delivery]:
        """Those to endpoints of the token's environment."""
        mine = {"workspace_id": self.token.workspace_id, "endpoint__environment": self.token.environment}
        rows: QuerySet[Delivery] = Delivery.objects.filter(**mine)
        return rows if self.token.connection_id is None else rows.none()

    def endpoint(self, shown_id: str) -> WebhookEndpoint:
        """The visible endpoint with this id, else 404."""
        found: WebhookEndpoint = _find(self.endpoints(), WebhookEndpoint.PREFIX, shown_id, "webhook endpoint")
        return found

    def delivery(self, shown_id: str) -> Delivery:
        """The visible delivery with this id, else 404."""
        found: Delivery = _find(self.deliveries(), Delivery.PREFIX, shown_id, "delivery")
        return found

    def _mine(self) -> dict[str, Any]:
        return {"workspace_id": self.token.workspace_id, "environment": self.token.environment}


def _find(rows: Any, prefix: str, shown_id: str, what: str) -> Any:
    value = ids.read(prefix, shown_id)
    found = rows.filter(pk=value).first() if value else None
    if found is None:
        raise NotFoundHereError(f"There is no such {what}.")
    return found


def with_secrets(rows: QuerySet[WebhookEndpoint]) -> QuerySet[WebhookEndpoint]:
    """The rows with the secrets that sign now, in one query more."""
    return rows.prefetch_related(_signing())


def bodies(rows: Iterable[WebhookEndpoint]) -> list[dict[str, Any]]:
    """Endpoints that came by `with_secrets`, as the API shows them."""
    return [endpoint_body(row, row.signing) for row in rows]  # type: ignore[attr-defined]  # prefetched


def body_of(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """One endpoint as it was read, or as the service left it, with the secrets that sign now."""
    prefetch_related_objects([endpoint], _signing())
    return bodies([endpoint])[0]


def _signing() -> Prefetch[str, QuerySet[WebhookSecret], str]:
    signing = WebhookSecret.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now())).defer("ciphertext")
    return Prefetch("secrets", signing, to_attr="signing")
