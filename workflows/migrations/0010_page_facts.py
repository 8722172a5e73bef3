"""Lists in the order of their keys, and what large runs used, without reading all of their rows."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("workflows", "0009_worker_rows"),
    ]

    operations = [
        migrations.AddField(
            model_name="workflowrun",
            name="tallies",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="job",
            name="dag",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="jobs", to="workflows.taskdag"
            ),
        ),
        migrations.AlterField(
            model_name="jobinstance",
            name="workflow_run",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="instances", to="workflows.workflowrun"
            ),
        ),
        migrations.CreateModel(
            name="RunUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("made_at", models.DateTimeField()),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("uses", models.JSONField(blank=True, default=list)),
                ("cells", models.JSONField(blank=True, default=list)),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="usage",
                        to="workflows.jobgroup",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="usage", to="workflows.workflowrun"
                    ),
                ),
            ],
            options={"db_table": "run_usage"},
        ),
    ]
