"""What the screens of endpoints show beside the settings."""

from __future__ import annotations

from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from core import ids
from core.admin_texts import absolute, moment, relative, two_lines
from webhooks.choices import DELIVERY_BADGES, DeliveryStatus, EndpointStatus
from webhooks.models import WebhookEndpoint

__all__ = ["EndpointFacts"]


class EndpointFacts:
    """Columns and fields. Stands before the admin among the bases."""

    @display(description="Endpoint")
    def shown_name(self, row: WebhookEndpoint) -> SafeString:
        return two_lines(row.description or row.url, row.url if row.description else "")

    @display(description="Id")
    def shown_id(self, row: WebhookEndpoint) -> str | None:
        return ids.show(WebhookEndpoint.PREFIX, row.pk)

    @display(description="Disabled")
    def shown_reason(self, row: WebhookEndpoint) -> str:
        if row.status != EndpointStatus.DISABLED:
            return "—"
        since = f" ({absolute(row.disabled_at)})" if row.disabled_at else ""
        return f"{row.disabled_reason}{since}"

    @display(description="Last success")
    def shown_success(self, row: WebhookEndpoint) -> SafeString | str:
        return moment(row.last_success_at)

    @display(description="Last success")
    def shown_last_success(self, row: WebhookEndpoint) -> str:
        return absolute(row.last_success_at) if row.last_success_at else "never"

    @display(description="Last failure")
    def shown_last_failure(self, row: WebhookEndpoint) -> str:
        return absolute(row.last_failure_at) if row.last_failure_at else "never"

    @display(description="Failures in a row")
    def shown_failures(self, row: WebhookEndpoint) -> SafeString | str:
        if not row.failures_in_row:
            return "none"
        since = f"since {relative(row.failing_since)}" if row.failing_since else ""
        return two_lines(f"{row.failures_in_row:,}", since)

    @display(description="Connections")
    def shown_connections(self, row: WebhookEndpoint) -> str:
        return ", ".join(str(ids.show("con", pk)) for pk in row.connection_ids) or "All"

    @display(description="Types of events")
    def shown_types(self, row: WebhookEndpoint) -> str:
        return ", ".join(row.event_types) or "All"

    @display(description="Signing secrets")
    def shown_secrets(self, row: WebhookEndpoint) -> SafeString:
        """When each was made and ends; never the secret."""
        told = [
            (f"Made {absolute(made)}" + (f", signs until {absolute(ends)}" if ends else ", the current one"),)
            for made, ends in row.secrets.values_list("created_at", "expires_at")
        ]
        return format_html_join("", "<div>{}</div>", told)

    @display(description="Deliveries")
    def shown_deliveries(self, row: WebhookEndpoint) -> SafeString:
        address = f"{reverse('admin:webhooks_delivery_changelist')}?endpoint={row.pk}"
        names = dict(DeliveryStatus.choices)
        links = [(address, "All")]
        links += [(f"{address}&status={status}", names[status]) for status in DELIVERY_BADGES]
        return format_html_join(" · ", '<a class="lsh-link" href="{}">{}</a>', links)

    @display(description="Made")
    def shown_created(self, row: WebhookEndpoint) -> str:
        return absolute(row.created_at)
