#!/usr/bin/env python3
"""The quickstart: four tasks, three of them in a row. Run it again to resume what has not been done.

python examples/quickstart.py [--resume cold|hot] [--workflow-args quickstart]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jobmon import BashTask, PythonTask, Workflow
from jobmon.exceptions import WorkflowAlreadyComplete


def build_workflow(workflow_args: str = "quickstart") -> Workflow:
    """The workflow; its output goes to ~/jobmon_output."""
    output = str(Path.home() / "jobmon_output")
    Path(output).mkdir(exist_ok=True)
    my_wf = Workflow(workflow_args=workflow_args, project="proj_jenkins", stderr=output, stdout=output)

    write_task = BashTask("touch ~/jobmon_qs.txt", slots=2, mem_free=4)
    copy_task = BashTask("cp ~/jobmon_qs.txt ~/cpof_jobmon_qs.txt", upstream_tasks=[write_task])
    del_task = BashTask("rm ~/jobmon_qs.txt", upstream_tasks=[copy_task])
    run_task = PythonTask(
        path_to_python_binary=sys.executable,
        script=str(Path(__file__).resolve().with_name("runme.py")),
        env_variables={"OP_NUM_THREADS": 1},
        args=[1, 2],
        slots=2,
        mem_free=4,
    )

    my_wf.add_tasks([write_task, copy_task, del_task, run_task])
    return my_wf


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", nargs="?", const="cold", default="cold", choices=["cold", "hot"])
    parser.add_argument("--workflow-args", default="quickstart")
    options = parser.parse_args()
    try:
        is_done = build_workflow(options.workflow_args).run(resume=options.resume)
    except WorkflowAlreadyComplete as complete:
        print(complete)
        return 0
    return 0 if is_done else 1


if __name__ == "__main__":
    sys.exit(main())
