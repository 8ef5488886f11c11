"""`logship collect` as a process: it says when it accepts, stops in order, recovers, and refuses with a sentence."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from logship import zstd
from tests.logship.collect_http.live import TREE, Collector, Reply, ask, raw, until

OCTETS = {"Content-Type": "application/octet-stream"}
HEAD = b"POST /v1/stream/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"


def collect(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "logship", "collect", *options]
    return subprocess.run(command, cwd=TREE, capture_output=True, text=True, timeout=60, check=False)


def test_it_says_where_it_accepts_and_ends_with_0_on_sigterm(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    assert (
        collector.line == f"logship collect: accepting on http://127.0.0.1:{collector.port}, store {tmp_path}/store\n"
    )
    assert collector.ask("GET", "/v1/health").status == 200
    assert collector.stop() == 0
    events = [json.loads(line) for line in collector.errors.read_text().splitlines()]
    assert [event["event"] for event in events] == ["opened", "accepting", "stopped"]
    assert events[-1]["all_answered"] is True


@pytest.mark.case(85)
def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    assert collector.ask("PUT", "/v1/stream/a/b", OCTETS).status == 201
    written = b""
    for number in range(20):
        body = f"line {number}\n".encode() * (number + 1)
        headers = {**OCTETS, "Content-Encoding": "zstd", "Producer-Id": "p", "Producer-Epoch": "0"}
        answer = collector.ask("POST", "/v1/stream/a/b", {**headers, "Producer-Seq": str(number)}, zstd.compress(body))
        assert answer.status == 200
        written += body
    collector.kill()
    collector = Collector(tmp_path / "store")
    assert collector.ask("GET", "/v1/stream/a/b").body == written
    again = collector.ask("POST", "/v1/stream/a/b", {**headers, "Producer-Seq": "19"}, zstd.compress(body))
    assert (again.status, again.headers["producer-seq"]) == (204, "19")
    assert collector.stop() == 0


@pytest.mark.case(90)
def test_of_a_store_of_which_only_the_journal_and_its_format_are_left_all_is_known(tmp_path: Path) -> None:
    """Streams, ends, producers, closures and losses are nowhere else, so nothing else can be missing or stale."""
    store = tmp_path / "store"
    collector = Collector(store)
    for name in ("a", "b"):
        assert collector.ask("PUT", f"/v1/stream/{name}", OCTETS).status == 201
    headers = {**OCTETS, "Producer-Id": "p", "Producer-Epoch": "4"}
    for number in range(5):
        sequence = {**headers, "Producer-Seq": str(number)}
        assert collector.ask("POST", "/v1/stream/a", sequence, b"%d" % number * 400_000).status == 200
    assert collector.ask("POST", "/v1/stream/b", {**OCTETS, "Stream-Closed": "true"}, b"end").status == 204
    assert collector.ask("POST", "/v1/losses", {}, b'{"id":"1","bytes":7}\n').status == 204
    before = [collector.ask("GET", path).body for path in ("/v1/streams", "/v1/losses", "/v1/stream/b")]
    collector.kill()
    for path in store.iterdir():
        if path.name not in ("journal", "format"):
            path.unlink()
    collector = Collector(store)
    assert [collector.ask("GET", path).body for path in ("/v1/streams", "/v1/losses", "/v1/stream/b")] == before
    again = collector.ask("POST", "/v1/stream/a", {**headers, "Producer-Seq": "4"}, b"4" * 400_000)
    assert (again.status, again.headers["stream-next-offset"]) == (204, f"{2_000_000:020}")
    assert collector.stop() == 0


@pytest.mark.parametrize("content", [b"x", b"", b"\0" * 16])
def test_a_watermark_that_says_nothing_is_told_at_the_start(tmp_path: Path, content: bytes) -> None:
    """An end that is missing cannot be told then; of a store that is new, or whole, nothing is said."""
    store = tmp_path / "store"
    collector = Collector(store)
    assert collector.ask("PUT", "/v1/stream/a", OCTETS).status == 201
    for _ in range(3):
        assert collector.ask("POST", "/v1/stream/a", OCTETS, b"x" * 300_000).status == 204
    assert collector.stop() == 0
    for said in (False, True):
        if said:
            (store / "durable").write_bytes(content)
        collector = Collector(store)
        assert len(collector.ask("GET", "/v1/stream/a").body) == 900_000
        assert collector.stop() == 0
        events = [json.loads(line) for line in collector.errors.read_text().splitlines()]
        told = [event["level"] for event in events if event["event"] == "no_watermark"]
        assert told == (["warning"] if said else [])


def test_a_request_that_runs_at_sigterm_is_answered_and_new_ones_are_refused(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    assert collector.ask("PUT", "/v1/stream/a", OCTETS).status == 201
    answers: list[Reply] = []
    poll = threading.Thread(
        target=lambda: answers.append(collector.ask("GET", "/v1/stream/a?offset=now&live=long-poll"))
    )
    poll.start()
    half = socket.create_connection(("127.0.0.1", collector.port), timeout=30)
    half.sendall(HEAD + b"Content-Length: 5\r\n\r\nhel")
    until(lambda: b'"readers":1' in collector.ask("GET", "/v1/health").body, "the poll waits")
    collector.process.terminate()
    poll.join(30)
    assert answers[0].status == 204, "who waited is told that there is nothing new"
    until(lambda: _refused(collector.port), "no new connection is taken")
    half.sendall(b"lo")
    assert half.recv(65536).startswith(b"HTTP/1.1 204")
    half.close()
    assert collector.end() == 0
    collector = Collector(tmp_path / "store")
    assert collector.ask("GET", "/v1/stream/a").body == b"hello"
    assert collector.stop() == 0


def _refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_behind_the_one_that_runs_at_the_stop_is_not_done(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    assert collector.ask("PUT", "/v1/stream/a", OCTETS).status == 201
    head = (
        b"POST /v1/stream/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", collector.port), timeout=30) as both:
        both.sendall(head)  # one that runs on, and one behind it that comes too late
        until(lambda: b'"connections":2' in collector.ask("GET", "/v1/health").body, "the first is under way")
        collector.process.terminate()
        until(lambda: _refused(collector.port), "it is stopping")
        both.sendall(b"x" + head + b"y")
        answer = both.recv(65536)
        assert answer.startswith(b"HTTP/1.1 204")
    assert collector.end() == 0
    collector = Collector(tmp_path / "store")
    assert collector.ask("GET", "/v1/stream/a").body == b"x"
    assert collector.stop() == 0


def test_a_client_that_never_finishes_delays_the_end_by_5_seconds_at_most(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    assert collector.ask("PUT", "/v1/stream/a", OCTETS).status == 201
    with socket.create_connection(("127.0.0.1", collector.port), timeout=30) as half:
        half.sendall(HEAD + b"Content-Length: 5\r\n\r\nh")
        until(lambda: b'"bodies_bytes":1' in collector.ask("GET", "/v1/health").body, "its body has begun")
        assert collector.stop() == 0
    assert '"all_answered": false' in collector.errors.read_text()


def test_a_second_collector_on_the_same_store_is_refused(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    other = collect("--store", str(tmp_path / "store"), "--listen", "127.0.0.1:0")
    assert other.returncode == 1
    assert "another process works in it" in other.stderr
    assert "Traceback" not in other.stderr
    assert collector.stop() == 0


def test_a_second_collector_on_the_same_address_is_refused(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    other = collect("--store", str(tmp_path / "other"), "--listen", f"127.0.0.1:{collector.port}")
    assert other.returncode == 1
    assert "cannot listen on" in other.stderr
    assert collector.stop() == 0


def test_a_corrupt_journal_keeps_it_shut_and_names_the_segment_and_what_helps(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    assert collector.ask("PUT", "/v1/stream/a", OCTETS).status == 201
    for _ in range(3):
        assert collector.ask("POST", "/v1/stream/a", OCTETS, b"x" * 1000).status == 204
    collector.kill()
    segment = next((tmp_path / "store" / "journal").iterdir())
    content = bytearray(segment.read_bytes())
    content[content.rindex(b"xxx") - 1500] ^= 1
    segment.write_bytes(content)
    result = collect("--store", str(tmp_path / "store"), "--listen", "127.0.0.1:0")
    assert result.returncode == 1
    assert segment.name in result.stderr
    assert "(a offsets 1000 to 2000)" in result.stderr
    assert f"  hint: nothing was changed; `logship fsck --store {tmp_path / 'store'}` says" in result.stderr
    assert "Traceback" not in result.stderr
    assert segment.read_bytes() == content, "nothing was changed"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--listen", "nonsense"], "HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "HOST:PORT"),
        (["--append-bytes-max", "1"], "out of range"),
        (["--connections-max", "1"], "out of range"),
        (["--keep-bytes", "many"], "whole number"),
        (["--keep-bytes", "1000000000", "--journal-bytes-max", "1000"], "intake stops"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(tmp_path: Path, options: list[str], said: str) -> None:
    result = collect("--store", str(tmp_path / "store"), *options)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_store_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = collect("--store", str(tmp_path / "file" / "store"), "--listen", "127.0.0.1:0")
    assert result.returncode in (1, 2)
    assert result.stderr.startswith("logship collect: cannot ")


@pytest.mark.case(110)
def test_it_writes_no_line_a_request(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    for number in range(20):
        collector.ask("GET", f"/v1/stream/none/{number}")
        raw(collector.port, b"NONSENSE\r\n\r\n")
    assert collector.stop() == 0
    assert len(collector.errors.read_text().splitlines()) == 3


@pytest.mark.case(92)
def test_a_full_journal_answers_503_and_is_still_read(tmp_path: Path) -> None:
    size = str(5 * 1024 * 1024)
    collector = Collector(tmp_path / "store", "--keep-bytes", size, "--journal-bytes-max", str(8 * 1024 * 1024))
    assert collector.ask("PUT", "/v1/stream/a", OCTETS).status == 201
    statuses = [collector.ask("POST", "/v1/stream/a", OCTETS, bytes(1024 * 1024)).status for _ in range(9)]
    assert statuses[:5] == [204] * 5
    assert statuses[-1] == 503
    reply = collector.ask("POST", "/v1/stream/a", OCTETS, bytes(1024 * 1024))
    assert (reply.code, reply.headers["retry-after"]) == ("no-room", "5")
    assert len(collector.ask("GET", "/v1/stream/a").body) == 1024 * 1024
    assert collector.stop() == 0


@pytest.mark.case(87)
def test_a_disk_that_fails_is_never_acknowledged_and_ends_the_process_with_a_sentence(tmp_path: Path) -> None:
    """A file size limit stands for the failing disk: the write of the second append ends in EFBIG."""
    limited = ["sh", "-c", 'ulimit -f 512 && exec "$0" "$@"', sys.executable, "-m", "logship", "collect"]
    command = [*limited, "--store", str(tmp_path / "store"), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().split("http://")[1].split(",")[0].rpartition(":")[2])
    assert ask(port, "PUT", "/v1/stream/a", OCTETS).status == 201
    assert ask(port, "POST", "/v1/stream/a", OCTETS, b"x" * 1000).status == 204
    reply = ask(port, "POST", "/v1/stream/a", OCTETS, bytes(1_000_000))
    assert (reply.status, reply.code) == (503, "stopping")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "logship collect: cannot " in errors
    assert "File too large" in errors
    assert "Traceback (most" not in errors.partition("logship collect: cannot ")[2]
    collector = Collector(tmp_path / "store")
    assert collector.ask("GET", "/v1/stream/a").body == b"x" * 1000
    assert collector.stop() == 0
