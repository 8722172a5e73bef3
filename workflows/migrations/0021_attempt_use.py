"""The index in which attempts of a run are found by what they used. It holds those of before, too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0020_queue_reasons"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="jobinstance",
            index=models.Index(fields=["workflow_run", "job", "maxvmem", "wallclock"], name="job_instance_run_use"),
        ),
    ]
