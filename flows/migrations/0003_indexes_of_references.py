from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('flows', '0002_draft_versions'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='flowhookmessage',
            index=models.Index(condition=models.Q(('run__isnull', False)), fields=['run'], name='flow_message_of_run'),
        ),
        migrations.AddIndex(
            model_name='flowrun',
            index=models.Index(fields=['version'], name='flow_run_of_version'),
        ),
        migrations.AddIndex(
            model_name='flowrun',
            index=models.Index(condition=models.Q(('rerun_of__isnull', False)), fields=['rerun_of'], name='flow_run_by_earlier_run'),
        ),
    ]
