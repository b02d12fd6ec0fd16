from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="inboundhook",
            index=models.Index(
                condition=models.Q(("message_id", ""), _negated=True),
                fields=["connection", "message_id"],
                name="hook_by_message",
            ),
        ),
    ]
