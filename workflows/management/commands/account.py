"""`manage.py account alice --create --join fits`: accounts, groups and roles, from the server's machine only."""

from __future__ import annotations

import getpass
import json
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.management.base import BaseCommand, CommandError, CommandParser

from workflows.accounts import Change, IdentityTaken, NoSuchAccount, change_account, describe

YES_NO = {"yes": True, "no": False}


class Command(BaseCommand):
    help = "Make an account, or change its groups and roles; each change is in the audit. Without options: show it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--create", action="store_true", help="make it if it is not there, without a password")
        parser.add_argument("--password", action="store_true", help="ask for a new password (twice)")
        for role, told in (("active", "may sign in"), ("staff", "sees and stops all"), ("admin", "administrator")):
            parser.add_argument(f"--{role}", choices=YES_NO, help=told)
        parser.add_argument("--join", action="append", default=[], metavar="GROUP", help="put into this group")
        parser.add_argument("--leave", action="append", default=[], metavar="GROUP", help="take out of this group")
        parser.add_argument("--oidc-subject", metavar="SUB", help="this account is SUB at the identity provider")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        change = self._read(options)
        try:
            user = change_account(name, change, getpass.getuser()) if change else User.objects.get(username=name)
        except (NoSuchAccount, User.DoesNotExist):
            raise CommandError(f"There is no account {name}. Make it: manage.py account {name} --create") from None
        except IdentityTaken as taken:
            raise CommandError(
                f"{options['oidc_subject']} is the account {taken} already; nothing was changed."
            ) from None
        if options["password"]:
            self._set_password(user)
        self.stdout.write(json.dumps({"name": name, **describe(user)}))

    def _read(self, options: dict[str, Any]) -> Change | None:
        subject = options["oidc_subject"]
        issuer = getattr(settings, "OIDC_ISSUER", "")
        if subject and not issuer:
            raise CommandError("--oidc-subject needs JOBMON_OIDC_ISSUER")
        flags = {"is_active": "active", "is_staff": "staff", "is_superuser": "admin"}
        chosen = {field: YES_NO[options[word]] for field, word in flags.items() if options[word]}
        if not (options["create"] or chosen or options["join"] or options["leave"] or subject):
            return None
        identity = (issuer, subject) if subject else None
        return Change(options["create"], join=options["join"], leave=options["leave"], identity=identity, **chosen)

    def _set_password(self, user: User) -> None:
        password = getpass.getpass("New password: ")
        if password != getpass.getpass("The same again: "):
            raise CommandError("The two differ; the password is what it was.")
        validate_password(password, user)
        user.set_password(password)
        user.save(update_fields=["password"])
