"""Reading programs' streams where they are, and over several containers at once."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from logship.errors import Fault
from logship.spool.layout import segment_name
from supervise.fleet import ctl
from supervise.fleet.container import Container
from supervise.fleet.fleet import Fleet
from supervise.fleet.screen import Screen
from tests.supervise.fleet.places import NOW, FolderEngine, container, program, state

STATE = "/run/supervise/state.json"
LINES = b"".join(b"line %d\n" % number for number in range(100))


def stream(spool: Path, name: str, data: bytes, start: int = 0) -> Path:
    """A segment of a program's stream."""
    path = spool / name / segment_name(start)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def local(run_dir: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", "supervise", "ctl", "--local", "--run-dir", str(run_dir), "tail", *words]
    return subprocess.run(line, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL)


def test_the_last_lines_of_a_stream_byte_for_byte(tmp_path: Path) -> None:
    stream(tmp_path / "spool", "webapp", LINES + b"\x1b[31m\xff unfinished")
    assert local(tmp_path, "webapp", "-n", "3").stdout == b"line 98\nline 99\n\x1b[31m\xff unfinished"
    assert local(tmp_path, "webapp", "-n", "all").stdout == LINES + b"\x1b[31m\xff unfinished"
    assert local(tmp_path, "webapp", "-n", "0").stdout == b""
    assert local(tmp_path, "webapp").stdout.count(b"line") == 19


def test_a_hole_in_a_stream_is_told(tmp_path: Path) -> None:
    stream(tmp_path / "spool", "webapp", b"a\n")
    stream(tmp_path / "spool", "webapp", b"b\n", start=1000)
    result = local(tmp_path, "webapp", "-n", "all")
    assert result.stdout == b"a\nb\n"
    assert result.stderr == b"webapp: 998 bytes before the next line are gone\n"


def test_a_stream_that_nothing_was_written_to_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    result = local(tmp_path, "webapp")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"webapp: nothing has been written yet\n")


@pytest.mark.parametrize(("name", "status"), [("../../etc", 2), ("a/b", 2), ("webapp", 1)])
def test_a_name_that_is_none_and_a_missing_spool_are_faults(tmp_path: Path, name: str, status: int) -> None:
    result = local(tmp_path, name)
    assert (result.returncode, result.stdout) == (status, b"")
    assert b"Traceback" not in result.stderr


