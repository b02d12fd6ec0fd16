"""Packed objects cannot be compressed again: PostgreSQL is not to try, and moves out of the row only what is large."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("syncs", "0001_initial")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE syncs_record ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN raw SET STORAGE EXTERNAL",
            "ALTER TABLE syncs_record ALTER COLUMN body SET STORAGE EXTENDED, ALTER COLUMN raw SET STORAGE EXTENDED",
        ),
        # Ids are as good as random: nothing to compress there either.
        migrations.RunSQL(
            "ALTER TABLE syncs_runpage ALTER COLUMN record_ids SET STORAGE EXTERNAL",
            "ALTER TABLE syncs_runpage ALTER COLUMN record_ids SET STORAGE EXTENDED",
        ),
    ]
