"""Pure: finds the error in the last lines of a job's stderr, in the forms in which languages and shells tell it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

_FRAMES = 3
_SHELL_LINES = 5


@dataclass(frozen=True, slots=True)
class Found:
    """An error in the text. `frames`: files, innermost first. `line`: where it stands; a later one counts more."""

    language: str
    kind: str
    message: str
    frames: tuple[str, ...] = ()
    line: int = 0


def find_error(lines: Sequence[str]) -> Found | None:
    """The error that these lines tell: the last of those with a structure, else a shell's, else the last line."""
    structured = [found for recognise in _STRUCTURED if (found := recognise(lines)) is not None]
    if structured:
        return max(structured, key=lambda found: found.line)
    return find_bare_exception(lines) or find_shell(lines) or find_last_line(lines)


def find_abort(lines: Sequence[str]) -> Found | None:
    """What a program said of itself before it ended itself by a signal."""
    return find_cpp(lines) or find_fatal_python(lines)


# --- Python -----------------------------------------------------------------------------------------------------

_PYTHON_FRAME = re.compile(r'^\s*File "([^"]+)", line \d+')
_PYTHON_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?::\s*(.*))?$")
_SUB_EXCEPTIONS = re.compile(r"\(\d+ sub-exceptions?\)$")
_LIBRARY = re.compile(r"(?:site|dist)-packages|[/\\]lib(?:64)?[/\\]python\d|[/\\]Lib[/\\]|^<frozen")


def find_python(lines: Sequence[str]) -> Found | None:
    """The last traceback: of a chain the exception that came out. Of a group, the group and the types in it."""
    blocks = list(_python_blocks(lines))
    if not blocks:
        return None
    group = next((block for block in blocks if _SUB_EXCEPTIONS.search(block.message)), None)
    if group is None or not any("Exception Group Traceback" in line for line in lines):
        return blocks[-1]
    inner = {shorten(block.kind) for block in blocks[blocks.index(group) + 1 :]}
    inner |= {shorten(bare.kind) for bare in _bare_exceptions(lines[group.line + 1 :])}
    message = f"{group.message}: {', '.join(sorted(inner))}" if inner else group.message
    return Found("python", group.kind, message, group.frames, blocks[-1].line)


def _python_blocks(lines: Sequence[str]) -> Iterator[Found]:
    """Frames followed by a line that is not indented: the exception. The first frames may be cut off."""
    frames: list[str] = []
    for number, line in enumerate(lines):
        if "Traceback (most recent call last)" in line:
            frames = []
        elif frame := _PYTHON_FRAME.match(line):
            frames.append(frame[1])
        elif frames and line and line[0] not in " \t":
            if found := _PYTHON_EXCEPTION.match(line):
                message = found[2] or (_next_words(lines, number + 1) if line.endswith(":") else "")
                yield Found("python", found[1], message, _pick_frames(reversed(frames)), number)
            frames = []


def find_fatal_python(lines: Sequence[str]) -> Found | None:
    """The interpreter's own last words; here the innermost frame comes first."""
    for number, line in enumerate(lines):
        if line.startswith("Fatal Python error: "):
            frames = [frame[1] for later in lines[number:] if (frame := _PYTHON_FRAME.match(later))]
            return Found("python", "Fatal Python error", line.partition(": ")[2], _pick_frames(iter(frames)), number)
    return None


# --- R, Stata ---------------------------------------------------------------------------------------------------

_R_FILE = re.compile(r"([\w.-]{1,80}\.(?:[Rr]|[Rr]md|qmd))[#:]\d+")
_HINTS = "i\u2139\u2022\u2716"  # how rlang begins lines that explain
_R_END = ("Calls:", "Execution halted", "Backtrace:", "In addition:", "Traceback", "Warning message")


def find_r(lines: Sequence[str]) -> Found | None:
    """`Error in f(x) : message`, its message perhaps on the next line; `Error: message` if R says that it halted."""
    is_halted = any(line.startswith("Execution halted") for line in lines)
    starts = [number for number, line in enumerate(lines) if _is_r_error(line, is_halted)]
    if not starts:
        return None
    start = starts[-1]
    call, _, message = lines[start].partition(" : ") if " : " in lines[start] else lines[start].partition(": ")
    name = re.split(r"[(\[ ]", call.removeprefix("Error").removeprefix(" in ").strip("` :"), maxsplit=1)[0]
    name = "" if name.startswith(("eval", "withVisible", "doTryCatch", "value")) else name
    kind = f"Error in {name}" if name else "Error"
    return Found("R", kind, message.strip() or _r_message(lines[start + 1 :]), _r_frames(lines, start), start)


