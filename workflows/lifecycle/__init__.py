"""The only writer of any status.

Every function is one write transaction that locks the workflow, then the run, then jobs, then instances, each in order
of primary key, and writes with the old status in the WHERE clause. Within one attempt a status only rises; an event
that comes too late changes nothing and is no error.
"""

from workflows.lifecycle.asking import MoreAsked
from workflows.lifecycle.attempts import (
    Intended,
    IntentPlan,
    Observation,
    record_intents,
    record_observed,
    record_recovered,
    record_submitted,
)
from workflows.lifecycle.endings import Ending, record_ended, record_late_success, record_usage
from workflows.lifecycle.runs import (
    Refused,
    RunOptions,
    acquire_lease,
    ask_stop,
    finish_if_over,
    hold_run,
    note_submit_failure,
    note_submit_success,
    release_lease,
    start_run,
)
from workflows.lifecycle.steering import (
    Steered,
    ask_kill,
    change_error_group,
    change_requests,
    mark_done,
    repair_readiness,
    reset_jobs,
    set_limits,
    set_note,
)

__all__ = [
    "Ending",
    "Intended",
    "IntentPlan",
    "MoreAsked",
    "Observation",
    "Refused",
    "RunOptions",
    "Steered",
    "acquire_lease",
    "ask_kill",
    "ask_stop",
    "change_error_group",
    "change_requests",
    "finish_if_over",
    "hold_run",
    "mark_done",
    "note_submit_failure",
    "note_submit_success",
    "record_ended",
    "record_intents",
    "record_late_success",
    "record_observed",
    "record_recovered",
    "record_submitted",
    "record_usage",
    "release_lease",
    "repair_readiness",
    "reset_jobs",
    "set_limits",
    "set_note",
    "start_run",
]
