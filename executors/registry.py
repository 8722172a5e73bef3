"""Executors by name: the two batch systems, and whatever is installed under the entry point `jobmon.executors`.

An executor's settings are variables `JOBMON_<NAME>_<FIELD>`, for example `JOBMON_SGE_PARALLEL_ENVIRONMENT=smp`.
`JOBMON_<NAME>_KIND` makes a second one of a kind: an executor `bigsge` with `JOBMON_BIGSGE_KIND=sge`. Batch jobs are
told from those of other servers by `JOBMON_DEPLOYMENT`, with which their names begin.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from executors.base import Executor
from executors.batch_config import BatchConfig
from executors.names import prefix_of
from executors.sge import SgeExecutor
from executors.sge_config import SgeConfig
from executors.slurm import SlurmExecutor
from executors.slurm_config import SlurmConfig
from executors.spool import Spool

ENTRY_POINTS = "jobmon.executors"
# Called with the executor's name, the server's spool and its settings (field → text); raises ValueError.
Factory = Callable[[str, Spool, Mapping[str, str]], Executor]
Config = TypeVar("Config", bound=BatchConfig)
_NOT_SETTINGS = frozenset({"spool", "name"})
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class UnknownKind(Exception):
    """No executor of this kind is installed."""


def pick_settings(name: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Setting → text of one executor. What begins with the longer name of another (`sge-big` beside `sge`) is its."""
    prefix = prefix_of(name)
    listed = (other.strip() for other in variables.get("JOBMON_EXECUTORS", "").split(","))
    longer = tuple(other for one in listed if one and (other := prefix_of(one)).startswith(prefix) and other != prefix)
    return {
        key.removeprefix(prefix).lower(): text
        for key, text in variables.items()
        if key.startswith(prefix) and not key.startswith(longer)
    }


def create(name: str, spool: Spool, variables: Mapping[str, str]) -> Executor:
    """The executor of this name. Raises UnknownKind, or ValueError with a sentence about a setting."""
    prefix = prefix_of(name)
    settings = pick_settings(name, variables)
    kind = settings.pop("kind", name)
    try:
        if kind in _BUILT_IN:
            if "name_prefix" in settings:
                raise ValueError("NAME_PREFIX cannot be set: it follows from JOBMON_DEPLOYMENT")  # noqa: TRY301
            settings["name_prefix"] = f"jm{variables.get('JOBMON_DEPLOYMENT', '1')}-"
        return find_factory(kind)(name, spool, settings)
    except ValueError as error:
        raise ValueError(f"executor {name} ({prefix}…): {error}") from error


def find_factory(kind: str) -> Factory:
    """Raises UnknownKind. What is built in cannot be replaced."""
    if kind in _BUILT_IN:
        return _BUILT_IN[kind]
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if kind not in found:
        known = ", ".join(sorted([*_BUILT_IN, *found]))
        raise UnknownKind(f"no executor of the kind {kind!r} is installed; there are {known}")
    factory: Factory = found[kind].load()
    return factory


def read_config(kind: type[Config], name: str, spool: Spool, settings: Mapping[str, str]) -> Config:
    """A configuration from texts. A field `sge_root` of SgeConfig is the setting `root`. Raises ValueError."""
    own = kind.__name__.removesuffix("Config").lower() + "_"
    types = typing.get_type_hints(kind)
    known = {field.name.removeprefix(own): field.name for field in fields(kind) if field.name not in _NOT_SETTINGS}
    for setting in settings:
        if setting not in known:
            near = difflib.get_close_matches(setting, known, 1)
            hint = f"; did you mean {near[0].upper()}?" if near else f"; there are {', '.join(sorted(known)).upper()}"
            raise ValueError(f"there is no setting {setting.upper()}{hint}")
    given = {known[setting]: _convert(setting, text, types[known[setting]]) for setting, text in settings.items()}
    return kind(spool=spool.root, name=name, **given)


def _convert(setting: str, text: str, wanted: Any) -> Any:
    """A text as a field's type; lists are separated by commas or, for commands, by blanks."""
    kinds = set(typing.get_args(wanted)) or {wanted}
    if typing.get_origin(wanted) is tuple:
        return tuple(text.replace(",", " ").split())
    if type(None) in kinds and not text:
        return None
    try:
        if bool in kinds:
            return _read_flag(text)
        for number in (int, float):
            if number in kinds:
                return number(text)
    except ValueError as error:
        raise ValueError(f"{setting.upper()}: {text!r} is not what is wanted there ({error})") from None
    return Path(text) if Path in kinds else text


def _read_flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("write 1 or 0")


def _create_sge(name: str, spool: Spool, settings: Mapping[str, str]) -> Executor:
    return SgeExecutor(read_config(SgeConfig, name, spool, settings), spool)


def _create_slurm(name: str, spool: Spool, settings: Mapping[str, str]) -> Executor:
    return SlurmExecutor(read_config(SlurmConfig, name, spool, settings), spool)


_BUILT_IN: dict[str, Factory] = {"sge": _create_sge, "slurm": _create_slurm}
