"""Small pieces of HTML shared by templates and tables: badges, icons, bars, times. Everything is escaped here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from workflows import looks, words
from workflows.directions import turns
from workflows.models import RunForecast, WorkflowRun

SPRITE = "icons.svg"
NOTHING = format_html('<span class="none">{}</span>', words.NONE)


# What a name may hold and no reader would see: control characters, and marks that turn the text around them
_UNSEEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]")


def make_unseen_seen(html: bytes) -> bytes:
    """A page in which unseen characters are signs: ␛ for escape and the like, a replacement sign for all others."""
    return _UNSEEN.sub(_sign_of, html)


def _sign_of(found: re.Match[bytes]) -> bytes:
    code = found[0][0]
    sign = chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
    return sign.encode()


def apart(text: object) -> SafeString:
    """Text of somebody's beside ours: written from right to left, it changes the order of nothing but itself."""
    plain = text if isinstance(text, str) else str(text)
    return format_html("<bdi>{}</bdi>", plain) if turns(plain) else format_html("{}", plain)


def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the local sprite; always beside a word, so hidden from screen readers."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {classes}" if classes else "",
        static(SPRITE),
        name,
    )


def status_badge(kind: str, letter: str) -> SafeString:
    """Icon, word and colour of a status. `kind`: job, workflow, run or instance."""
    look = looks.KINDS[kind].get(letter, looks.WAITING)
    return look_badge(look)


def plain_badge(letter: str) -> SafeString:
    """A job's status without its explanation: for long tables."""
    look = looks.SHOWN[letter]
    return format_html('<span class="st s-{}">{}{}</span>', look.key, icon(look.icon), look.word)


def look_badge(look: looks.Look) -> SafeString:
    return format_html('<span class="st s-{}" title="{}">{}{}</span>', look.key, look.hint, icon(look.icon), look.word)


def fact_badge(word: str, icon_name: str, hint: str = "") -> SafeString:
    """An outlined badge for a fact that stands beside a status."""
    return format_html('<span class="fact" title="{}">{}{}</span>', hint or word, icon(icon_name), word)


def bar(counts: Mapping[str, int]) -> SafeString:
    """The stacked bar of counts; its label is the sentence."""
    sentence = words.counts_sentence(counts)
    rects = format_html_join(
        "",
        '<rect class="f-{}" x="{}" y="0" width="{}" height="10"><title>{} {}</title></rect>',
        ((s.look.key, str(s.x), str(s.width), words.number(s.count), s.look.word) for s in looks.bar_segments(counts)),
    )
    return format_html(
        '<svg class="bar" viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="bar-track" x="0" y="0" width="{}" height="10"/>{}</svg>',
        int(looks.BAR_WIDTH),
        sentence,
        int(looks.BAR_WIDTH),
        rects,
    )


def _machine(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _exact(moment: datetime) -> str:
    local = timezone.localtime(moment)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"


def when(moment: datetime | None) -> SafeString:
    """A time as "8 min ago", the exact one in its title."""
    if moment is None:
        return NOTHING
    text = words.since(timezone.localtime(moment), timezone.now())
    return format_html('<time datetime="{}" title="{}">{}</time>', _machine(moment), _exact(moment), text)


def exact(moment: datetime | None) -> SafeString:
    """An exact time in the reader's zone, "8 min ago" in its title."""
    if moment is None:
        return NOTHING
    text = words.since(timezone.localtime(moment), timezone.now())
    return format_html('<time datetime="{}" title="{}">{}</time>', _machine(moment), text, _exact(moment))


def elapsed(start: datetime, now: datetime | None = None) -> SafeString:
    """How long it is since then; it goes on while the page is open."""
    text = words.duration(((now or timezone.now()) - start).total_seconds())
    return format_html('<time data-for datetime="{}">{}</time>', _machine(start), text)


def took(run: WorkflowRun) -> SafeString:
    """How long a run took, or takes so far."""
    if run.ended_at is None:
        return elapsed(run.created_date)
    return format_html("{}", words.duration((run.ended_at - run.created_date).total_seconds()))


def with_elapsed(sentence: str, start: datetime | None, now: datetime) -> SafeString:
    """The sentence; "for 7 min" in it, counted from `start` to `now`, goes on while the page is open."""
    spoken = f"for {words.duration((now - start).total_seconds())}" if start else ""
    before, found, after = sentence.partition(spoken) if spoken else (sentence, "", "")
    return (
        format_html("{}for {}{}", before, elapsed(start, now), after)
        if found and start
        else format_html("{}", sentence)
    )


def expected_end(run: WorkflowRun | None) -> SafeString:
    """`ends 16:10` to `19:40` of a live run, what binds it in the title; '' where it is not known."""
    found: RunForecast | None = getattr(run, "forecast", None) if run is not None and run.status == "R" else None
    now = timezone.now()
    if found is None or found.earliest is None or found.latest is None or found.latest < now:
        return SafeString("")
    span = words.end_span(timezone.localtime(found.earliest), timezone.localtime(found.latest), now)
    return format_html('<span class="muted" title="{}">ends {}</span>', f"Bound by {found.bound_by}", span)


def clip(text: str, length: int) -> SafeString:
    """At most `length` characters, the whole in the title."""
    if len(text) <= length:
        return format_html("{}", text)
    return format_html('<span title="{}">{}…</span>', text[:2000], text[:length])


def trend(counts: Sequence[int], label: str = "Attempts over time") -> SafeString:
    """A small picture of counts over time; nothing where there is nothing to compare."""
    if not counts or not max(counts):
        return NOTHING
    bars = format_html_join(
        "",
        '<rect class="f-failed" x="{}" y="{}" width="9" height="{}"><title>{}</title></rect>',
        (
            (at * 10, round(40 - 40 * count / max(counts), 1), round(40 * count / max(counts), 1), f"{count:,}")
            for at, count in enumerate(counts)
            if count
        ),
    )
    summary = f"{label}: {sum(counts):,} in {len(counts)} steps, at most {max(counts):,} in one"
    return format_html(
        '<svg class="trend" viewBox="0 0 240 40" preserveAspectRatio="none" role="img" aria-label="{}"><title>{}</title><path d="M0 40h240"/>{}</svg>',
        summary,
        label,
        bars,
    )
