"""Events get their position from a deferred trigger: the transaction's last act before it commits.

The feed's row stays locked from then until the commit, so positions have no gaps and stand in commit order, whoever
wrote the event and however.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION workspaces_number_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    taken bigint;
BEGIN
    INSERT INTO workspaces_feed AS feed (workspace_id, environment, position)
        VALUES (NEW.workspace_id, NEW.environment, 1)
        ON CONFLICT (workspace_id, environment) DO UPDATE SET position = feed.position + 1
        RETURNING feed.position INTO taken;
    UPDATE workspaces_event
        SET position = taken, body = regexp_replace(body, '"position":null', '"position":' || taken)
        WHERE id = NEW.id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER number_event AFTER INSERT ON workspaces_event
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION workspaces_number_event();
"""
BACKWARD = """
DROP TRIGGER number_event ON workspaces_event;
DROP FUNCTION workspaces_number_event();
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
