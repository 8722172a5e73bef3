"""`manage.py serve`: the whole server in one command, for one person on one machine."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from executors.capacity import detect_memory, detect_slots
from jobmon_site import embedded, locking, supervisor
from jobmon_site.environment import SettingError
from jobmon_site.home import Home
from jobmon_site.supervisor import Part, Plan
from workflows.access import ensure_local_user, ensure_token_file, make_sign_in_link
from workflows.scheduling import epoch
from workflows.scheduling.checks import Verdict, check_all

GREETING = """\
Jobmon is running at {url}

  sign in       {link}
                (works once, within 10 minutes; `{command} open` makes another one)
  kept in       {home}{local}
  logs          {logs}
  to stop       Ctrl-C here, or kill {pid}; running jobs go on, and their workflows continue at the next start
"""


class Command(BaseCommand):
    help = "Run the site, a worker, the clock, Redis and the local executor until Ctrl-C. Needs no installed server."
    requires_system_checks = []  # `make check` runs them; here they would only delay the start

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.IS_EMBEDDED:
            raise CommandError("serve is for JOBMON_MODE=embedded; a shared server runs the units in deploy/systemd.")
        home: Home = settings.HOME
        embedded.prepare_folders(home, settings.SPOOL)
        locking.claim_host(home, socket.gethostname())
        lock = locking.take_lock(home)
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
        if epoch.is_behind():
            raise SettingError(epoch.sentence())
        self.check_executors()
        listener = embedded.listen(os.environ.get("JOBMON_PORT", ""))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        plan = make_plan(home, url, listener, lock)
        connections.close_all()
        become_supervisor(plan, [lock, listener.fileno()])

    def check_executors(self) -> None:
        """A wrong setting ends the start with a sentence; a batch system that is down may come back."""
        for finding in check_all():
            if finding.verdict is Verdict.WRONG:
                raise SettingError(finding.words)
            if finding.verdict is Verdict.SILENT:
                self.stderr.write(f"jobmon: warning: {finding.words}")


def make_parts(home: Home, listener: socket.socket, lock: int) -> list[Part]:
    environ = {**os.environ, "JOBMON_PORT": str(listener.getsockname()[1])}
    slots, memory = settings.LOCAL_SLOTS or detect_slots(), settings.LOCAL_MEMORY_GB or detect_memory()
    parts = [
        embedded.shepherd_part(home, settings.SPOOL, settings.SHEPHERD_DIR, slots, memory, environ),
        embedded.worker_part(home, environ, [lock], settings.WORKER_SILENCE_SECONDS),
        embedded.beat_part(home, environ, [lock]),
        embedded.web_part(home, listener.fileno(), environ, [lock]),
    ]
    if os.environ.get("JOBMON_REDIS_URL") or os.environ.get("JOBMON_REDIS_URL_FILE"):
        return parts
    return [embedded.redis_part(home, embedded.find_redis(), environ, [lock]), *parts]


def make_plan(home: Home, url: str, listener: socket.socket, lock: int) -> Plan:
    user = ensure_local_user()
    ensure_token_file(home.token_file, user)
    greeting = GREETING.format(
        url=url,
        command=Path(sys.executable).with_name("jobmon"),
        link=f"{url}/login/once/?code={make_sign_in_link(user)}",
        home=home.home,
        local="" if home.local == home.home else f"\n  database in   {home.local} (home is on a network file system)",
        logs=home.logs,
        pid=os.getpid(),
    )
    return Plan(
        parts=make_parts(home, listener, lock),
        directory=str(settings.BASE_DIR),
        server_file=str(home.server_file),
        parts_file=str(home.parts_file),
        server={"url": url, "port": listener.getsockname()[1], "pid": os.getpid(), "version": settings.VERSION},
        greeting=greeting,
    )


def become_supervisor(plan: Plan, descriptors: list[int]) -> None:
    """Replace this process, and with it Django, by the small supervisor. The plan holds secrets: it goes through
    memory, not through the arguments."""
    memory = os.memfd_create("jobmon-plan", 0)
    os.write(memory, plan.dump())
    os.lseek(memory, 0, os.SEEK_SET)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-S", supervisor.__file__, str(memory)])  # noqa: S606