def _is_r_error(line: str, is_halted: bool) -> bool:
    if line.startswith("Error in "):
        return " : " in line or line.endswith((":", " :"))
    return is_halted and line.startswith(("Error: ", "Error:", "Error :"))


def _r_message(lines: Sequence[str]) -> str:
    """The line that says what was wrong: the last one marked `!`, else the first that is no hint."""
    body: list[str] = []
    for line in lines[:20]:
        if not line.strip() or line.startswith(_R_END):
            break
        body.append(line.strip())
    marked = [line for line in body if line.startswith("! ")]
    plain = [line for line in body if line[0] not in _HINTS or line[1:2] != " "]
    return marked[-1][2:] if marked else plain[0] if plain else ""


def _r_frames(lines: Sequence[str], start: int) -> tuple[str, ...]:
    """Files of the traceback if R was asked to keep them, else the innermost of `Calls: f -> g -> h`."""
    near = lines[start : start + 60]
    files = [name for line in near for name in _R_FILE.findall(line)]
    if files:
        return _pick_frames(iter(files))
    calls = next((line.removeprefix("Calls:").split("->") for line in near if line.startswith("Calls:")), [])
    return tuple(call.strip() for call in calls[::-1][:_FRAMES])


_STATA_CODE = re.compile(r"^r\((\d{1,5})\);$")
_STATA_DO = re.compile(r"^\.? ?(?:do|run) \"?([^\"]+?\.do)\b")


def find_stata(lines: Sequence[str]) -> Found | None:
    """`r(601);` and the line before it. Outer do-files repeat the code: its first appearance has the message."""
    codes = [(number, code[1]) for number, line in enumerate(lines) if (code := _STATA_CODE.match(line))]
    if not codes:
        return None
    first = next(number for number, code in codes if code == codes[-1][1])
    spoken = [line for line in lines[:first] if line.strip() and not line.startswith((". ", "end of do-file", "r("))]
    files = [do[1] for line in lines[:first] if (do := _STATA_DO.match(line))]
    message = spoken[-1].strip() if spoken else ""
    return Found("Stata", f"r({codes[-1][1]})", message, _pick_frames(reversed(files[-1:])), codes[-1][0])


# --- Julia, Java, C++ -------------------------------------------------------------------------------------------

_JULIA_ERROR = re.compile(r"^ERROR: (?:LoadError: )*(?:([A-Z]\w*(?:Error|Exception))\b:?)?(.*)$")
_JULIA_FRAME = re.compile(r"^\s+@ (?:\S+ )?(\S+):\d+")
_JAVA_ERROR = re.compile(r'^(?:Exception in thread "[^"]*" |Caused by: )([A-Za-z_][\w.$]*)(?:: (.*))?$')
_AT_FRAME = re.compile(r"^\s+at (?!java[.x]|jdk[.]|sun[.]|node:).*?([^/\\(): ]+):\d+(?::\d+)?\)?$")
_CPP_ERROR = re.compile(r"^terminate called after throwing an instance of '([^']+)'")


def find_julia(lines: Sequence[str]) -> Found | None:
    if not any(line.startswith(("Stacktrace:", "in expression starting at")) for line in lines):
        return None
    for number, line in reversed(list(enumerate(lines))):
        if found := _JULIA_ERROR.match(line):
            frames = (frame[1] for later in lines[number:] if (frame := _JULIA_FRAME.match(later)))
            own = (frame for frame in frames if not frame.startswith(("./", "/usr")))
            return Found("Julia", found[1] or "Error", found[2].strip(), _pick_frames(own), number)
    return None


def find_java(lines: Sequence[str]) -> Found | None:
    """The last `Caused by`: the root."""
    for number, line in reversed(list(enumerate(lines))):
        if found := _JAVA_ERROR.match(line):
            return Found("Java", found[1], found[2] or "", _at_frames(lines, number), number)
    return None


def _at_frames(lines: Sequence[str], start: int) -> tuple[str, ...]:
    return _pick_frames(frame[1] for line in lines[start + 1 : start + 40] if (frame := _AT_FRAME.match(line)))


def find_cpp(lines: Sequence[str]) -> Found | None:
    for number, line in enumerate(lines):
        if found := _CPP_ERROR.match(line):
            said = [
                text.partition("what():")[2].strip() for text in lines[number + 1 : number + 4] if "what():" in text
            ]
            return Found("C++", found[1], said[0] if said else "", (), number)
    return None


