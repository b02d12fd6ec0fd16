"""Why a version of a mapping was published, and which one it brings back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connections", "0010_offline_since_before")]

    operations = [
        migrations.AddField(
            model_name="mapping",
            name="reason",
            field=models.CharField(
                blank=True, default="", help_text="Why it was published, as the person put it.", max_length=300
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="mapping",
            name="restores",
            field=models.PositiveIntegerField(
                blank=True, help_text="The version whose rows it brings back.", null=True
            ),
        ),
    ]
