"""What a purge has deleted so far is kept on the connection's row, so that one that was killed goes on from there."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connections", "0005_history")]
    operations = [
        migrations.AddField(
            model_name="connection",
            name="purge_progress",
            field=models.JSONField(
                blank=True, editable=False, help_text="What the purge deleted so far, rows by table.", null=True
            ),
        ),
    ]
