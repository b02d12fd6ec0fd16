"""What this room does: the only way in for its API, admin and tasks.

A delivery has one message id for ever, so whoever receives one twice can tell. What people ask for by hand:

- `resend(delivery, by=...)` makes one attempt at once beside the schedule, as a row of its own (`is_manual`) with the
  same message id. When it is taken, the delivery it repeats counts as delivered. One that is pending is not touched else.
- `recover(endpoint, since=..., by=...)` makes everything the endpoint was not told of since then due now, on a fresh
  schedule: what was given up, what waits, and what was never made. Answers how many.
- `send_test(endpoint, event_type, by=...)` sends a sample event at once, also to an endpoint that is paused or disabled.
"""

from webhooks.services.again import recover, resend, send_test
from webhooks.services.hinting import deliver_soon
from webhooks.services.messages import message_id

__all__ = ["deliver_soon", "message_id", "recover", "resend", "send_test"]
