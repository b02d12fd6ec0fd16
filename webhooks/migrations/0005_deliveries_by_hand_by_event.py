from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_given_up_deliveries")]
    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("is_manual", True)), fields=["endpoint", "event_id"], name="by_hand_by_event"
            ),
        ),
    ]
