"""`supervise exec` as a real process: what the program finds, and what is said when it cannot start."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.spool.layout import segment_name
from supervise.exec import output

TREE = Path(__file__).resolve().parents[3]
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


class Container:
    """A run folder with one FIFO, held open as PID 1 holds it."""

    def __init__(self, folder: Path) -> None:
        self.fifo = folder / "fifo"
        self.spool = folder / "spool"
        self.plan = folder / "plan.json"
        self.spool.mkdir()
        os.mkfifo(self.fifo, 0o200)
        self.held = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)

    def declare(self, *command: str, **changes: Any) -> None:
        """Write a plan with the program `web`."""
        entry: dict[str, Any] = {
            "command": list(command), "user": "root", "directory": "/", "environment": {}, "env_files": [],
            "limits": {}, "capture": True, "fifo": str(self.fifo), **changes,
        }  # fmt: skip
        plan = {"v": 1, "service": "t", "run_dir": "/", "spool": str(self.spool), "programs": {"web": entry}}
        self.plan.write_text(json.dumps(plan))

    def run(self, **how: Any) -> subprocess.CompletedProcess[str]:
        """Start it as supervisord does, and wait for its end."""
        words = [sys.executable, "-I", "-m", "supervise.exec", "--plan", str(self.plan), "web"]
        how = {"cwd": TREE, "capture_output": True, "text": True, "timeout": 60, **how}
        return subprocess.run(words, check=False, **how)

    def said(self) -> str:
        """What came through the FIFO."""
        found = b""
        try:
            while data := os.read(self.held, 65536):
                found += data
        except BlockingIOError:
            pass
        return found.decode()

    def starts(self) -> list[dict[str, Any]]:
        """The notes of its starts."""
        path = self.spool / "web" / "starts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines() if line]


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/") and "pytest" in folder.name:
            folder.chmod(0o755)  # another user must get here
    made = Container(tmp_path)
    yield made
    os.close(made.held)


def test_both_outputs_are_the_fifo_and_input_is_empty(container: Container) -> None:
    container.declare("/bin/sh", "-c", "echo out; echo err >&2; cat; ls -l /proc/self/fd | grep -c -- '->'")
    result = container.run(input="not for the program")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert container.said() == "out\nerr\n4\n"  # 0, 1, 2 and the one that ls has for the folder


@needs_root
def test_a_program_of_another_user_writes_reopens_its_output_and_cannot_read_it(container: Container) -> None:
    os.chown(container.fifo, NOBODY, NOBODY)
    script = "id -u; id -g; id -G; echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdout || echo refused"
    container.declare("/bin/sh", "-c", script, user="nobody")
    assert container.run().returncode == 0
    said = container.said().splitlines()
    assert said[:5] == ["65534", "65534", "65534", "out", "err"]
    assert said[-1] == "refused"


@needs_root
def test_a_user_may_be_a_number_without_a_name(container: Container) -> None:
    os.chown(container.fifo, 12345, 12345)
    container.declare("/bin/sh", "-c", "id -u; echo $HOME", user="12345")
    assert container.run().returncode == 0
    assert container.said() == "12345\n/\n"


def test_the_program_gets_its_environment_limits_directory_and_umask(container: Container, tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("SECRET=hidden\n")
    container.declare(
        "/bin/sh", "-c", "echo $A $SECRET $PYTHONUNBUFFERED $HOME $USER $LOGNAME $INHERITED; ulimit -n; pwd; umask",
        environment={"A": "a b"}, env_files=[str(tmp_path / "secrets.env")],
        limits={"nofile": 100, "core": 0}, directory=str(tmp_path), user=str(os.geteuid()),
    )  # fmt: skip
    assert container.run(env={"INHERITED": "yes", "PATH": os.environ["PATH"]}).returncode == 0
    said = container.said().splitlines()
    assert said[0].startswith("a b hidden 1 /")
    assert said[0].endswith("yes")
    assert said[1:] == ["100", str(tmp_path), "0022"]


def test_no_signal_is_ignored_or_blocked_for_the_program(container: Container) -> None:
    container.declare("/bin/grep", "-E", "Sig(Ign|Blk)", "/proc/self/status")
    assert container.run().returncode == 0
    # Signals 32 and 33 are the C library's own: nobody can reset them, and what starts this test may ignore them.
    valid = sum(1 << (number - 1) for number in signal.valid_signals())
    assert [int(line.split()[1], 16) & valid for line in container.said().splitlines()] == [0, 0]


def test_a_program_that_makes_its_output_nonblocking_keeps_that_to_itself(container: Container) -> None:
    """HAProxy does so on its log descriptor: neither its standard error nor another start may see EAGAIN for it."""
    script = "import os; os.set_blocking(1, False); print(os.get_blocking(1), os.get_blocking(2), flush=True)"
    container.declare(sys.executable, "-c", script)
    container.run()
    container.run()
    assert container.said() == "False True\nFalse True\n"


def test_each_start_is_noted_with_where_its_bytes_begin(container: Container) -> None:
    container.declare("/bin/echo", "hello")
    container.run()
    container.run()
    folder = container.spool / "web"
    (folder / segment_name(100)).write_bytes(b"x" * 11)  # what a spool would have stored by now
    container.said()
    container.run()
    assert [start["offset"] for start in container.starts()] == [0, 6, 111]
    assert all(start["pid"] > 1 and start["time"].endswith("Z") for start in container.starts())


def test_the_notes_keep_the_last_thousand_starts_and_a_torn_line_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "stream_position", lambda _pipe, _folder: 7)
    path = tmp_path / "starts.jsonl"
    path.write_text("".join(f'{{"offset": {n}, "pid": 1, "time": "{"x" * 60}"}}\n' for n in range(3000)))
    output.note_start(str(tmp_path))
    lines = path.read_text().splitlines()
    assert len(lines) == 1000
    assert [json.loads(lines[0])["offset"], json.loads(lines[-1])["offset"]] == [2001, 7]
    path.write_text(path.read_text() + '{"off')
    output.note_start(str(tmp_path))
    assert path.read_text().splitlines()[-2:-1] == ['{"off']
    assert json.loads(path.read_text().splitlines()[-1])["offset"] == 7


def test_a_start_that_cannot_be_noted_is_a_start_all_the_same(container: Container) -> None:
    (container.spool / "web").write_text("in the way")
    container.declare("/bin/echo", "hello")
    assert container.run().returncode == 0
    first, second = container.said().splitlines()
    assert first.startswith("supervise exec web: cannot note this start")
    assert second == "hello"


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"command": ["/nonexistent/program"]}, 127, "cannot run /nonexistent/program: no such file"),
        ({"command": ["nonesuch"]}, 127, "cannot run nonesuch: no such file"),
        ({"command": ["/etc/passwd"]}, 126, "cannot run /etc/passwd: Permission denied"),
        ({"user": "nonesuch"}, 126, "cannot become the user nonesuch: no such user"),
        ({"directory": "/nonexistent"}, 126, "cannot go to the directory /nonexistent: No such file or directory"),
        ({"limits": {"nofile": 2**40}}, 126, "cannot set the limit nofile = "),
        ({"limits": {"nonesuch": 1}}, 126, "cannot set the limit nonesuch: the kernel has none"),
        ({"env_files": ["/nonexistent.env"]}, 126, "cannot read the variables in /nonexistent.env: No such file"),
    ],
)
def test_what_fails_is_one_line_in_the_stream_and_on_the_old_standard_error(
    container: Container, changes: dict[str, Any], status: int, said: str
) -> None:
    container.declare(*changes.pop("command", ["/bin/true"]), **changes)
    result = container.run(env={"PATH": "/usr/bin:/bin"})
    assert result.returncode == status
    line = container.said()
    assert line.startswith(f"supervise exec web: {said}")
    assert line.count("\n") == 1
    assert result.stderr == line


def test_a_fifo_that_nobody_holds_is_a_fault_and_no_hang(container: Container, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lonely")
    container.declare("/bin/true", fifo=str(tmp_path / "lonely"))
    result = container.run()
    assert result.returncode == 126
    assert "nobody holds it open" in result.stderr


def test_a_name_that_is_not_in_the_plan_names_those_that_are(container: Container) -> None:
    container.declare("/bin/true")
    words = [sys.executable, "-m", "supervise", "exec", "--plan", str(container.plan), "wbe"]
    result = subprocess.run(words, cwd=TREE, capture_output=True, text=True, check=False)
    assert result.returncode == 126
    assert "no such program" in result.stderr
    assert "its programs: web" in result.stderr


def test_without_capture_the_outputs_stay_as_they_were(container: Container) -> None:
    container.declare("/bin/echo", "hello", fifo=None, capture=False)
    assert container.run().stdout == "hello\n"
    assert not (container.spool / "web").exists()


def test_a_writer_faster_than_its_reader_waits_and_loses_nothing(container: Container) -> None:
    container.declare(sys.executable, "-c", "import os; [os.write(1, b'x' * 4096) for _ in range(100)]")
    words = [sys.executable, "-I", "-m", "supervise.exec", "--plan", str(container.plan), "web"]
    process = subprocess.Popen(words, cwd=TREE)
    total = 0
    deadline = time.monotonic() + 60
    while process.poll() is None or total < 409_600:
        assert time.monotonic() < deadline
        total += len(container.said())
        time.sleep(0.01)
    assert (process.wait(), total) == (0, 409_600)


def test_what_is_imported_before_a_program_stays_little() -> None:
    """Each start pays for it: all of exec takes 11 ms; argparse, dataclasses, pathlib, typing are 5 to 15 ms each."""
    script = "import sys; before = set(sys.modules); import supervise.exec.run; print(*set(sys.modules) - before)"
    words = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(TREE)!r}); {script}"]
    loaded = set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"argparse", "dataclasses", "inspect", "pathlib", "typing", "subprocess", "logging", "socket"}


def test_a_limit_above_the_hard_one_says_what_to_raise(container: Container) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if os.geteuid() == 0:
        container.declare("/bin/true", limits={"nofile": 2**40})  # beyond what even root may have (fs.nr_open)
    else:
        container.declare("/bin/true", limits={"nofile": hard + 1})
    container.run()
    assert "hard limit" in container.said()