# --- without structure ------------------------------------------------------------------------------------------

_BARE = re.compile(r"^(?:Uncaught )?((?:[A-Za-z_][\w.]*)?(?:Error|Exception|Interrupt|Exit|Fault))(?::\s+(.*))?$")
_SHELL_OWN = re.compile(r"^(?:([^:]+): )?(?:line )?\d+:\s+(.+)$")
_SHELL_ENDED = re.compile(
    r"^(?:\d+ )?(Killed|Terminated|Aborted|Segmentation fault|Bus error|Floating point exception|Illegal instruction)"
    r"(?:\s+\(core dumped\))?(?:\s+(\S.*))?$"
)
_SHELL_WORDS = (
    "command not found", ": not found", "No such file or directory", "Permission denied", "unbound variable",
    "No space left on device", "Is a directory", "Not a directory", "Argument list too long", "Exec format error",
    "Disk quota exceeded", "Input/output error", "Stale file handle", "cannot execute binary file",
    "Cannot allocate memory",
)  # fmt: skip
_NAMELESS = re.compile(r"^-?(?:ba|da|z|k)?sh$|\.command$|^slurm_script$|^N*$")


def _bare_exceptions(lines: Sequence[str]) -> Iterator[Found]:
    for number, line in enumerate(lines):
        if found := _BARE.match(line):
            yield Found("bare", found[1], found[2] or "", _at_frames(lines, number), number)


def find_bare_exception(lines: Sequence[str]) -> Found | None:
    """`ValueError: message` without its frames, as logs and cut tracebacks have it; JavaScript's, with them."""
    return max(_bare_exceptions(lines), key=lambda found: found.line, default=None)


def find_shell(lines: Sequence[str]) -> Found | None:
    """What the shell itself says near the end; what a tool says in the words of the system, if nothing follows."""
    spoken = [line.strip() for line in lines if line.strip()][-_SHELL_LINES:]
    for position, line in enumerate(reversed(spoken)):
        own = _SHELL_OWN.match(line)
        rest = own[2] if own else line
        if ended := _SHELL_ENDED.match(rest):
            return Found("shell", ended[1], ended[2] or "", _script(own))
        is_shells = own is not None and (any(word in rest for word in _SHELL_WORDS) or rest.startswith("syntax error"))
        if is_shells or (position == 0 and rest.endswith(_SHELL_WORDS)):
            return Found("shell", "", rest, _script(own))
    return None


def _script(own: re.Match[str] | None) -> tuple[str, ...]:
    """The script that the shell names, unless that is the shell or the wrapper's copy of the command."""
    name = _base_name((own[1] or "").removesuffix(": line")) if own else ""
    return () if _NAMELESS.search(name) else (name,)


def find_last_line(lines: Sequence[str]) -> Found | None:
    """The last line with words in it, else the last that is not empty."""
    spoken = [line.strip() for line in lines if line.strip()]
    worded = [line for line in spoken if re.search(r"[^\W\d_]{3}", line)]
    return Found("line", "", (worded or spoken)[-1]) if spoken else None


# --- what all share -----------------------------------------------------------------------------------------------

_STRUCTURED: tuple[Callable[[Sequence[str]], Found | None], ...] = (
    find_python,
    find_fatal_python,
    find_r,
    find_stata,
    find_julia,
    find_java,
    find_cpp,
)


def shorten(kind: str) -> str:
    """An exception without its modules; anything else as it is."""
    return kind.rpartition(".")[2] if re.fullmatch(r"[\w.$]+", kind) and not kind.endswith(".") else kind


def _pick_frames(frames: Iterator[str]) -> tuple[str, ...]:
    """The three innermost files, own ones if there are any. `frames`: paths, innermost first."""
    paths = list(frames)
    own = [path for path in paths if not _LIBRARY.search(path)]
    names = [name for name, _ in groupby(_base_name(path) for path in own or paths)]
    return tuple(names[:_FRAMES])


def _base_name(path: str) -> str:
    """The file's name; numbers in it are a job's own (`tmp8842.py`, `step_2.R`)."""
    return re.sub(r"\d+", "N", re.split(r"[/\\]", path)[-1][:80])


def _next_words(lines: Sequence[str], start: int) -> str:
    return next((line.strip() for line in lines[start : start + 5] if line.strip()), "")
