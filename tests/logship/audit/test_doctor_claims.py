"""What the lints say of supervisord, tried on supervisord itself; what they tell people to write, read by it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from tests.logship.audit.doctor_example import Example, done
from tests.logship.audit.test_doctor_supervisord import EXAMPLES

SECONDS = 60.0


def started(folder: Path, program: str, until: str) -> str:
    """Run a supervisord with one program until a file of that name is there; what it said."""
    conf = folder / "supervisord.conf"
    conf.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n{program}"
    )
    words = [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)]
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=said, stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + SECONDS
            while until not in "".join(path.name for path in folder.iterdir()) and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            process.terminate()
            output = process.communicate(timeout=SECONDS)[0]
        said.seek(0)
        return output.decode() + said.read()


def script(folder: Path, text: str) -> str:
    """A program of supervisord: a shell script, which stays when it is done."""
    path = folder / "program.sh"
    path.write_text(f"{text}\nsleep 0.2\ntouch finished\nexec sleep 600\n")
    return f"[program:x]\ncommand=/bin/sh {path}\ndirectory={folder}\n"


@pytest.mark.case(122)
def test_a_rotated_device_fails_at_its_lines(tmp_path: Path) -> None:
    body = script(tmp_path, "echo one; echo two")
    said = started(tmp_path, f"{body}stdout_logfile=/dev/stdout\n", "finished")
    assert "seek" in said, said


def test_without_rotation_a_device_takes_its_lines(tmp_path: Path) -> None:
    body = script(tmp_path, "echo one; echo two")
    said = started(tmp_path, f"{body}stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n", "finished")
    assert "seek" not in said
    assert "one\ntwo\n" in said


@pytest.mark.case(120)
def test_auto_logs_are_deleted_at_the_next_start(tmp_path: Path) -> None:
    body = script(tmp_path, "echo first")
    started(tmp_path, body, "finished")
    before = set(tmp_path.glob("x-stdout---*"))
    assert len(before) == 1
    (tmp_path / "finished").unlink()
    started(tmp_path, body, "finished")
    after = set(tmp_path.glob("x-stdout---*"))
    assert after
    assert not before & after


def test_without_backups_a_full_file_is_emptied(tmp_path: Path) -> None:
    body = script(tmp_path, "seq 1 400; sleep 0.3; echo last")
    body += f"stdout_logfile={tmp_path}/x.log\nstdout_logfile_maxbytes=1000\nstdout_logfile_backups=0\n"
    started(tmp_path, body, "finished")
    assert (tmp_path / "x.log").read_text() == "last\n"
    assert not (tmp_path / "x.log.1").exists()


def read_by_supervisord(text: str, folder: Path) -> ServerOptions:
    """The text as supervisord itself takes it."""
    path = folder / "supervisord.conf"
    path.write_text(text.replace("/var/log", str(folder)))
    options = ServerOptions()
    options.realize(["-c", str(path)], doc="")
    return options


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_supervisord_takes_what_doctor_tells_people_to_write(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "80")
    monkeypatch.setenv("HOME", "/")
    options = read_by_supervisord(done(example.bad, example.findings(example.bad)[0]), tmp_path)
    assert options.process_group_configs
