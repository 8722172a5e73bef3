"""`jobmon query`: a question in SQL."""

from __future__ import annotations

import sys

import click

from jobmon.cli.context import App, json_option, pass_app
from jobmon.cli.output import print_json, print_table
from jobmon.sql import ask, find_address


@click.command()
@click.argument("sql")
@click.option("--sql-url", metavar="URL", help="Address of the database.  [env: JOBMON_SQL_URL]")
@json_option
@pass_app
def query(app: App, sql: str, sql_url: str | None, as_json: bool) -> None:
    """Ask the database in SQL, as in "SELECT status, count(*) FROM job WHERE dag_id=191 GROUP BY status".

    One statement (- is stdin) that only reads. The database is found in this order: the option, JOBMON_SQL_URL, sql_url
    in ~/.jobmonrc, the file of a server of yours on this machine. docs/sql.md describes the tables.

    With --json a row is an object; where the mysql program has to answer, all its values are text.
    """
    if sql == "-":
        sql = sys.stdin.read()
    if not sql.strip():
        raise click.UsageError(
            'there is no statement; give one like "SELECT status, count(*) FROM job GROUP BY status"'
        )
    answer = ask(find_address(sql_url, app.config), sql)
    if as_json:
        print_json([{name: _plain(value) for name, value in zip(answer.columns, row)} for row in answer.rows])
    elif answer.rows:
        print_table(answer.columns, answer.rows)
    if not answer.rows:
        click.echo("no rows", err=True)


def _plain(value: object) -> object:
    """A value that JSON knows: times and decimals as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
