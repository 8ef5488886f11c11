"""Looking at spool folders, and what this container is called."""

from __future__ import annotations

import hashlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.errors import Fault
from logship.ship.discover import SpoolSource
from logship.ship.folder import SpoolFolder
from logship.ship.held import Lost
from logship.spool import acked, instance
from logship.spool.layout import segment_name
from logship.spool.ranges import Span
from logship.wire.fields import Digest
from tests.logship.ship.spools import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path, segment_bytes=1000)
    yield made
    made.end()


def source_of(spool: Spool, program: str = "web") -> SpoolSource:
    return SpoolSource(SpoolFolder(spool.path), program)


def test_a_look_tells_what_is_held_and_nothing_when_nothing_changed(spool: Spool) -> None:
    spool.write("web", b"x" * 2500)
    source = source_of(spool)
    held = source.look(False)
    assert held is not None
    assert (held.spans, held.end, held.any, held.ended) == ((Span(0, 2500),), 2500, True, False)
    folder = spool.path / "web"
    os.utime(folder, ns=(1, 1))  # long ago
    assert source.look(False) is not None
    assert source.look(False) is None
    spool.write("web", b"y")
    held = source.look(False)
    assert held is not None
    assert held.end == 2501
    ended = source.look(True)
    assert ended is not None
    assert ended.ended


def test_a_stream_that_never_had_a_byte_is_news_once(spool: Spool) -> None:
    source = source_of(spool)
    folder = spool.path / "web"
    folder.mkdir(exist_ok=True)
    os.utime(folder, ns=(1, 1))  # long ago
    held = source.look(False)
    assert held is not None
    assert not held.any
    assert source.look(False) is None
    spool.write("web", b"y")
    held = source.look(False)
    assert held is not None
    assert held.end == 1


def test_a_hole_is_no_part_of_what_is_held(spool: Spool) -> None:
    spool.write("web", b"x" * 1500)
    (spool.path / "web" / segment_name(4000)).write_bytes(b"y" * 10)
    (spool.path / "web" / segment_name(5000)).write_bytes(b"")
    source = source_of(spool)
    held = source.look(False)
    assert held is not None
    assert held.spans == (Span(0, 1500), Span(4000, 10))
    assert held.end == 5000
    assert source.read(0, 9999) == b"x" * 1500
    assert source.read(1500, 10) == b""
    assert source.read(4000, 9999) == b"y" * 10
    assert source.read(10, 5) == b"xxxxx"


def test_a_digest_is_compared_over_segment_borders_and_only_where_all_is_held(spool: Spool) -> None:
    content = os.urandom(2500)
    spool.write("web", content)
    source = source_of(spool)
    digest = Digest("sha-256", hashlib.sha256(content[500:2500]).digest())
    assert source.has_digest(Span(500, 2000), digest) is True
    assert source.has_digest(Span(501, 1999), digest) is False
    assert source.has_digest(Span(501, 2000), digest) is None
    assert source.has_digest(Span(500, 2000), Digest("md5", b"")) is None


def test_starts_and_losses_are_read_and_torn_lines_left_out(spool: Spool) -> None:
    spool.write("web", b"x")
    when = "2026-11-23T20:15:01.123Z"
    good = f'{{"offset": 5, "pid": 1, "time": "{when}"}}\n'
    bad = '{"offset": -1, "time": "2026-11-23T20:15:01Z"}\n{"offset": 1, "time": "yesterday"}\n{"off'
    (spool.path / "web" / "starts.jsonl").write_text(good + bad)
    (spool.path / "losses.jsonl").write_text(
        '{"stream": "web", "offset": 7, "bytes": 2, "time": "yesterday", "reason": "r"}\n'
        f'{{"stream": "web", "offset": 9, "bytes": 2, "time": "{when}", "reason": "r"}}\n{{"st'
    )
    held = source_of(spool).look(False)
    assert held is not None
    assert [(start.offset, start.time) for start in held.starts] == [(5, when)]
    assert held.losses == (Lost(Span(7, 2), "r"), Lost(Span(9, 2), "r", when))


def test_what_is_noted_as_acknowledged_is_what_spool_reads(spool: Spool) -> None:
    spool.write("web", b"x")
    source_of(spool).note_acked(12345, 0)
    assert acked.read(spool.path / "web") == 12345


