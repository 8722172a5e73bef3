"""`manage.py unix_account alice asmith`: alice's jobs run as the Unix account asmith (JOBMON_RUN_AS=owner)."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows import bell, lifecycle
from workflows.actor import Actor
from workflows.models import UnixAccount
from workflows.unix_accounts import NotUsable, find_held, set_account


class Command(BaseCommand):
    help = (
        "Say as which Unix account a person's jobs run; without an account, show it. The account must exist here under "
        "exactly this name. Runs that were held for want of it go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="who signs in under this name")
        parser.add_argument("account", nargs="?", help="a Unix account of this machine")
        parser.add_argument("--remove", action="store_true", help="take the mapping away: nothing new of theirs starts")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}. They must have signed in once, or be created.")
        if options["account"] is None and not options["remove"]:
            self._show(user)
            return
        account = "" if options["remove"] else options["account"]
        actor = Actor(User(username=getpass.getuser()), "system")
        try:
            set_account(user, account, actor)
        except NotUsable as fault:
            raise CommandError(f"{user.get_username()} stays as before: {fault}.") from fault
        for run_id in find_held(user) if account else ():
            lifecycle.hold_run(run_id, "", actor)
            bell.ring(run_id)
        self._show(user)

    def _show(self, user: User) -> None:
        found = UnixAccount.objects.filter(user=user).first()
        if found is None:
            self.stdout.write(f"{user.get_username()} has no Unix account; nothing new of theirs starts.")
        else:
            since = f"{found.verified_at:%Y-%m-%d %H:%M} UTC by {found.verified_by}"
            self.stdout.write(f"Jobs of {user.get_username()} run as {found.account} (verified {since}).")
