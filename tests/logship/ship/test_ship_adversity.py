"""``logship ship`` in bad surroundings: a collector from a backup, no place to write, nobody there for long."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.memory import KEPT_BYTES_MAX
from logship.ship.http_sink import Place, Sink, Unanswered
from tests.logship.ship.collector import Collector
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import TREE, Shipper, Spool, Writer, until
from tests.logship.ship.test_ship_collect import reads
from tests.logship.ship.test_ship_sink import RawServer, read_request

MIB = 1 << 20


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spools")
    yield made
    made.end()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def shipper(spool: Spool) -> Iterator[Callable[[str], Shipper]]:
    made: list[Shipper] = []

    def start(url: str) -> Shipper:
        made.append(Shipper(url, spool.path))
        return made[-1]

    yield start
    for each in made:
        each.kill()


@pytest.mark.case(72)
@pytest.mark.parametrize("held", [True, False], ids=["the spool has it all", "the spool has deleted a part"])
def test_a_collector_that_is_restored_from_a_backup_gets_again_what_is_held_and_a_record_of_the_rest(
    collector: Collector, spool: Spool, shipper: Callable[[str], Shipper], tmp_path: Path, held: bool
) -> None:
    chance = random.Random(11)
    before, after, late = (chance.randbytes(size) for size in (300_000, 600_000, 50_000))
    shipper(collector.url)
    spool.write("web", before)
    until(lambda: spool.acked("web") == len(before), "the first part is there")
    collector.kill()
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    collector.start()
    spool.write("web", after)
    until(lambda: spool.acked("web") == len(before) + len(after), "the second part is there")
    collector.kill()
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "backup").rename(tmp_path / "store")
    if not held:
        for path in spool.segments("web")[:2]:  # as spool does with what is acknowledged
            path.unlink()
    collector.start()
    spool.write("web", late)
    whole = before + after + late
    if held:
        until(reads(collector, whole), "all of it is there once")
        assert collector.losses() == []
        return
    gap = 2 * spool.segment_bytes - len(before)
    rest = f"{spool.incarnation}.{2 * spool.segment_bytes:020}"
    until(reads(collector, whole[2 * spool.segment_bytes :], rest), "the rest is in the next stream")
    assert collector.read("web") == before
    assert collector.closed
    assert [loss["bytes"] for loss in collector.losses()] == [gap]


READ_ONLY = """
mount --make-rprivate /
mount --bind / "$0"
mount -o remount,bind,ro "$0"
for place in dev proc; do mount --bind "/$place" "$0/$place"; done
exec chroot "$0" "$@"
"""


@pytest.mark.case(94)
def test_who_may_write_nowhere_ships_files_all_the_same(tmp_path: Path) -> None:
    """A file system that is read-only as a whole, for this process: there is no state to keep."""
    log, root = tmp_path / "x.log", tmp_path / "root"
    log.write_bytes(b"a line\n")
    root.mkdir()
    server = CollectorServer()
    words = [sys.executable, "-m", "logship", "ship", "--to", server.url, "--follow", str(log), "--once"]
    script = f"cd {TREE} && exec env PYTHONPATH={TREE} PYTHONDONTWRITEBYTECODE=1 " + " ".join(words)
    command = ["unshare", "-m", "sh", "-ec", READ_ONLY, str(root), "/bin/sh", "-c", f"! touch {log} && {script}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    server.stop()
    if os.geteuid() != 0 or "Operation not permitted" in result.stderr:
        pytest.skip("a mount namespace needs root")
    assert result.returncode == 0, result.stderr
    assert [bytes(kept.data) for kept in server.model.streams.values()] == [b"a line\n"]


def resident(process: subprocess.Popen[bytes]) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.case(97)
def test_while_nobody_answers_the_shippers_memory_does_not_grow_with_what_waits(
    spool: Spool, shipper: Callable[[str], Shipper]
) -> None:
    server = CollectorServer()
    process = shipper(server.url).process
    spool.write("web", b"first\n")
    until(lambda: spool.acked("web") == 6, "it has begun")
    server.stop()
    noise = random.Random(2).randbytes(MIB)
    for _ in range(4):
        spool.write("web", noise)
    until(lambda: asked(server, process), "it has noticed")
    before = resident(process)
    for _ in range(96):
        spool.write("web", noise)
    server.fault = lambda method, _path: "refuse" if method == "POST" else ""
    server.start()  # one that answers, but takes nothing
    until(lambda: sum(method == "POST" for method, _ in server.requests) > 5, "it has tried")
    after = resident(process)
    print(f"{before} bytes with 4 MiB behind, {after} with 100 MiB")
    bound = KEPT_BYTES_MAX + 8 * MIB  # of 100; what is kept for the next piece is not what waits
    assert after - before < bound
    server.fault = lambda _method, _path: ""
    until(lambda: spool.acked("web") == 6 + 100 * MIB, "all is there at last")
    assert resident(process) - before < bound
    server.stop()


@pytest.mark.long
@pytest.mark.case(102)
def test_with_a_twentieth_of_a_processor_it_lags_and_loses_nothing(
    collector: Collector, spool: Spool, shipper: Callable[[str], Shipper]
) -> None:
    """Stopped for 95 of each 100 ms, as a bound of the processor's time does it, while somebody writes 1 MB/s."""
    process = shipper(collector.url).process
    writer = Writer(spool, "web", 3, 40_000, 0.02)
    writer.start()
    behind = []
    for turn in range(300):
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.095)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.005)
        if turn % 50 == 49:
            behind.append(writer.written - max(0, spool.acked("web")))
    writer.enough.set()
    writer.join(60)
    print(f"{writer.written} bytes written, behind by {behind}, {resident(process)} bytes of memory")
    assert resident(process) < 100 * MIB
    until(lambda: spool.acked("web") == writer.written, "all of it is acknowledged", 120)
    found = collector.read("web")
    assert (len(found), hashlib.blake2b(found).hexdigest()) == (writer.written, writer.digest.hexdigest())
    assert collector.losses() == []


