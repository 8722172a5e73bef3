"""`manage.py account alice --create --join fits`: accounts, groups and roles, from the server's machine only."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.views.decorators.debug import sensitive_variables

from workflows.accounts import Change, IdentityTaken, NoSuchAccount, change_account, describe

YES_NO = {"yes": True, "no": False}


class Command(BaseCommand):
    help = "Make an account, or change its groups and roles; each change is in the audit. Without options: show it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--create", action="store_true", help="make it if it is not there, without a password")
        parser.add_argument(
            "--password", action="store_true", help="ask for a new password (twice), or read it from the input"
        )
        for role, told in (("active", "may sign in"), ("staff", "sees and stops all"), ("admin", "administrator")):
            parser.add_argument(f"--{role}", choices=YES_NO, help=told)
        parser.add_argument("--join", action="append", default=[], metavar="GROUP", help="put into this group")
        parser.add_argument("--leave", action="append", default=[], metavar="GROUP", help="take out of this group")
        parser.add_argument("--oidc-subject", metavar="SUB", help="this account is SUB at the identity provider")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        try:
            change = self._read(options)
            user = change_account(name, change, getpass.getuser()) if change else User.objects.get(username=name)
        except ValidationError as error:
            raise CommandError(f"{' '.join(error.messages)} Nothing was changed.") from None
        except (NoSuchAccount, User.DoesNotExist):
            raise CommandError(f"There is no account {name}. Make it: manage.py account {name} --create") from None
        except IdentityTaken as taken:
            raise CommandError(
                f"{options['oidc_subject']} is the account {taken} already; nothing was changed."
            ) from None
        self.stdout.write(json.dumps({"name": name, **describe(user)}))

    def _read(self, options: dict[str, Any]) -> Change | None:
        subject = options["oidc_subject"]
        issuer = getattr(settings, "OIDC_ISSUER", "")
        if subject and not issuer:
            raise CommandError("--oidc-subject needs JOBMON_OIDC_ISSUER")
        flags = {"is_active": "active", "is_staff": "staff", "is_superuser": "admin"}
        chosen = {field: YES_NO[options[word]] for field, word in flags.items() if options[word]}
        asked = (options["create"], chosen, options["join"], options["leave"], subject, options["password"])
        if not any(asked):
            return None
        identity = (issuer, subject) if subject else None
        password = ask_password(options["name"]) if options["password"] else None
        join, leave = options["join"], options["leave"]
        return Change(options["create"], join=join, leave=leave, identity=identity, password=password, **chosen)


@sensitive_variables("password")
def ask_password(name: str) -> str:
    """Twice from whoever sits there; from a script its first line of input. Raises CommandError, ValidationError."""
    if sys.stdin.isatty():
        password = getpass.getpass("New password: ")
        if password != getpass.getpass("The same again: "):
            raise CommandError("The two differ; nothing was changed.")
    else:
        password = sys.stdin.readline().rstrip("\n")
    validate_password(password, User.objects.filter(username=name).first() or User(username=name))
    return password
