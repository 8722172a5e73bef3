"""Executors and hosts from stored snapshots, and what is decided about them. Nothing here asks a batch system."""

from __future__ import annotations

import platform
from collections.abc import Callable

import django
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from workflows import executor_control, words
from workflows.digits import read_digits
from workflows.directions import fenced
from workflows.models import ExecutorState, HostExclusion
from workflows.page_links import host_path
from workflows.permissions import may_hold_executors, may_set_up_executors
from workflows.queries import executors as queries
from workflows.queries import versions
from workflows.queries.health import read_server
from workflows.queries.hosts import failed_on, find_host, find_hosts
from workflows.views import charts
from workflows.views.base import (
    Crumb,
    Terminal,
    actor_of,
    found,
    frame_of,
    is_unchanged,
    nothing_new,
    page,
    poll,
    show,
    user_of,
)
from workflows.views.confirm import Confirm, do_once, show_confirm

WORST_SHOWN = 5
POLL_SECONDS = 30  # as often as the sweep looks
POLL_HOSTS = 60
MOST = 10**6
LIST = Crumb("Executors", "/executors/")
ONLY_STAFF, ONLY_ADMIN = "Only staff may do this.", "Only administrators may do this."


def may_hold(request: HttpRequest) -> bool:
    return may_hold_executors(user_of(request))


def may_decide(request: HttpRequest) -> bool:
    """Limits and hosts are for administrators."""
    return may_set_up_executors(user_of(request))


@page
@require_safe
def executor_list(request: HttpRequest) -> HttpResponse:
    version = versions.of_executors(frame_of(request))
    if is_unchanged(request, version):
        return nothing_new()
    hosts, compared = find_hosts()
    context = {
        "executors": queries.list_executors(),
        "hosts": [row for row in hosts if row.is_excluded or row.host.is_bad][:WORST_SHOWN],
        "compared": compared,
        "database": connection.vendor,
        "server": read_server(),
        "versions": f"Python {platform.python_version()}, Django {django.get_version()}",
        "live": poll(request, version, POLL_SECONDS),
        "crumbs": [Crumb("Executors")],
        "section": "executors",
        "terminal": Terminal("", "/api/v1/executors/"),
    }
    return show(request, "system/executors.html", context)


@page
@require_safe
def executor_page(request: HttpRequest, name: str) -> HttpResponse:
    version = versions.of_executors(frame_of(request))
    if is_unchanged(request, version):
        return nothing_new()
    view = next((view for view in queries.list_executors() if view.state.name == name), None)
    day = queries.read_day(name)
    context = {
        "item": found(view),
        "columns": charts.make_columns(day),
        "most": charts.find_most(day),
        "levels": charts.make_levels(charts.find_most(day)),
        "ticks": charts.make_ticks(day.bins[0].at, day.bins[-1].at + day.width) if day.bins else [],
        "submissions": queries.view_submissions(name),
        "refusals": queries.refusals(user_of(request), name),
        "may_hold": may_hold(request),
        "may_decide": may_decide(request),
        "live": poll(request, version, POLL_SECONDS),
        "crumbs": [LIST, Crumb(name)],
        "section": "executors",
        "terminal": Terminal("", "/api/v1/executors/"),
    }
    return show(request, "system/executor.html", context)


@page
@require_safe
def host_list(request: HttpRequest) -> HttpResponse:
    version = versions.of_hosts()
    if is_unchanged(request, version):
        return nothing_new()
    hosts, compared = find_hosts()
    context = {
        "hosts": hosts,
        "compared": compared,
        "live": poll(request, version, POLL_HOSTS),
        "crumbs": [LIST, Crumb("Hosts")],
        "section": "executors",
        "terminal": Terminal("", "/api/v1/hosts/"),
    }
    return show(request, "system/hosts.html", context)


@page
@require_safe
def host_page(request: HttpRequest, name: str, host: str) -> HttpResponse:
    """The newest failed attempts on one host."""
    version = versions.of_hosts()
    if is_unchanged(request, version):
        return nothing_new()
    rows = failed_on(user_of(request), name, host)
    tally, compared = find_host(name, host)
    exclusion = HostExclusion.objects.filter(executor=name, host=host).first()
    context = {
        "name": name,
        "host": host,
        "rows": rows,
        "tally": tally,
        "compared": compared,
        "exclusion": exclusion if exclusion and exclusion.is_excluded else None,
        "may_decide": may_decide(request),
        "can_exclude": executor_control.can_exclude_hosts(name),
        "live": poll(request, version, POLL_HOSTS),
        "crumbs": [LIST, Crumb("Hosts", "/hosts/"), Crumb(host)],
        "section": "executors",
        "terminal": Terminal("", "/api/v1/hosts/"),
    }
    return show(request, "system/host.html", context)


def _answer(
    request: HttpRequest, confirm: Confirm, may_act: bool, act: Callable[[], str], crumbs: list[Crumb]
) -> HttpResponse:
    """The confirm page for a GET; the act for a POST, and what it says."""
    if request.method != "POST":
        return show_confirm(request, confirm, crumbs)
    if not may_act:
        raise PermissionDenied(confirm.refusal)
    if confirm.problem:
        return show_confirm(request, confirm, crumbs)
    return do_once(request, lambda: _carry_out(request, act, confirm.back))


def _carry_out(request: HttpRequest, act: Callable[[], str], back: str) -> HttpResponse:
    try:
        messages.success(request, act())
    except executor_control.NotChanged as refusal:
        messages.error(request, f"Nothing was changed. {refusal}")
    executor_control.ring_live_runs()
    return HttpResponseRedirect(back)


