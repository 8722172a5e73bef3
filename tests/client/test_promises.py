"""Every line of the quickstart that promises behaviour, and the tests that show it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OWN = "tests/client/test_quickstart.py::"
PROMISES: dict[str, tuple[str, ...]] = {
    "pip install jobmon": ("tests/e2e/test_client_wheel.py::test_the_wheel_holds_the_client_and_nothing_else",),
    "a 'test' subcommand … to ensure initial setup was run properly": (
        "tests/e2e/test_client_wheel.py::test_the_set_up_is_checked_end_to_end",
    ),
    "Users will primarily interact with jobmon by creating a Workflow and iteratively adding Task to it": (
        OWN + "test_iteratively_adding_tasks_to_a_workflow",
    ),
    "A Workflow can only be re-loaded if the WorkflowArgs and all Tasks added to it are shown to be exact matches": (
        OWN + "test_same_args_and_tasks_are_the_same_workflow",
        OWN + "test_changed_args_make_a_brand_new_workflow",
        OWN + "test_changed_tasks_make_a_brand_new_workflow",
    ),
    "it would form a directed-acyclic graph (DAG)": (OWN + "test_relationships_form_a_directed_acyclic_graph",),
    "Constructing a Workflow and adding a few tasks is simple": (
        OWN + "test_the_script_of_the_quickstart_runs_as_it_stands",
        OWN + "test_the_shipped_quickstart_runs_and_takes_the_resume_flag",
        "tests/e2e/test_client_wheel.py::test_the_guides_script_runs_to_its_end",
    ),
    "WorkflowArgs will default to a UUID": (OWN + "test_blank_workflow_args_default_to_a_uuid_that_is_told",),
    "WorkflowArgs which are required if the Workflow is to be resumable": (
        OWN + "test_blank_workflow_args_default_to_a_uuid_that_is_told",
        OWN + "test_same_args_and_tasks_are_the_same_workflow",
    ),
    "launch a Python, R, or Stata job": (
        "tests/client/test_tasks.py::test_python_command_with_environment",
        "tests/client/test_tasks.py::test_r_and_stata_commands",
    ),
    "create a runme.py in your home directory … script='~/runme.py'": (
        "tests/client/test_tasks.py::test_leading_tilde_is_the_submitters_home",
    ),
    "intended to be used on the SGE cluster": ("tests/e2e/test_clusters.py::test_the_quickstart",),
    "executing jobs locally on a single machine using either sequential execution or Multiprocessing": (
        "tests/executors/test_local.py::test_sequential_runs_one_at_a_time_in_order_of_instances",
        "tests/executors/test_local.py::test_slots_are_shared_by_both_queues_and_never_exceeded",
    ),
    "environment variables will be set on each node where the code executes": (
        "tests/client/test_tasks.py::test_bash_variables_hold_for_every_part_of_the_command",
        "tests/executors/contract.py::test_environment_has_what_was_given_and_its_number",
    ),
    "Tasks take many qsub-type arguments: slots, mem_free, max_attempts, max_runtime": (
        OWN + "test_tasks_take_qsub_type_arguments",
    ),
    "By default, slots used will be 1, mem_free 2, with a max_attempt of 3": (
        OWN + "test_by_default_slots_is_1_mem_free_2_max_attempts_3",
    ),
    "Stderr, stdout, and project are set at the workflow level": (
        OWN + "test_stderr_stdout_and_project_are_set_at_the_workflow_level",
    ),
    "environment variables … formatted and prepended to the command": (
        OWN + "test_environment_variables_are_prepended_to_the_command",
    ),
    "tracking of how many times a DAG gets executed, who ran them and when": (
        "tests/api/test_requests.py::test_runs_tell_how_often_by_whom_and_when",
    ),
    "kill off any job instances that might be left over from previous failed attempts": (
        "tests/db/test_reconcile.py::test_cold_resume_waits_until_the_old_attempts_are_gone",
    ),
    "Set stderr, stdout, and project qsub arguments from the top level": (
        OWN + "test_stderr_stdout_and_project_are_set_at_the_workflow_level",
        "tests/e2e/test_clusters.py::test_an_unknown_project_is_refused_in_qsubs_words",
    ),
    "Re-use a set of tasks": (OWN + "test_a_set_of_tasks_can_be_reused_in_another_workflow",),
    "Stop a set of tasks mid-run and resume it": (
        OWN + "test_resumed_run_is_a_new_run_and_does_not_rerun_what_is_done",
        "tests/e2e/test_runs.py::test_a_stop_and_a_resume",
    ),
    "Re-attempt a set of Tasks that may have ERROR'd out in the middle": (
        OWN + "test_failed_tasks_are_attempted_again_in_a_resumed_run",
        "tests/e2e/test_runs.py::test_a_failure_stops_only_what_needs_it_and_a_resume_runs_only_the_rest",
    ),
    "launch your Tasks as soon as each is ready to run": (
        "tests/e2e/test_runs.py::test_a_chain_runs_in_order_and_only_once",
    ),
    "automatically restart Tasks that die due to cluster instability": (
        "tests/db/test_reconcile.py::test_a_lost_attempt_is_tried_again_and_counts",
    ),
    "If your Workflow itself dies, resuming the script at a later time will automatically pickup where you left off": (
        OWN + "test_the_shipped_quickstart_runs_and_takes_the_resume_flag",
        "tests/e2e/test_runs.py::test_the_workflow_outlives_the_script",
    ),
    "A resumed run will not re-run any jobs that completed successfully in prior runs": (
        OWN + "test_resumed_run_is_a_new_run_and_does_not_rerun_what_is_done",
        "tests/e2e/test_runs.py::test_a_failure_stops_only_what_needs_it_and_a_resume_runs_only_the_rest",
    ),
    "Resuming a previously stopped Workflow will create a new WorkflowRun": (
        OWN + "test_resumed_run_is_a_new_run_and_does_not_rerun_what_is_done",
    ),
    "any progress through the Tasks that may have been made in previous Workflows will be ignored": (
        OWN + "test_changed_tasks_make_a_brand_new_workflow",
    ),
    "Jobmon itself will restart individual jobs, whereas a human operator can resume the entire Workflow": (
        "tests/db/test_reconcile.py::test_a_lost_attempt_is_tried_again_and_counts",
        "tests/e2e/test_client_wheel.py::test_a_failure_is_looked_into_and_mended_from_the_terminal",
    ),
    "what utilities we want to expose to help users to debug": (
        "tests/e2e/test_client_wheel.py::test_a_failure_is_looked_into_and_mended_from_the_terminal",
    ),
    "visibility into the Workflows they've created over time": (
        "tests/api/test_requests.py::test_workflows_newest_first",
    ),
    "Create READ-ONLY credentials": (
        "tests/db/test_sql_access.py::test_nothing_can_be_written",
        "tests/db/test_sql_access.py::test_the_command_rotates_and_revokes",
    ),
    "You can query the jobmon database to see the status of a whole Workflow, or any set of jobs": (
        "tests/db/test_sql_access.py::test_every_query_of_the_document_answers",
    ),
    "job, job_instance, job_instance_error_log, task_dag, workflow, workflow_run": (
        "tests/db/test_sql_access.py::test_every_table_that_is_shared_can_be_read",
    ),
    "job_instance_status, job_status, workflow_run_status, workflow_status": (
        "tests/db/test_sql_access.py::test_the_reference_explains_every_letter_and_reason",
        "tests/db/test_sql_access.py::test_the_reference_names_every_table_and_invents_no_column",
    ),
    "One job can have multiple job_instances if they are retried": (
        "tests/e2e/test_runs.py::test_a_failure_stops_only_what_needs_it_and_a_resume_runs_only_the_rest",
    ),
    "You can access the jobmon database from your favorite DB browser": (
        "tests/db/test_sql_access.py::test_every_query_of_the_document_answers",
    ),
    "Meta-data table that defines the states": ("tests/db/test_sql_access.py::test_labels_are_there_to_join",),
    "You will need to know your workflow_id or dag_id. Hopefully your application logged it": (
        OWN + "test_the_workflow_id_is_told",
    ),
    "SELECT status, count(*) FROM job WHERE dag_id=191 GROUP BY status": (
        "tests/db/test_sql_access.py::test_the_document_has_the_quickstarts_query_and_more",
        "tests/e2e/test_runs.py::test_a_chain_runs_in_order_and_only_once",
    ),
}


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_of_the_quickstart_has_its_tests(promise: str) -> None:
    for test in PROMISES[promise]:
        path, _, name = test.partition("::")
        assert name in names_in(path), f"{test} is gone; what shows now that {promise!r}?"


def test_every_test_of_the_quickstart_is_for_a_promise() -> None:
    named = {test.removeprefix(OWN) for tests in PROMISES.values() for test in tests if test.startswith(OWN)}
    own = {name for name in names_in(OWN.removesuffix("::")) if name.startswith("test_")}
    assert own - named == {"test_the_shipped_pipeline_has_five_phases_and_the_size_asked_for"}
