"""What `jobmon-as` demands of its account, its folders and its requests. No request is believed; nothing is started."""

import contextlib
import grp
import json
import os
import pwd
import re
import stat

VERSIONS = (1, 2)  # 2 may name secret files
MAX_INPUT, MAX_ATTEMPTS = 64 << 20, 5000
LONGEST = 100
VERBS = ("submit", "list", "cancel", "read", "remove")
NO_SHELLS = ("nologin", "false", "sync", "halt", "shutdown")
NAME = r"[A-Za-z][A-Za-z0-9_.@-]{0,63}"
NUMBER = r"[0-9]{1,9}"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET_FILES, MAX_SECRET_FILES = "JOBMON_SECRET_FILES", 16
# What a submission may ask for beside its fixed part: option → what its values look like. A site's own list is added.
SGE_OPTIONS = {
    "-w": ["e"], "-P": [NAME], "-q": [NAME], "-pe": [NAME, NUMBER], "-tc": [NUMBER],
    "-l": [NAME + r"=[0-9]{1,15}[KMG]?|hostname=!\([A-Za-z0-9._|-]{1,3000}\)"], "-t": ["1-" + NUMBER],
}  # fmt: skip
SLURM_OPTIONS = {
    "--nodes": "1", "--ntasks": "1", "--cpus-per-task": NUMBER, "--account": NAME, "--partition": NAME,
    "--mem": r"[0-9]{1,15}M", "--time": NUMBER, "--array": rf"1-{NUMBER}(%{NUMBER})?",
    "--exclude": r"[A-Za-z0-9._,-]{1,3000}",
}  # fmt: skip


class Refused(Exception):
    """Not done; the words say why. `code` is for the server."""

    def __init__(self, words, code="refused"):
        super().__init__(words)
        self.code = code


def demand(condition, words):
    if not condition:
        raise Refused(words)


# Who and where


def read_root_file(path):
    """A file that nobody but root can have written, nor put there: in a sticky folder above, what is root's stays."""
    for one in (path, os.path.dirname(path)):
        found = os.stat(one)
        demand(found.st_uid == 0 and not found.st_mode & 0o022, f"{one} must belong to root, writable by root alone")
    above = os.path.dirname(path)
    while above != "/":
        above = os.path.dirname(above)
        found = os.stat(above)
        is_safe = found.st_uid == 0 and (found.st_mode & stat.S_ISVTX or not found.st_mode & 0o022)
        demand(is_safe, f"{above} must belong to root, writable by root alone")
    with open(path, "rb") as file:
        return file.read()


def check_account(config, uid):
    """The account that we run as, if jobs may run as it."""
    demand(uid == os.geteuid() and os.getgid() == os.getegid(), "real and effective account differ")
    account = pwd.getpwuid(uid)
    demand(uid >= config["lowest_uid"] and uid != 0, f"{account.pw_name}: uid {uid} is below {config['lowest_uid']}")
    demand(pwd.getpwnam(account.pw_name).pw_uid == uid, f"uid {uid} has several names")
    shell = account.pw_shell
    demand(shell and os.path.basename(shell) not in NO_SHELLS, f"{account.pw_name} has no real shell ({shell!r})")
    with open("/etc/shells") as file:
        demand(shell in file.read().split("\n"), f"{account.pw_name}: {shell!r} is not in /etc/shells")
    group = grp.getgrnam(config["group"])
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    demand(group.gr_gid in groups, f"{account.pw_name} is not in the group {config['group']}")
    return account


def find_root(config, account):
    """The owner's own folder of attempts, made if the folder above allows it."""
    above = os.stat(config["spool"])
    is_safe = above.st_uid == 0 and (above.st_mode & stat.S_ISVTX or not above.st_mode & 0o022)
    demand(is_safe, f"{config['spool']} must belong to root and be sticky or closed to others")
    root = os.path.join(config["spool"], account.pw_name)
    with contextlib.suppress(FileExistsError):
        os.mkdir(root, 0o700)
    found = os.lstat(root)
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == account.pw_uid and not found.st_mode & 0o022
    demand(is_own, f"{root} is not a folder of {account.pw_name} that nobody else may write")
    return root


# Requests


def read_number(value, low, high, what):
    demand(type(value) is int and low <= value <= high, f"{what} must be a whole number from {low} to {high}")
    return value


