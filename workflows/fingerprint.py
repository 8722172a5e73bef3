"""Pure: which failures are the same failure. One fingerprint per failed attempt, made once, when its error is written.

`fingerprint(reason, text)` reads the evidence sentence, a blank line and the tail of stderr. The hash is made of
VERSION, the reason, the kind of the error (exception type, return code), its message without what differs from job to
job, and the file names of the three innermost frames: own files if there are any, else those of libraries.

Python, R, Stata, Julia, Java, JavaScript, C++ and shell errors are recognised; else the last line that says something
counts. An ending that the job's own words do not explain (memory, run time, killed, lost, refused, never started, a
signal) is one group each, whatever stderr says; so is a failure without any words.

A change of any rule changes hashes: raise VERSION with it. The text is cut before anything looks at it and every
pattern sees one cut line, so time is bounded whatever the text.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from workflows.error_text import Found, find_abort, find_error, shorten
from workflows.masking import mask_secrets
from workflows.state_machine import Reason

VERSION = 1
TITLE_LENGTH = 120
ELLIPSIS = "…"

_HEAD = 4_000  # characters; the evidence sentence is in these
_TAIL = 16_000
_LINE = 500
_MESSAGE = 200

SYNTHETIC: dict[str, str] = {
    Reason.MEMORY: "Over memory",
    Reason.RUNTIME: "Over run time",
    Reason.KILLED: "Killed by a person",
    Reason.LOST: "Lost after its start",
    Reason.REFUSED: "Refused by the batch system",
    Reason.VOID: "Never started",
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`hash`: 64 hexadecimal digits, equal for equal failures. `title`: at most 120 characters, for people, in this failure's
    own words: those of an equal one may differ from it in numbers, names and paths."""

    hash: str
    title: str


def fingerprint(reason: str, text: str) -> Fingerprint:
    """The group of one failed attempt. Never raises, whatever the text."""
    evidence, lines = split_text(text)
    if reason in SYNTHETIC:
        return _make(reason, Found("none", "", SYNTHETIC[reason]))
    if reason == Reason.SIGNAL:
        return _make(reason, find_abort(lines) or Found("none", "", f"Ended by {_signal_name(evidence)}"))
    return _make(reason, find_error(lines) or Found("none", "", "Failed without a word on stderr"))


_EVIDENCE = re.compile(
    r"(?:Exit code|Ended (?:by|on)|Over (?:memory|run time)|Killed by|Lost after|Never started|Refused)\b"
)
_ESCAPES = re.compile(
    r"\x1b\[[0-?]{0,20}[ -/]{0,5}[@-~]|\x1b[@-Z\\-_]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|[\ud800-\udfff]"
)
_NEWLINE = re.compile(r"\r\n|\r|\n|\u2028|\u2029")
_GROUP_MARK = re.compile(r"^\s{0,40}(?:[|]\s?|[+](?:-\+)?-{4,}|[+] (?=Exception Group))")


def split_text(text: str) -> tuple[str, list[str]]:
    """The evidence sentence and the lines of stderr's tail, both cut, without what steers a terminal."""
    evidence, blank, _ = text[:_HEAD].partition("\n\n")
    if "\n" in evidence or not _EVIDENCE.match(evidence):
        evidence = ""
    elif not blank:
        return evidence[:_LINE], []
    body = text[max(len(evidence), len(text) - _TAIL) :]
    lines = [line[:_LINE].rstrip() for line in _NEWLINE.split(_ESCAPES.sub("", body))]
    if any("Exception Group Traceback" in line for line in lines):
        lines = [_GROUP_MARK.sub("", line) for line in lines]
    return evidence[:_LINE], lines


def _signal_name(evidence: str) -> str:
    found = re.search(r"signal (\d{1,3})(?: \((\w{1,20})\))?", evidence)
    return (found[2] or f"signal {found[1]}") if found else "a signal"


