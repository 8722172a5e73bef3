"""What people keep for their pages."""

from __future__ import annotations

from django.conf import settings
from django.db import models

LISTS = ("workflows", "jobs")


class SavedFilter(models.Model):
    """A filter of a list under a name: `query` is the query string of its page. `slug` stands for it in addresses."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters")
    slug = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=60)
    list_name = models.CharField(max_length=16)
    query = models.CharField(max_length=2000)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "saved_filter"
        constraints = [
            models.UniqueConstraint(fields=["owner", "list_name", "name"], name="saved_filter_name_once"),
            models.CheckConstraint(condition=models.Q(list_name__in=LISTS), name="saved_filter_list_known"),
        ]

    def __str__(self) -> str:
        return self.name


class Preferences(models.Model):
    """What a person chose for all browsers: the columns of the job table, separated by commas; empty: the usual."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preferences")
    job_columns = models.CharField(max_length=255, blank=True)

    class Meta:
        db_table = "preferences"

    def __str__(self) -> str:
        return f"preferences of {self.user_id}"
