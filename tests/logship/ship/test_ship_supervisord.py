"""A real supervisord that writes and rotates a program's log itself, and a shipper that follows it, both real."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import Shipper, until

LINES = 30_000
STEP = 2_000
"""So many lines are more than the 80 KB after which the log is rotated."""
PROGRAM = """
import os, sys, time
step = int(sys.argv[3])
for number in range(int(sys.argv[1])):
    os.write(1, b"%07d %s\\n" % (number, b"x" * (number % 90)))
    if number % 100 == 99:
        time.sleep(float(sys.argv[2]))
    if step and number % step == step - 1:
        open(f"at-{number // step}", "w").close()
        while not os.path.exists(f"go-{number // step}"):
            time.sleep(0.01)
open("finished", "w").close()
while True:
    time.sleep(0.2)
    if step:
        os.write(1, b"end\\n")
"""


class Supervised:
    """A supervisord with one program, whose log it keeps as ``rotation`` says, and a shipper of that log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "logs" / "x.log"
        self.log.parent.mkdir()
        self.server = CollectorServer()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._shipper: Shipper | None = None
        (folder / "program.py").write_text(PROGRAM)

    def start(self, rotation: str, pause_seconds: float, *, paced: bool = False) -> None:
        """The shipper first, then the program. ``paced``: after each STEP lines it waits until some have arrived."""
        self._shipper = Shipper(self.server.url, options=["--follow", str(self.log)])
        command = f"{sys.executable} {self.folder}/program.py {LINES} {pause_seconds} {STEP if paced else 0}"
        conf = self.folder / "supervisord.conf"
        conf.write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={self.folder}/log\npidfile={self.folder}/pid\n"
            f"[program:x]\ncommand={command}\ndirectory={self.folder}\nredirect_stderr=true\n"
            f"stdout_logfile={self.log}\n{rotation}"
        )
        words = [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._processes.append(subprocess.Popen(words, cwd=self.folder, **quiet))  # type: ignore[call-overload]  # as one mapping
        steps = 0

        def finished() -> bool:
            nonlocal steps
            if (self.folder / f"at-{steps}").exists() and (
                self._newest() >= steps * STEP or not self.log.stat().st_size
            ):
                (self.folder / f"go-{steps}").touch()
                steps += 1
            return (self.folder / "finished").exists()

        until(finished, "the program has written all", 120)

    def _newest(self) -> int:
        """The number of the last whole line that has arrived."""
        numbers = [re.findall(rb"(\d{7}) x*\n", content[-500:]) for content in self.contents()]
        return max((int(each) for found in numbers for each in found), default=-1)

    def contents(self) -> list[bytes]:
        """What has arrived, a stream each."""
        with self.server.lock:
            return [bytes(kept.data) for kept in self.server.model.streams.values() if kept.data]

    def end(self) -> None:
        """Nothing is left."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        if self._shipper is not None:
            self._shipper.kill()
        self.server.stop()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    made = Supervised(tmp_path)
    yield made
    made.end()


def line(number: int) -> bytes:
    return b"%07d %s\n" % (number, b"x" * (number % 90))


@pytest.mark.case(24, 118)
def test_every_file_of_supervisords_own_chain_arrives_once(supervised: Supervised) -> None:
    """Each rotation renames all that were before; the reopened file is written without O_APPEND.

    supervisord rotates after a read, which has 64 KiB where it is slow: 1.6 MB are 17 to 53 files.
    """
    supervised.start("stdout_logfile_maxbytes=30KB\nstdout_logfile_backups=60\n", 0.002)
    written = [line(number) for number in range(LINES)]
    until(lambda: sum(map(len, supervised.contents())) >= sum(map(len, written)), "all of it has arrived")
    files = [path for path in supervised.log.parent.iterdir() if path.stat().st_size]  # the newest may have no byte yet
    assert len(files) > 15
    streams = sorted(supervised.contents(), key=lambda content: int(content.split(b" ", 1)[0]))
    assert b"".join(streams) == b"".join(written)
    assert len(streams) == len(files), "a stream a file"
    assert not supervised.server.model.losses


@pytest.mark.case(44)
def test_a_file_that_supervisord_empties_in_place_begins_anew_each_time_and_never_stalls(
    supervised: Supervised,
) -> None:
    """No backups: what was emptied before it was read is gone, and each time that is recorded."""
    supervised.start("stdout_logfile_maxbytes=80KB\nstdout_logfile_backups=0\n", 0.01, paced=True)
    # What comes after the last line tells that all before it was seen: it may have been emptied together with its file.
    until(lambda: any(content.endswith(b"end\n") for content in supervised.contents()), "what came last is there")
    whole = {line(number) for number in range(LINES)}
    lines = [each for content in supervised.contents() for each in content.splitlines(keepends=True)]
    found = [each for each in lines if each in whole]  # supervisord cuts where a read of its ended, not at lines
    assert len(found) == len(set(found)), "a line came twice"
    missing = LINES - len(found)
    records = supervised.server.model.losses
    print(f"{missing} of {LINES} lines are missing, {len(records)} records, {len(supervised.contents())} streams")
    assert len(supervised.contents()) > 5
    assert records or not missing
