from django.db import migrations

LABELS = {
    "WorkflowStatusLabel": {"C": "created", "R": "running", "S": "stopped", "E": "error", "D": "done"},
    "WorkflowRunStatusLabel": {"R": "running", "S": "stopped", "E": "error", "D": "done"},
    "JobStatusLabel": {
        "G": "registered",
        "Q": "queued",
        "I": "instantiated",
        "R": "running",
        "E": "error-recoverable",
        "F": "error-fatal",
        "D": "done",
    },
    "JobInstanceStatusLabel": {"I": "instantiated", "B": "submitted", "R": "running", "E": "error", "D": "done"},
}


def load(apps, schema_editor):
    for model_name, labels in LABELS.items():
        model = apps.get_model("workflows", model_name)
        for letter, label in labels.items():
            model.objects.update_or_create(id=letter, defaults={"label": label})


class Migration(migrations.Migration):
    dependencies = [("workflows", "0001_initial")]
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