_MONTHS = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DAYS = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
_ZONE_AND_YEAR = r"(?: [A-Z]{3,4})?(?: \d{4})?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,9})?"
_DATA_FILES = (
    "csv|tsv|txt|dta|rds|rda|rdata|h5|hdf|hdf5|nc|parquet|feather|json|ya?ml|xlsx?|pkl|pickle|log|gz|zip|npy|npz|db"
)
_DOMAINS = "org|com|edu|net|gov|io|int|local|localdomain|internal|lan|cluster"
# In this order; `…` stands for anything that names a single thing, N for a number
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b[A-Za-z][A-Za-z0-9+.-]{1,15}://[^\s'\"<>`,]+", ELLIPSIS),
        (r"(?<!\w)(?:'[^']*'|\"[^\"]*\"|`[^`']*[`']|\u2018[^\u2019]*\u2019|\u201c[^\u201d]*\u201d)(?!\w)", ELLIPSIS),
        (r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b", ELLIPSIS),
        (rf"\b(?:{_DAYS},? )?(?:\d{{1,2}} )?{_MONTHS}\.? +\d{{1,2}},?(?: {_CLOCK})?{_ZONE_AND_YEAR}\b", ELLIPSIS),
        (rf"\b\d{{4}}[-/]\d{{2}}[-/]\d{{2}}(?:[T ]{_CLOCK})?(?:Z\b| ?[+-]\d\d:?\d\d\b)?", ELLIPSIS),
        (r"(?<![\w…])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][^\s'\"`,:;()\[\]{}<>|]+", ELLIPSIS),
        (r"(?<![\w.-])[\w.-]+(?:/[\w.-]+)*/[\w-]+\.[A-Za-z]\w{0,9}\b", ELLIPSIS),
        (rf"(?<![\w.-])[\w-]+(?:\.[\w-]+)*\.(?i:{_DATA_FILES})\b", ELLIPSIS),
        (r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b", ELLIPSIS),
        (rf"(?<![\w.@-])(?:[\w-]+\.)+(?:{_DOMAINS})(?::\d{{1,5}})?\b", ELLIPSIS),
        (r"\b(host|hostname|node)([ =:]{1,3})[\w.-]*\d[\w.-]*", rf"\1\2{ELLIPSIS}"),
        (rf"\b{_CLOCK}\b", ELLIPSIS),
        (r"\b0[xX][0-9a-fA-F]+\b", ELLIPSIS),
        (r"\b(?=[0-9a-f]{0,63}\d)(?=\d{0,63}[a-f])[0-9a-f]{7,64}\b", ELLIPSIS),
        (r"(?:(?<![\w.])[+-])?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?", "N"),
        (r"\bN ?[KMGTP]i?[Bb]\b", "N bytes"),
        (r"\[Errno N\] ", ""),
        (rf"'\[?{ELLIPSIS}[^']*'", ELLIPSIS),
        (rf"([N{ELLIPSIS}])(?:, ?\1)+", r"\1"),
        (r"\s+", " "),
        (r"^N$", ELLIPSIS),
    )
)


def normalise(message: str) -> str:
    """The message without what differs from job to job: numbers, ids, times, paths, quoted text, hosts."""
    text = message[:_LINE]
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.strip()


def _make(reason: str, found: Found) -> Fingerprint:
    message = found.message if found.language == "none" else normalise(found.message)[:_MESSAGE].strip()
    if found.language == "line":
        message = message.lstrip(f" {ELLIPSIS}:,-") or message  # the time stamp of a log line
    parts = (f"v{VERSION}", reason, found.language, found.kind, message, *found.frames)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()
    return Fingerprint(digest, _title(found, _own_words(found)))


_ERRNO = re.compile(r"\[Errno \d+\] ")


def _own_words(found: Found) -> str:
    """The message as it was written, but secrets, the time stamp of a log line, and the number that Python gives beside
    words."""
    words = mask_secrets(_ERRNO.sub("", found.message[:_LINE])).split()
    while found.language == "line" and len(words) > 1 and not normalise(words[0]).strip(f"N{ELLIPSIS}:,-[]()"):
        words = words[1:]
    return " ".join(words)


def _title(found: Found, message: str) -> str:
    """Kind, message and innermost file; where it is too long, the message is cut."""
    head = f"{shorten(found.kind)}: {message}" if found.kind and message else shorten(found.kind) or message
    has_file = bool(found.frames) and "." in found.frames[0]
    tail = f" in {found.frames[0][:40]}" if has_file else ""
    room = TITLE_LENGTH - len(tail)
    head = "".join(letter if letter.isprintable() else " " for letter in head)
    return (head if len(head) <= room else head[: room - 1].rstrip() + ELLIPSIS) + tail
