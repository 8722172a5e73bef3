"""Settings come from the environment; a wrong one is named in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobmon_site.environment import (
    SettingError,
    env_bool,
    env_choice,
    env_float,
    env_int,
    env_list,
    env_secret,
    env_text,
)

NAME = "JOBMON_TEST_SETTING"
REPOSITORY = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv(NAME, raising=False)
    return monkeypatch


def test_without_a_value_the_default_counts(setting: pytest.MonkeyPatch) -> None:
    assert env_text(NAME, "x") == "x"
    assert env_int(NAME, 3) == 3
    assert env_float(NAME, 1.5) == 1.5
    assert env_bool(NAME, True) is True
    assert env_choice(NAME, ("a", "b"), "b") == "b"
    assert env_list(NAME, ("a", "b")) == ["a", "b"]
    assert env_secret(NAME) == ""


def test_an_empty_value_is_no_value(setting: pytest.MonkeyPatch) -> None:
    setting.setenv(NAME, "")
    assert env_int(NAME, 3) == 3
    assert env_bool(NAME, True) is True
    assert env_choice(NAME, ("a", "b"), "b") == "b"
    assert env_list(NAME, ("a",)) == ["a"]


@pytest.mark.parametrize("text", ["x", "1.5", "-1"])
def test_what_is_no_whole_number_is_refused_by_name(setting: pytest.MonkeyPatch, text: str) -> None:
    setting.setenv(NAME, text)
    with pytest.raises(SettingError, match=NAME):
        env_int(NAME, 3)


@pytest.mark.parametrize("text", ["x", "-0.1", "nan"])
def test_what_is_no_number_is_refused_by_name(setting: pytest.MonkeyPatch, text: str) -> None:
    setting.setenv(NAME, text)
    with pytest.raises(SettingError, match=NAME):
        env_float(NAME, 3)


def test_numbers_at_their_minimum_count(setting: pytest.MonkeyPatch) -> None:
    setting.setenv(NAME, "5")
    assert env_int(NAME, 9, 5) == 5
    assert env_float(NAME, 9, 5) == 5.0


@pytest.mark.parametrize(("text", "value"), [("1", True), ("yes", True), ("ON", True), ("0", False), ("False", False)])
def test_truth_has_many_spellings(setting: pytest.MonkeyPatch, text: str, value: bool) -> None:
    setting.setenv(NAME, text)
    assert env_bool(NAME, not value) is value


def test_a_truth_of_no_known_spelling_is_refused(setting: pytest.MonkeyPatch) -> None:
    setting.setenv(NAME, "maybe")
    with pytest.raises(SettingError, match="maybe"):
        env_bool(NAME)


def test_a_choice_names_what_there_is(setting: pytest.MonkeyPatch) -> None:
    setting.setenv(NAME, "c")
    with pytest.raises(SettingError, match="a, b"):
        env_choice(NAME, ("a", "b"), "b")


def test_lists_are_cut_at_commas(setting: pytest.MonkeyPatch) -> None:
    setting.setenv(NAME, " a, ,b ")
    assert env_list(NAME) == ["a", "b"]


def test_a_secret_may_be_in_a_file(setting: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3\n")
    setting.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))
    assert env_secret(NAME) == "s3"
    setting.setenv(NAME, "direct")
    assert env_secret(NAME) == "direct"


def test_a_secret_file_that_is_not_there_is_named(setting: pytest.MonkeyPatch, tmp_path: Path) -> None:
    setting.setenv(f"{NAME}_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingError, match="none: No such file"):
        env_secret(NAME)


def start_with(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "import django; from django.conf import settings; print(settings.VERSION)"],
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "jobmon_site.settings",
            "JOBMON_HOME": str(home),
            **environment,
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"JOBMON_PORT": "http"},
        {"JOBMON_MODE": "both"},
        {"JOBMON_DB": "oracle"},
        {"JOBMON_LEASE_SECONDS": "1"},
        {"JOBMON_LOG_LEVEL": "loud"},
        {"JOBMON_MODE": "server"},
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    done = start_with(tmp_path / "home", **environment)
    assert done.returncode != 0
    assert done.stderr.startswith("jobmon: JOBMON_")
    assert len(done.stderr.splitlines()) == 1


def test_no_setting_at_all_is_enough(tmp_path: Path) -> None:
    done = start_with(tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert sorted(entry.name for entry in (tmp_path / "home").iterdir()) == ["secret_key"]
