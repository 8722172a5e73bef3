"""Jobmon's client: describe a workflow of shell jobs, hand it to a Jobmon server, wait for it or go away.

Needs nothing but the standard library. The `jobmon` command (`jobmon.cli`) also uses click, rich and PyYAML.
"""

from __future__ import annotations

from jobmon.version import __version__
from jobmon.workflow.bash_task import BashTask
from jobmon.workflow.executable_task import ExecutableTask
from jobmon.workflow.python_task import PythonTask
from jobmon.workflow.r_task import RTask
from jobmon.workflow.secret_file import SecretFile
from jobmon.workflow.stata_task import StataTask
from jobmon.workflow.task_dag import TaskDag
from jobmon.workflow.task_dag_viz import TaskDagViz
from jobmon.workflow.workflow import Workflow

__all__ = [
    "BashTask",
    "ExecutableTask",
    "PythonTask",
    "RTask",
    "SecretFile",
    "StataTask",
    "TaskDag",
    "TaskDagViz",
    "Workflow",
    "__version__",
]
