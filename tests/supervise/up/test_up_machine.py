"""The edges of `make up` on this very machine: ports, pid files, programs, packages, the stamp of the environment."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.errors import Fault
from supervise.up import ports, venv
from supervise.up.daemon import stale_pid_files
from supervise.up.facts import chosen_engine
from supervise.up.packages import choose
from supervise.up.shell import Shell

NOBODY = 65534
TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 0100007F:0790 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 100 0 0 10 0
   2: 0B00007F:270F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0000 100 0 0 10 0
   3: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4714 1 0000 100 0 0 10 0
"""


def test_a_table_of_sockets_tells_who_listens_where_ours_would() -> None:
    """Port 9999 of 127.0.0.11 is another address; 8080 is a connection, not a listener."""
    assert ports.inodes_of(TABLE) == {80: "4711", 1936: "4712"}
    assert ports.inodes_of("") == {}


def test_published_ports_are_read_from_what_docker_prints() -> None:
    text = "0.0.0.0:80->80/tcp, [::]:80->80/tcp, 127.0.0.1:8000-8002->8000-8002/tcp, 3000/tcp, 0.0.0.0:53->53/udp"
    assert ports.published(text) == {80, 8000, 8001, 8002}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="no /proc on this system")
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_the_holder_of_a_port_is_named_with_its_pid(address: str) -> None:
    with socket.socket() as held:
        held.bind((address, 0))
        held.listen()
        port = held.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        assert ports.listener(port) == f"{name} (pid {os.getpid()})"
    assert ports.listener(port) == ""


def test_an_address_that_takes_connections_and_says_nothing_does_not_serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        mute.listen()

        def hang_up() -> None:
            mute.accept()[0].close()

        closing = threading.Thread(target=hang_up)
        closing.start()
        assert not ports.serves(address)
        closing.join()
    assert not ports.serves(address)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        assert ports.serves(f"http://127.0.0.1:{server.server_port}")
        answering.join()


def test_pid_files_of_the_living_stay_and_those_of_the_gone_go(tmp_path: Path) -> None:
    """The name counts as well as the number: a reused number, a zombie and nonsense are stale; no file is not."""
    proc = tmp_path / "proc"
    for pid, stat in {
        "10": "10 (dockerd) S 1",
        "11": "11 (bash) S 1",
        "12": "12 (dockerd) Z 1",
        "13": "13 (a) b) S 1",
    }.items():
        (proc / pid).mkdir(parents=True)
        (proc / pid / "stat").write_text(stat)
    file = tmp_path / "docker.pid"
    assert stale_pid_files({"dockerd": file}, proc) == ()
    for text, stale in {"10": False, "11": True, "12": True, "13": True, "14": True, "x": True, "": True}.items():
        file.write_text(text)
        assert bool(stale_pid_files({"dockerd": file}, proc)) is stale, text


def test_a_pid_file_that_may_not_be_read_is_no_leftover_of_ours(tmp_path: Path) -> None:
    """The engine's folder is root's alone on some machines; whoever is not root is told so where it matters."""
    folder = tmp_path / "closed"
    folder.mkdir()
    file = folder / "docker.pid"
    file.write_text("x")
    assert stale_pid_files({"dockerd": file}) == (str(file),)
    folder.chmod(0)
    if (child := os.fork()) == 0:
        status = 3
        with contextlib.suppress(BaseException):
            if os.getuid() == 0:
                os.setuid(NOBODY)
            status = 0 if stale_pid_files({"dockerd": file}) == () else 2
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    folder.chmod(0o700)


