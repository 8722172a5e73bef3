"""The commands of a batch system, with moods; and its daemons, which die."""

from __future__ import annotations

from pathlib import Path


class MoodyCommands:
    """The commands of a batch system in a folder, each of which has moods; two calls in three are struck by one.

    hang: no answer in time. lie: it is done and reported as failed. refuse: not now. nonsense: it is done, the answer
    is none. empty (listings): nothing is there."""

    kinds = ("commands-hang", "commands-lie", "commands-refuse", "commands-nonsense", "commands-empty")

    def __init__(self, folder: Path, binaries: Path, names: tuple[str, ...]) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self._mood = folder / ".mood"
        self._strikes = folder / ".strikes"
        self._strikes.touch()
        self._strikes.chmod(0o666)
        self._before = 0
        for program in binaries.iterdir():
            (folder / program.name).symlink_to(program)
        for name in names:
            (folder / name).unlink()
            (folder / name).write_text(self._write_program(binaries / name))
            (folder / name).chmod(0o755)

    def _write_program(self, real: Path) -> str:
        words = {"REAL": real, "MOOD": self._mood, "STRIKES": self._strikes}
        text = PROGRAM
        for word, path in words.items():
            text = text.replace(word, str(path))
        return text

    def begin(self, kind: str) -> None:
        self._before = self._count_strikes()
        self._mood.write_text(kind.removeprefix("commands-"))
        self._mood.chmod(0o644)

    def _count_strikes(self) -> int:
        return len(self._strikes.read_text().splitlines())

    def has_struck(self) -> bool:
        """A call has met the mood."""
        return self._count_strikes() > self._before

    def end(self) -> None:
        self._mood.unlink(missing_ok=True)


PROGRAM = """\
#!/bin/sh
mood=none
[ $(($$ % 3)) = 0 ] || { read -r mood <MOOD; } 2>/dev/null
strike() { echo "$mood" >>STRIKES; }
case "$mood:${0##*/}" in
hang:*) strike; exec sleep 9 ;;
lie:*) strike; REAL "$@" >/dev/null 2>&1; echo "error: communication was interrupted" >&2; exit 1 ;;
refuse:qsub | refuse:sbatch) strike; echo "only 10 jobs are allowed per user, try again (submit limit)" >&2; exit 1 ;;
refuse:*) strike; echo "error: cannot contact the server" >&2; exit 1 ;;
nonsense:*) strike; REAL "$@" >/dev/null 2>&1; echo '<half an ans'; exit 0 ;;
empty:qstat) strike
    echo '<?xml version="1.0"?><job_info><queue_info></queue_info><job_info></job_info></job_info>' ;;
empty:squeue) strike; REAL "$@" | head -n 1 ;;
*) exec REAL "$@" ;;
esac
"""
