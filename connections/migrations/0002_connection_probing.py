"""A half-open circuit marks its one probe, so that failures of calls made before it do not count as its own."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connections", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="connection",
            name="probing",
            field=models.BooleanField(
                default=False, db_default=False, editable=False, help_text="The one call of a half-open circuit is out."
            ),
        ),
    ]