def test_following_ends_with_the_readers_input(tmp_path: Path) -> None:
    """The engine leaves a command running when its reader goes; only the end of its input tells it."""
    path = stream(tmp_path / "spool", "webapp", b"one\n")
    line = [sys.executable, "-m", "supervise", "ctl", "--local", "--run-dir", str(tmp_path)]
    line += ["tail", "-f", "--while-input", "webapp"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"one\n"
        with path.open("ab") as file:
            file.write(b"two\n")
        assert process.stdout.readline() == b"two\n"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.fixture
def engine(tmp_path: Path) -> FolderEngine:
    made = FolderEngine(tmp_path)
    for number in (1, 2):
        place = made.add(container("webapp", number), {STATE: state(program("webapp"), program("spool"))})
        stream(place / "run/supervise/spool", "webapp", b"hello from %d\nbye from %d" % (number, number))
        stream(place / "run/supervise/spool", "spool", b"spool of %d\n" % number)
        stream(place / "run/supervise/spool", "supervise", b'{"event": "start"}\n')
    made.add(container("webapp", 3, state="exited"))
    return made


@pytest.fixture
def fleet(engine: FolderEngine) -> Fleet:
    return Fleet(engine, "logship", PurePosixPath("/run/supervise"), lambda: NOW)


def tail(fleet: Fleet, *targets: str, lines: str = "20", terminal: bool = False, colour: bool = False) -> bytes:
    raw = io.BytesIO()
    out = Screen(io.TextIOWrapper(raw), terminal, colour)
    assert ctl.tail(fleet, list(targets), out, lines, follow=False) == 0
    return raw.getvalue()


def test_one_stream_is_given_as_it_is(fleet: Fleet) -> None:
    assert tail(fleet, "webapp/1:webapp") == b"hello from 1\nbye from 1"
    assert tail(fleet, "webapp/1:webapp", lines="1") == b"bye from 1"


def test_several_streams_are_lines_that_say_whose_they_are(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    found = tail(fleet, "webapp").splitlines()
    assert sorted(found) == [
        b"webapp/1:webapp | bye from 1",
        b"webapp/1:webapp | hello from 1",
        b"webapp/2:webapp | bye from 2",
        b"webapp/2:webapp | hello from 2",
    ]
    assert "webapp/3: exited (137) 3 minutes ago" in capsys.readouterr().err


def test_streams_of_one_container_come_by_one_command(fleet: Fleet, engine: FolderEngine) -> None:
    found = tail(fleet, "webapp/1:webapp", "webapp/1:spool")
    assert sorted(found.splitlines()) == [
        b"webapp/1:spool  | spool of 1",
        b"webapp/1:webapp | bye from 1",
        b"webapp/1:webapp | hello from 1",
    ]
    assert len(engine.commands) == 1


def test_the_events_of_pid_1_are_a_stream_like_any_other(fleet: Fleet) -> None:
    assert tail(fleet, "webapp/2:supervise") == b'{"event": "start"}\n'


def test_a_terminal_is_not_commanded_by_what_programs_wrote(fleet: Fleet, engine: FolderEngine) -> None:
    stream(engine.folder / "logship_webapp_1/run/supervise/spool", "webapp", b"\x1b[2J\x07red\xff\n")
    assert tail(fleet, "webapp/1:webapp", terminal=True) == b"\\x1b[2J\\x07red\\xff\n"
    coloured = tail(fleet, "webapp:webapp", terminal=True, colour=True)
    assert b"\x1b[36mwebapp/1:webapp | \x1b[0m\\x1b[2J" in coloured


def test_a_container_whose_side_fails_is_told_and_counts(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    raw = io.BytesIO()
    out = Screen(io.TextIOWrapper(raw))
    fleet.run_dir = PurePosixPath("/run/elsewhere")
    fleet.views = lambda: [  # type: ignore[method-assign]  # what they say is fine, only the spool is not there
        *Fleet(fleet.engine, "logship", PurePosixPath("/run/supervise"), lambda: NOW).views()
    ]
    assert ctl.tail(fleet, ["webapp/1:webapp"], out, "5", follow=False) == 1
    assert "there is no spool folder" in capsys.readouterr().err


def test_nothing_that_can_be_read_is_a_fault(fleet: Fleet) -> None:
    with pytest.raises(Fault, match="none of them can be read") as caught:
        ctl.tail(fleet, ["webapp/3"], Screen(io.TextIOWrapper(io.BytesIO())), "5", follow=False)
    assert caught.value.status == 4


def test_following_goes_on_over_all_of_them_until_they_end(
    fleet: Fleet, engine: FolderEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is written later comes too; streams that end while they are followed are told, and are exit status 4."""
    raw = io.BytesIO()
    statuses: list[int] = []
    for number in (1, 2):
        stream(engine.folder / f"logship_webapp_{number}/run/supervise/spool", "webapp", b"zero\none %d\n" % number)

    def follow() -> None:
        statuses.append(ctl.tail(fleet, ["webapp:webapp"], Screen(io.TextIOWrapper(raw)), "1", follow=True))

    processes: list[subprocess.Popen[bytes]] = []
    start = engine._start

    def noted(item: Container, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        processes.append(start(item, argv))
        return processes[-1]

    engine._start = noted  # type: ignore[method-assign, assignment]  # to end the commands, as a stop would
    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    await_bytes(raw, b"webapp/1:webapp | one 1\n")
    await_bytes(raw, b"webapp/2:webapp | one 2\n")
    for number in (1, 2):
        path = engine.folder / f"logship_webapp_{number}/run/supervise/spool/webapp" / segment_name(0)
        with path.open("ab") as file:
            file.write(b"two\n")
    await_bytes(raw, b"webapp/1:webapp | two\n")
    await_bytes(raw, b"webapp/2:webapp | two\n")
    assert b"zero" not in raw.getvalue()
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    thread.join(timeout=60)
    assert statuses == [4]
    assert "webapp/1: its stream ended" in capsys.readouterr().err


def await_bytes(raw: io.BytesIO, wanted: bytes) -> None:
    deadline = time.monotonic() + 60
    while wanted not in raw.getvalue():
        assert time.monotonic() < deadline, raw.getvalue()
        time.sleep(0.02)
