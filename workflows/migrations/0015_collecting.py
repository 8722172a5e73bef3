"""Operations on many jobs collect them first."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("workflows", "0014_executor_facts"),
    ]

    operations = [
        migrations.AddField(
            model_name="operation",
            name="frozen_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="operation",
            name="state",
            field=models.CharField(default="draft", max_length=16),
        ),
        migrations.RemoveConstraint(
            model_name="operation",
            name="operation_state_known",
        ),
        migrations.AddConstraint(
            model_name="operation",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ("collecting", "draft", "working", "finished", "stopped", "failed"))),
                name="operation_state_known",
            ),
        ),
    ]