@pytest.mark.case(98)
def test_fifty_quiet_programs_are_each_served_while_one_floods(
    collector: Collector, spool: Spool, shipper: Callable[[str], Shipper]
) -> None:
    """The flood never ends: whoever waited for it to be done would wait for ever."""
    noise, enough = random.Random(6).randbytes(MIB), threading.Event()
    written = [0]

    def flood() -> None:
        while not enough.is_set():
            if written[0] - max(0, spool.acked("flood")) < 32 * MIB:
                spool.write("flood", noise)
                written[0] += MIB
            else:
                time.sleep(0.01)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    shipper(collector.url)
    until(lambda: spool.acked("flood") > 0, "the flood is on its way")
    for number in range(50):
        spool.write(f"quiet{number}", b"a line\n")
    until(lambda: all(spool.acked(f"quiet{number}") == 7 for number in range(50)), "all quiet ones are there")
    enough.set()
    thread.join(30)
    until(lambda: spool.acked("flood") == written[0], "and the flood at last")


def asked(server: CollectorServer, process: subprocess.Popen[bytes]) -> bool:
    """Whether somebody tries to connect to the port where nobody listens, over and over."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", server.port))
        listener.listen()
        listener.settimeout(30)
        listener.accept()[0].close()
    return process.poll() is None


@pytest.mark.case(81)
def test_a_name_that_leads_elsewhere_is_followed_at_the_next_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(text: bytes) -> RawServer:
        def script(connection: socket.socket) -> None:
            if read_request(connection):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + text)

        return RawServer(script)

    servers = [answers(b"1"), answers(b"2")]
    asked: list[str] = []

    def resolve(host: str, _port: int, **_: object) -> list[object]:
        asked.append(host)
        address = ("127.0.0.1", servers[len(asked) > 1].place.port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    monkeypatch.setattr("logship.ship.http_sink.socket.getaddrinfo", resolve)
    sink = Sink(Place("collector", 4437))
    assert sink.exchange("GET", "/", [], None, 30).body == b"1"
    until(lambda: is_stale(sink), "the kept connection is gone")
    assert sink.exchange("GET", "/", [], None, 30).body == b"2"
    assert asked == ["collector", "collector"]
    for server in servers:
        server.close()


def is_stale(sink: Sink) -> bool:
    try:
        sink.exchange("GET", "/", [], None, 30)
    except Unanswered as told:
        return told.stale
    return False


@pytest.mark.case(110)
def test_its_own_log_among_the_files_it_follows_is_left_out(tmp_path: Path) -> None:
    """Shipping it would give it something to say, for ever."""
    folder = tmp_path / "logs"
    folder.mkdir()
    own = folder / "ship.log"
    server = CollectorServer()
    process = Shipper(server.url, options=["--follow", str(folder / "*.log")], log=own)
    until(lambda: own.exists() and process.events(), "it has said something")
    (folder / "other.log").write_bytes(b"another file's line\n")
    until(lambda: any(kept.data for kept in server.model.streams.values()), "the other file is shipped")
    process.kill()
    server.stop()
    assert [kept.source["path"] for kept in server.model.streams.values()] == [str(folder / "other.log")]
