"""Every field that holds text, found in the models, and hostile text for each that says whose it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.apps import apps
from django.db import models

START, END = "\u00a4", "\u00a7"
MARK = re.compile(f"{START}([0-9a-z]{{2}})")
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
TEXTS = (models.CharField, models.TextField, models.JSONField, models.BinaryField, models.FileField)
# Tables of others' that no page of ours reads
FOREIGN = {
    "contenttypes": "Names of our own models.",
    "sessions": "Signed and packed by the server; what a browser says of itself is in it, see test_addresses_and_headers.",
    "axes": "Failed sign-ins; they are counted and never shown.",
}  # fmt: skip
# What nobody fills with words of their own, and why
OURS = {
    "auth.Permission": "Written by our migrations.",
    "auth.User.password": "A hash.",
    "workflows.ApiToken.prefix": "Random letters of ours, and part of addresses.",
    "workflows.ApiToken.secret_hash": "A hash.",
    "workflows.SavedFilter.slug": "Random letters of ours, and part of addresses.",
    "workflows.SignInLink": "A hash of random letters.",
    "workflows.MailSettings.code_hash": "A hash of random letters.",
    "workflows.IdSequence": "Names of our own tables.",
    "workflows.JobStatusLabel": "Written by our migrations.",
    "workflows.JobInstanceStatusLabel": "Written by our migrations.",
    "workflows.WorkflowStatusLabel": "Written by our migrations.",
    "workflows.WorkflowRunStatusLabel": "Written by our migrations.",
    "workflows.DatabaseEpoch": "Random letters of ours, compared and never shown.",
    "workflows.Draft": "A graph that still arrives; it is shown once its rows are written, and those are filled.",
    "workflows.DraftChunk": "A graph that still arrives; it is shown once its rows are written, and those are filled.",
    "workflows.IdempotencyRecord": "Answers that were given and are given again as they were, as JSON.",
    "workflows.ExternalIdentity": "Who a person is elsewhere: compared and never shown.",
    "workflows.Preferences": "Names of columns; unknown ones are left out. test_addresses_and_headers asks for hostile ones.",
    "workflows.ExecutorMinute": "Found by the name of an executor whose page is shown; its own name is not.",
    "workflows.WorkflowRun.final_counts": "Numbers by our letters.",
    "workflows.WorkflowRun.tallies": "Numbers by our letters.",
    "workflows.ErrorGroup.trend": "Numbers by time.",
    "workflows.RunUsage.uses": "Numbers by our names.",
    "workflows.RunUsage.cells": "Numbers.",
    "workflows.RunUsage.outliers": "Numbers of jobs; their names are read from the jobs.",
    "workflows.RunAccount": "A copy of UnixAccount.account, which is filled, as a part of paths.",
    "workflows.JobInstance.phase": "One of four words of ours, by which pages choose what they tell.",
    "workflows.JobInstance.kill_then": "One of two words of ours, by which the engine goes on.",
    "workflows.ErrorGroup.reason": "A word of ours, which starts its page.",
    "workflows.LogPiece": "A piece of a stream for a minute; the streams themselves are hostile, and shown by the same code.",
    "workflows.Operation.action": "One of five words of ours, by which it is carried out.",
    "workflows.OperationItem.outcome": "One of two words of ours, by which its page asks.",
    "workflows.WorkflowRun.scope": "Names of tags, by which their jobs are found; the tags themselves are filled.",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A field that is filled; `mark` begins every text in it."""

    model: type[models.Model]
    name: str
    mark: str

    @property
    def label(self) -> str:
        return f"{self.model._meta.app_label}.{self.model.__name__}.{self.name}"

    @property
    def column(self) -> models.Field:
        return self.model._meta.get_field(self.name)


def reason_to_skip(label: str) -> str:
    """Why a field (app.Model.field) is not filled; '' for one that is."""
    app, model, _ = label.split(".")
    return FOREIGN.get(app) or OURS.get(f"{app}.{model}") or OURS.get(label) or ""


@cache
def checked_columns(model: type[models.Model]) -> frozenset[str]:
    """Columns of which the database takes but a few values."""
    checks = [item for item in model._meta.constraints if isinstance(item, models.CheckConstraint)]
    return frozenset(name for item in checks for name in _names_in(item.condition))


def _names_in(condition: Any) -> Iterator[str]:
    for child in condition.children:
        if isinstance(child, models.Q):
            yield from _names_in(child)
        elif child[0].endswith("__in"):
            yield child[0].removesuffix("__in")


def is_free(field: models.Field) -> bool:
    """A column that takes words; one of a letter holds a status."""
    is_key = isinstance(field, models.ForeignKey | models.GeneratedField | models.UUIDField)
    return isinstance(field, TEXTS) and not is_key and field.max_length != 1


@cache
def all_labels() -> tuple[str, ...]:
    """Every column that takes words, of all tables but those of which the database checks each value."""
    models_ = sorted(apps.get_models(), key=lambda model: model._meta.label)
    columns = [(model, field) for model in models_ for field in model._meta.concrete_fields]
    free = [(model, field) for model, field in columns if is_free(field) and field.name not in checked_columns(model)]
    return tuple(f"{model._meta.label}.{field.name}" for model, field in free)


@cache
def fields() -> tuple[Field, ...]:
    """Those that are filled."""
    labels = [label for label in all_labels() if not reason_to_skip(label)]
    found = []
    for number, label in enumerate(labels):
        app, model, name = label.split(".")
        found.append(Field(apps.get_model(app, model), name, START + DIGITS[number // 36] + DIGITS[number % 36]))
    return tuple(found)


def field_of(label: str) -> Field:
    return next(field for field in fields() if field.label == f"workflows.{label}" or field.label == label)


@dataclass(frozen=True)
class Words:
    """Texts of one kind: what fills a field of this length, in this row."""

    body: Callable[[int, int], str]  # (room, a number that differs from text to text)

    def text(self, field: Field, row: int = 0, number: int = 0) -> str:
        """Marked at both ends, unlike that of any other row, and as long as the column holds."""
        most = field.column.max_length or 3000
        once = f"{DIGITS[row // 36 % 36]}{DIGITS[row % 36]}" if most >= 8 else ""
        return self.bare(field.mark + once, most, number)

    def bare(self, mark: str, most: int, number: int = 0) -> str:
        return f"{mark}{self.body(most - len(mark) - len(END), number)}{END}"


def fill(words: Words, kept: dict[str, set[Any]], number: int = 0) -> None:
    """This kind of text in all fields of all rows, below all that checks it; JSON is left to its own function. `kept`:
    rows by label in which a field stays as it is, since an address leads there by it."""
    for place, field in enumerate(fields()):
        if isinstance(field.column, models.JSONField | models.BinaryField) or field.column.primary_key:
            continue
        rows = field.model._default_manager.exclude(pk__in=kept.get(field.label, ()))
        for row, pk in enumerate(rows.order_by("pk").values_list("pk", flat=True)):
            text = words.text(field, row, number + place)
            field.model._default_manager.filter(pk=pk).update(**{field.name: text})
