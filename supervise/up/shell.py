"""Edge: run other programs, bounded in time, and find them.

An empty PATH finds nothing, so that a plan made under one shows what a bare machine would need; a program that runs
gets a usable PATH all the same.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from logship.errors import Fault

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TAIL_LINES = 40


@dataclass(frozen=True)
class Outcome:
    """How a program ended: its exit status (124 when its time was over) and what it said on both outputs."""

    status: int
    text: str

    @property
    def tail(self) -> str:
        """The last lines of what it said."""
        return "\n".join(self.text.rstrip().splitlines()[-TAIL_LINES:])

    @property
    def last(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return lines[-1] if lines else f"status {self.status}"


class Shell:
    """Programs of this machine, with the environment the command was called with."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._path = environment.get("PATH", "")
        self.environment = {**environment, "PATH": self._with_system_path()}

    def find(self, name: str) -> str:
        """The path of a program, or nothing. The sbin folders count: ``su`` without a dash leaves them out."""
        return shutil.which(name, path=self._with_system_path()) or "" if self._path else ""

    def admit_system(self) -> None:
        """From now on find what the system's own folders hold: packages were just put there."""
        self._path = self._with_system_path()

    def run(
        self,
        *words: str,
        seconds: float,
        environment: Mapping[str, str] | None = None,
        live: bool = False,
        folder: str | None = None,
    ) -> Outcome:
        """Run a program in a process group of its own; at the end of its time, or ours, the whole group is killed.

        ``live`` lets its output through instead of keeping it. A program that is not there has status 127.
        """
        output = None if live else subprocess.PIPE
        process: subprocess.Popen[str] | None = None
        try:
            with _signals_put_off():
                try:
                    process = subprocess.Popen(
                        words,
                        cwd=folder,
                        env={**self.environment, **(environment or {})},
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=None if live else subprocess.STDOUT,
                        text=True,
                        errors="replace",
                        start_new_session=True,
                    )
                except OSError as error:
                    return Outcome(127, str(error))
            text, _ = process.communicate(timeout=seconds)
        except BaseException as error:
            said = _kill(process) if process else ""
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return Outcome(124, f"{said}\nended after {seconds:.0f} s without an end of its own")
        return Outcome(process.returncode, text or "")

    def must(
        self, operation: str, *words: str, seconds: float, environment: Mapping[str, str] | None = None, hint: str = ""
    ) -> str:
        """The output of a program that has to succeed. Raises Fault with its last lines where it does not."""
        outcome = self.run(*words, seconds=seconds, environment=environment)
        if outcome.status:
            command = " ".join(words)
            raise Fault(operation, f"with `{command}`", f"status {outcome.status}\n{outcome.tail}", hint)
        return outcome.text

    def _with_system_path(self) -> str:
        known: Sequence[str] = [part for part in self._path.split(":") if part]
        return ":".join([*known, *(part for part in SYSTEM_PATH.split(":") if part not in known)])


@contextlib.contextmanager
def _signals_put_off() -> Iterator[None]:
    """A signal that ends this command comes when this is over: a program that just begins is killed by its name."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal is heard here
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    heard = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in heard:
            signal.signal(number, lambda number, _frame: came.append(number))
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def _kill(process: subprocess.Popen[str]) -> str:
    """Kill the group and return what it had said; what still holds the pipe after that is left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        return process.communicate(timeout=2)[0] or ""
    except subprocess.TimeoutExpired:
        return ""