def read_text(value, what, limit=4096, pattern=None):
    demand(isinstance(value, str) and len(value) <= limit and "\0" not in value, f"{what} is not usable text")
    demand(pattern is None or re.fullmatch(pattern, value), f"{what} is not acceptable: {value[:80]!r}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Refused(f"{what} is not UTF-8") from None
    return value


def read_path(value, what):
    text = read_text(value, what)
    demand(not text or (text.startswith("/") and "\n" not in text), f"{what} must be an absolute path on one line")
    return text


def read_batch(value, prefix):
    return read_text(value, "batch", 128, re.escape(prefix) + r"[A-Za-z0-9_.-]+")


def read_batches(request, prefix):
    listed = request.get("batches")
    demand(isinstance(listed, list) and len(listed) <= MAX_ATTEMPTS, f"batches: a list of at most {MAX_ATTEMPTS}")
    return [read_batch(one, prefix) for one in listed]


def read_instances(request):
    listed = request.get("instances")
    demand(isinstance(listed, list) and len(listed) <= MAX_ATTEMPTS, f"instances: a list of at most {MAX_ATTEMPTS}")
    return [read_number(one, 1, 2**53, "instance") for one in listed]


def read_environment(value):
    demand(isinstance(value, dict), "environment must be an object")
    for name, text in value.items():
        demand(VARIABLE.fullmatch(name), f"environment: {name[:80]!r} is no name of a variable")
        read_text(text, "environment", 1 << 20)
    demand(sum(len(name) + len(text) for name, text in value.items()) <= 1 << 20, "environment: too large")
    if SECRET_FILES in value:
        read_secret_files(value[SECRET_FILES])
    return value


def read_secret_files(text):
    """Variables whose values the wrapper reads, as the owner, from the owner's files: lines NAME=/path."""
    pairs = [line.partition("=")[::2] for line in text.split("\n")]
    demand(len(pairs) <= MAX_SECRET_FILES, f"secret files: at most {MAX_SECRET_FILES}")
    demand(len({name for name, _ in pairs}) == len(pairs), "secret files: a variable comes twice")
    for name, path in pairs:
        demand(VARIABLE.fullmatch(name), f"secret files: {name[:80]!r} is no name of a variable")
        demand(path.startswith("/"), f"secret files: {path[:80]!r} is no absolute path")
        read_text(path, "secret files")


def read_system(config, request):
    name = read_text(request.get("system"), "system", 64)
    demand(name in config["systems"], f"there is no batch system {name!r} here")
    return config["systems"][name]


def read_options(system, listed):
    """The options of a submission, each one known, its values of the known form."""
    demand(isinstance(listed, list) and len(listed) <= 200, "options must be a list")
    words = [read_text(word, "option", 4000) for word in listed]
    demand(all(word.isprintable() for word in words), "options: control characters")
    left = list(words)
    while left:
        word = left.pop(0)
        if system["kind"] == "slurm":
            name, _, values = word.partition("=")
            patterns, values = [SLURM_OPTIONS.get(name)], [values]
        else:
            name, patterns = word, SGE_OPTIONS.get(word, [None])
            values, left = left[: len(patterns)], left[len(patterns) :]
        demand(len(values) == len(patterns), f"option {name!r} lacks a value")
        for pattern, value in zip(patterns, values, strict=True):
            if pattern is None:
                demand(name.lstrip("-") in system["options"], f"option {name[:80]!r} is not allowed")
                demand(value and not value.startswith("-") and len(value) <= 1000, f"option {name!r}: not this value")
            else:
                demand(re.fullmatch(pattern, value), f"option {name!r}: not the value {value[:80]!r}")
    return words


def read_attempts(listed, is_array):
    """The attempts of a submission, checked. Of an array some may be missing; one alone has index 0."""
    demand(isinstance(listed, list) and 1 <= len(listed) <= MAX_ATTEMPTS, f"attempts: 1 to {MAX_ATTEMPTS}")
    demand(is_array or len(listed) == 1, "several attempts need an array")
    last = 0
    for one in listed:
        read_attempt(one)
        low, high = (last + 1, 100_000) if is_array else (0, 0)
        last = read_number(one.get("index"), low, high, "index")
    return listed


def read_attempt(one):
    demand(isinstance(one, dict), "an attempt must be an object")
    read_number(one.get("instance"), 1, 2**53, "instance")
    read_number(one.get("run"), 1, 2**53, "run")
    read_text(one.get("command"), "command", MAX_INPUT)
    for name in ("working_dir", "stdout", "stderr"):
        read_path(one.get(name), name)
    read_environment(one.get("environment"))


def unique(pairs):
    demand(len({name for name, _ in pairs}) == len(pairs), "a name stands twice in one object")
    return dict(pairs)


def no_constant(word):
    raise Refused(f"{word} is not a number")


def parse(data):
    demand(len(data) <= MAX_INPUT, f"the request is longer than {MAX_INPUT} bytes")
    try:
        request = json.loads(data, object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Refused("the request is not JSON") from None
    demand(isinstance(request, dict) and request.get("version") in VERSIONS, f"not a request of version {VERSIONS}")
    demand(request.get("verb") in VERBS, "unknown verb")
    read_number(request.get("seconds"), 1, LONGEST, "seconds")
    return request