def _find(name: str) -> ExecutorState:
    return found(queries.find_executor(name))


@page
@require_http_methods(["GET", "HEAD", "POST"])
def hold(request: HttpRequest, name: str) -> HttpResponse:
    """Nothing new is submitted to an executor; or, where it is held, release it."""
    state = _find(name)
    is_release = bool(state.hold_reason)
    wanted = "release" if is_release else "hold"
    given = " ".join(request.POST.get("reason", "").split())[:500]
    is_late = request.method == "POST" and request.POST.get("wanted") != wanted
    confirm = Confirm(
        f"{wanted.capitalize()} {name}",
        f"Held: {fenced(state.hold_reason)}" if is_release else "No run submits anything new to it until it is released. What runs goes on.",
        f"{wanted.capitalize()} {name}", f"/executors/{name}/", hidden={"wanted": wanted},
        refusal="" if may_hold(request) else ONLY_STAFF, form="" if is_release else "actions/hold.html",
        problem="That was done already. Look again." if is_late else "",
    )  # fmt: skip

    def act() -> str:
        reason = "" if is_release else given or f"by {user_of(request).get_username()}"
        executor_control.hold(name, reason, actor_of(request))
        return f"{name} takes jobs again." if is_release else f"Nothing new is submitted to {name}."

    crumbs = [LIST, Crumb(name, f"/executors/{name}/"), Crumb(wanted.capitalize())]
    return _answer(request, confirm, may_hold(request), act, crumbs)


def _read_limit(text: str) -> tuple[int | None, str]:
    """The limit (None: its own number) and what is wrong with it."""
    text = text.replace(",", "").strip()
    if not text:
        return None, ""
    number = read_digits(text)
    if number is None or not 1 <= number <= MOST:
        return None, "The limit is a whole number from 1, or empty for the executor's own. To take nothing, hold it."
    return number, ""


@page
@require_http_methods(["GET", "HEAD", "POST"])
def limit(request: HttpRequest, name: str) -> HttpResponse:
    """How many attempts it may hold at once: the field first, then old and new to confirm."""
    state = _find(name)
    wanted, problem = _read_limit(request.POST.get("limit", ""))
    is_post = request.method == "POST"
    if is_post and not problem and wanted == state.max_live:
        problem = "Nothing is different from now."
    is_ready = is_post and not problem
    told = f"{_limit_words(state.max_live)} → {_limit_words(wanted)}. What runs goes on."
    confirm = Confirm(
        f"Limit of {name}", told if is_ready else "How many attempts it holds at once, of all runs together.",
        "Change 1 limit" if is_ready else "Show old and new", f"/executors/{name}/", problem=problem,
        refusal="" if may_decide(request) else ONLY_ADMIN, form="" if is_ready else "actions/executor_limit.html",
        values={"limit": request.POST.get("limit", state.max_live or "")},
        hidden={"limit": str(wanted or ""), "confirmed": "1"} if is_ready else {},
    )  # fmt: skip

    def act() -> str:
        executor_control.set_limit(name, wanted, actor_of(request))
        return f"The limit of {name}: {told}"

    crumbs = [LIST, Crumb(name, f"/executors/{name}/"), Crumb("Limit")]
    if is_ready and may_decide(request) and request.POST.get("confirmed") != "1":
        return show_confirm(request, confirm, crumbs)
    return _answer(request, confirm, may_decide(request), act, crumbs)


def _limit_words(value: int | None) -> str:
    return "its own number" if value is None else words.number(value)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def exclude(request: HttpRequest, name: str, host: str) -> HttpResponse:
    """Nothing new starts on a host; or, where it is excluded, jobs may start there again."""
    _find(name)
    row = HostExclusion.objects.filter(executor=name, host=host, is_excluded=True).first()
    refusal = "" if may_decide(request) else ONLY_ADMIN
    if not executor_control.can_exclude_hosts(name):
        refusal = refusal or f"{name} has only one host. Hold the executor instead."
    verb = "Readmit" if row else "Exclude"
    confirm = Confirm(
        f"{verb} {host}", _exclusion_words(row), f"{verb} 1 host", host_path(name, host),
        hidden={"wanted": verb.lower()}, refusal=refusal, form="" if row else "actions/hold.html",
        problem="That was done already. Look again." if request.method == "POST" and request.POST.get("wanted") != verb.lower() else "",
    )  # fmt: skip

    def act() -> str:
        if row:
            executor_control.readmit_host(name, host, actor_of(request))
            return f"Jobs may start on {host} again."
        reason = " ".join(request.POST.get("reason", "").split())
        executor_control.exclude_host(name, host, reason, actor_of(request))
        return f"{name} is asked to start nothing new on {host}; what waits in its queue already may still start there."

    crumbs = [LIST, Crumb("Hosts", "/hosts/"), Crumb(host, host_path(name, host)), Crumb(verb)]
    return _answer(request, confirm, may_decide(request), act, crumbs)


def _exclusion_words(row: HostExclusion | None) -> str:
    if row is None:
        return "The batch system is asked to start nothing new there. What runs goes on; what waits in the queue already may still start."
    ago = words.since(timezone.localtime(row.changed_at), timezone.now())
    return f"Excluded {ago} by {fenced(row.changed_by)}{f': {fenced(row.reason)}' if row.reason else ''}."
