from django.apps import AppConfig


class WorkflowsConfig(AppConfig):
    name = "workflows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Sessions are dated from the first sign-in on, whichever part of the server does it."""
        from workflows import sessions  # noqa: PLC0415 - models must be ready

        sessions.connect()
