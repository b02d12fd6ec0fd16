from django.db import migrations

# What was offline already is so since its last event tells; where that is forgotten, since now. One pass over the feed.
SINCE_BEFORE = """WITH told AS MATERIALIZED (
    SELECT e.connection_id, max(e.created_at) AS at FROM workspaces_event e
    JOIN connections_connection c ON c.id = e.connection_id
    WHERE e.type = 'connection.offline' AND c.health = 'offline' GROUP BY e.connection_id)
UPDATE connections_connection c
SET offline_since = coalesce((SELECT told.at FROM told WHERE told.connection_id = c.id), statement_timestamp())
WHERE c.health = 'offline' AND c.offline_since IS NULL"""


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0009_offline_since"),
        ("workspaces", "0007_mail_digests"),
    ]

    operations = [migrations.RunSQL(SINCE_BEFORE, reverse_sql=migrations.RunSQL.noop)]