def test_one_shipper_holds_a_folder_and_pid_1_tells_by_its_lock_that_it_lives(spool: Spool) -> None:
    first, second = SpoolFolder(spool.path), SpoolFolder(spool.path)
    assert first.lock()
    assert first.lock()
    assert not second.lock()
    assert not second.ended()
    spool.end()
    assert second.ended()


@pytest.mark.case(108, 111)
@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "no identity"),
        ("[]", "no identity"),
        ('{"v": 2, "service": "a", "host": "b", "incarnation": "c", "created": ""}', "format version is 2"),
        ('{"v": 1, "service": "a/b", "host": "b", "incarnation": "c", "created": ""}', "service cannot be part"),
        ('{"v": 1, "service": "a", "host": "b", "incarnation": "..", "created": ""}', "incarnation cannot be part"),
    ],
)
def test_a_folder_that_says_something_else_is_refused(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "identity.json").write_text(content)
    with pytest.raises(Fault, match=text) as told:
        SpoolFolder(tmp_path)
    assert told.value.status == 2


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("logship_webapp_3.logship_default", "3"),
        ("my-project-web-app-12.my-project_default", "12"),
        ("logship_webapp_run_1f2e3d.logship_default", None),
        ("mailserver.net", None),
        ("logship_webapp_3", None),
        ("logship_webapp_03.x", None),
    ],
)
def test_the_number_compose_gave_is_read_from_a_container_s_name(name: str, number: str | None) -> None:
    assert instance.parse_name(name) == number


def ptr_answer(question: bytes, name: str) -> bytes:
    encoded = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
    return head + question[12:] + b"\xc0\x0c" + struct.pack("!HHIH", 12, 1, 600, len(encoded)) + encoded


def test_the_name_of_an_address_is_read_from_any_answer_and_nothing_from_a_broken_one() -> None:
    question = instance.query(7, "172.18.0.3")
    answer = ptr_answer(question, "logship_webapp_3.logship_default")
    assert instance.parse_answer(7, answer) == "logship_webapp_3.logship_default"
    assert instance.parse_answer(8, answer) is None
    for cut in range(len(answer)):
        assert instance.parse_answer(7, answer[:cut]) is None
    loop = answer[:12] + b"\xc0\x0c" + answer[14:]
    assert instance.parse_answer(7, loop) is None


def test_the_engine_s_dns_is_asked_and_the_container_s_id_stands_in(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {socket.gethostname()}\n10.1.2.3 {socket.gethostname()}\n")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]

        def serve() -> None:
            question, peer = server.recvfrom(4096)
            assert question == instance.query(int.from_bytes(question[:2], "big"), "10.1.2.3")
            server.sendto(ptr_answer(question, "p_web_4.p_default"), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert instance.instance_name("c0ffee", 30, tmp_path, port) == "4"
        thread.join(30)
        assert instance.instance_name("c0ffee", 0.2, tmp_path, port) == "c0ffee"  # nobody answers any more
    assert instance.instance_name("c0ffee", 30, tmp_path, port) == "c0ffee"
    assert instance.instance_name("c0ffee", 30, tmp_path / "none", port) == "c0ffee"


def test_pid_1_asks_the_engine_alone_and_goes_on_meanwhile(tmp_path: Path) -> None:
    own = socket.gethostname()
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {own}\n10.1.2.3 {own}\n10.9.9.9 {own}\n10.9.9.9 other\n")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30)
        port = server.getsockname()[1]
        asked = instance.Question(tmp_path, "127.0.0.1", port)
        questions = [server.recvfrom(4096) for _ in range(2)]
        server.sendto(b"nonsense", questions[0][1])
        server.sendto(ptr_answer(questions[0][0], "host.lan"), questions[0][1])
        server.sendto(ptr_answer(questions[1][0], "p_web_4.p_default"), questions[1][1])
        assert asked.answer(30) == "4"
        assert asked.answer(30) is None, "it is asked once"
        asked = instance.Question(tmp_path, "127.0.0.1", port)
        assert asked.answer(0) is None, "nobody waits for an answer that is not there"
    assert instance.Question(tmp_path, "127.0.0.1", port).answer(30) is None, "nobody listens there"
    assert instance.Question(tmp_path).answer(30) is None, "the DNS of this network is not the engine's"
    assert instance.Question(tmp_path / "none").answer(30) is None
