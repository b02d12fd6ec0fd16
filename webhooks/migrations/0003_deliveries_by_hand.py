from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0002_hook_by_message")]
    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("is_manual", True), ("status", "pending")),
                fields=["endpoint"],
                name="delivery_by_hand",
            ),
        ),
    ]