def test_a_real_zombie_is_stale(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    stat = Path(f"/proc/{process.pid}/stat")
    eventually(lambda: ") Z" in stat.read_text())
    name = stat.read_text().partition("(")[2].rpartition(")")[0]
    file = tmp_path / "x.pid"
    file.write_text(str(process.pid))
    assert stale_pid_files({name: file}) == (str(file),)
    process.wait()


def test_an_empty_path_finds_nothing_and_still_runs_programs() -> None:
    shell = Shell({})
    assert shell.find("sh") == ""
    assert shell.run("sh", "-c", "echo here", seconds=10).last == "here"
    shell.admit_system()
    assert shell.find("sh")


def test_programs_in_sbin_are_found_whatever_the_path_leaves_out(tmp_path: Path) -> None:
    assert Shell({"PATH": str(tmp_path)}).find("sh")


def test_a_program_that_does_not_end_is_ended_with_all_its_children() -> None:
    """Its children hold the pipe, so what it had said is there only when they are gone, too."""
    text = ""
    for seconds in (1, 8, 60):  # it may take its time to begin
        if "begun" not in text:
            outcome = Shell({"PATH": "/bin"}).run("sh", "-c", "echo begun; sleep 600 & sleep 600", seconds=seconds)
            assert outcome.status == 124
            text = outcome.text
    assert "begun" in text


def test_a_program_ends_with_the_command_that_is_told_to_end(tmp_path: Path) -> None:
    """SIGTERM, as CI sends it at its limit: the program in its own process group goes, too, and `finally` is run."""
    with command(tmp_path) as process:
        eventually((tmp_path / "here").exists)
        process.terminate()
        assert process.wait(timeout=60) == 128 + 15
    assert (tmp_path / "swept").exists()
    eventually(lambda: not is_alive(int((tmp_path / "here").read_text())))


def test_a_program_that_only_just_begins_ends_with_the_command_too(tmp_path: Path) -> None:
    """The signal comes when the program runs already, and nobody here knows its pid yet."""
    late = (
        "import os, subprocess, time\n"
        "class Late(subprocess.Popen):\n"
        "    def __init__(self, *words, **how):\n"
        "        super().__init__(*words, **how)\n"
        "        while not os.path.exists('here'): time.sleep(0.01)\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "subprocess.Popen = Late\n"
    )
    with command(tmp_path, late) as process:
        assert process.wait(timeout=60) == 128 + 15
    assert (tmp_path / "swept").exists()
    eventually(lambda: not is_alive(int((tmp_path / "here").read_text())))


@contextlib.contextmanager
def command(folder: Path, before: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A command that runs a program, which writes its pid into the file ``here``; ``before`` is run in it first."""
    code = (
        "import signal, sys; from supervise.up.__main__ import leave; from supervise.up.shell import Shell\n"
        f"{before}"
        "signal.signal(signal.SIGTERM, leave)\n"
        "try: Shell({'PATH': '/bin'}).run('sh', '-c', 'echo $$ > pid; mv pid here; sleep 600', seconds=600)\n"
        "finally: open('swept', 'w').close()"
    )
    environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it is so. Fails when it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.01)


def test_a_failed_command_shows_its_last_lines() -> None:
    with pytest.raises(Fault) as caught:
        Shell({"PATH": "/bin"}).must("count", "sh", "-c", "seq 100; exit 3", seconds=10, hint="again")
    assert "status 3" in caught.value.cause
    assert "100" in caught.value.cause
    assert "\n60\n" not in caught.value.cause
    assert caught.value.hint == "again"


def test_a_program_that_is_not_there_is_an_outcome() -> None:
    assert Shell({}).run("no-such-program", seconds=5).status == 127


def test_packages_are_chosen_from_what_the_release_has() -> None:
    wanted = ("docker.io", "docker-cli?", "v2|plugin|v1")
    assert choose(wanted, {"docker.io", "v1"}) == ["docker.io", "v1"]
    assert choose(wanted, {"docker.io", "docker-cli", "v1", "v2"}) == ["docker.io", "docker-cli", "v2"]
    with pytest.raises(Fault, match="v2 or plugin or v1"):
        choose(wanted, {"docker.io"})


def test_what_points_to_another_engine_is_seen(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert chosen_engine(home) == ""
    assert chosen_engine({**home, "DOCKER_HOST": "tcp://h:1"}) == "DOCKER_HOST=tcp://h:1"
    assert chosen_engine({**home, "DOCKER_CONTEXT": "default"}) == ""
    (tmp_path / ".docker").mkdir()
    settings = tmp_path / ".docker" / "config.json"
    for text, expected in {
        '{"currentContext": "colima"}': "docker context colima",
        '{"currentContext": "default"}': "",
        "{}": "",
        "[]": "",
        "torn {": "",
    }.items():
        settings.write_text(text)
        assert chosen_engine(home) == expected


def test_the_stamp_changes_with_everything_an_installation_depends_on() -> None:
    parts = (b"toml", "3.11", "/tree")
    others = [
        (b"tom", "3.11", "/tree"),
        (b"toml", "3.12", "/tree"),
        (b"toml", "3.11", "/other"),
        (b"toml3", ".11", "/tree"),
    ]
    digests = {venv.digest_of(*item) for item in [parts, *others]}
    assert len(digests) == 1 + len(others)
    assert venv.digest_of(*parts) == venv.digest_of(*parts)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with an environment that looks installed, with the tools of the tests."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", *venv.COMMANDS):
        (folder / name).touch()
    digest = venv.digest_of(b"[project]\n", f"{sys.base_prefix} {sys.version}", str(tmp_path))
    (tmp_path / ".venv" / venv.STAMP).write_text(json.dumps({"digest": digest, "dev": True}))
    return tmp_path


def test_an_installed_environment_is_left_alone(tree: Path) -> None:
    assert venv.is_current(tree, dev=True)
    assert venv.is_current(tree, dev=False)


def test_the_tools_of_the_tests_are_missed_only_where_they_are_wanted(tree: Path) -> None:
    stamp = tree / ".venv" / venv.STAMP
    stamp.write_text(stamp.read_text().replace("true", "false"))
    assert venv.is_current(tree, dev=False)
    assert not venv.is_current(tree, dev=True)


@pytest.mark.parametrize("path", ["pyproject.toml", ".venv/bin/supervise", ".venv/bin/python", f".venv/{venv.STAMP}"])
@pytest.mark.parametrize("text", [None, "[]", "torn {"])
def test_an_environment_that_is_not_what_it_was_is_installed_again(tree: Path, path: str, text: str | None) -> None:
    with contextlib.suppress(FileNotFoundError):
        (tree / path).unlink()
    if text is not None or path == "pyproject.toml":
        (tree / path).write_text(text or "[other]\n")
    assert venv.is_current(tree, dev=False) is ("bin" in path and text is not None)


def test_an_environment_of_somebody_else_is_never_cleared(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv").mkdir()
    mine = tmp_path / ".venv" / "precious"
    mine.touch()
    with pytest.raises(Fault, match="move it away"):
        venv.install(Shell({}), tmp_path, dev=False)
    assert mine.exists()
