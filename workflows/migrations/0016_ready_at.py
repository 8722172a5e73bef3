"""Since when a job has had all its upstreams."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("workflows", "0015_collecting"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="ready_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
