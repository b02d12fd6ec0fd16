"""Which events an endpoint is told of, as SQL: `e` is the endpoint, `ev` the event.

Where the data of a deleted connection was purged, its events say nothing any more (`data` is empty) and are not told,
but for those about the connection itself. The reason is looked for in the body's text: in events of records nothing of
a customer's stands there.
"""

from __future__ import annotations

MATCHES = """ev.workspace_id = e.workspace_id AND ev.environment = e.environment
    AND (e.connection_ids = '{}' OR ev.connection_id = ANY(e.connection_ids))
    AND (e.event_types = '{}' OR ev.type = ANY(e.event_types)
         OR (ev.type LIKE 'custom.%%' AND 'custom.*' = ANY(e.event_types)))
    AND (e.include_initial OR ev.type NOT LIKE 'record.%%' OR ev.body NOT LIKE '%%"reason":"initial"%%')
    AND (ev.type LIKE 'connection.%%' OR ev.connection_id IS NULL OR ev.body NOT LIKE '%%"data":{}}'
         OR EXISTS (SELECT FROM connections_connection c
                    WHERE c.id = ev.connection_id AND c.purge_requested_at IS NULL))"""

# A UUIDv7 whose order is that of the feed within one statement.
_ID = """(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
    || lpad(to_hex(ev.position %% 4096), 3, '0') || right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid"""

MAKE = f"""INSERT INTO webhooks_delivery (id, workspace_id, endpoint_id, event_id, part, event_type, position, body,
    status, attempts, due_at, fence, is_manual, created_at)
SELECT {_ID}, e.workspace_id, e.id, ev.id, 0, ev.type, ev.position, '',
    'pending', 0, %(at)s, 0, false, ev.created_at
FROM webhooks_webhookendpoint e JOIN workspaces_event ev ON {MATCHES}
WHERE e.id = %(endpoint)s AND ev.position > %(after)s AND ev.position <= %(upto)s AND ev.created_at >= %(since)s
ORDER BY ev.position
ON CONFLICT (endpoint_id, event_id, part) WHERE NOT is_manual DO NOTHING"""  # noqa: S608 (our own text)
"""One delivery for each matching event, as old as its event, so that both are forgotten at the same time.

Values: at, endpoint, after, upto (positions), since (of the event).
"""
