"""Room for the names of workers in what the server remembers of itself."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0008_notices")]

    operations = [
        migrations.AlterField(
            model_name="systemstate",
            name="name",
            field=models.CharField(max_length=150, primary_key=True, serialize=False),
        )
    ]
