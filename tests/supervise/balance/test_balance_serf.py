"""The edge to the Serf agent: whatever comes back, there is a listing or a reason."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import pytest

from supervise.balance.serf import Serf, SerfDown
from tests.supervise.balance.listings import record


def packed(*objects: Any) -> bytes:
    return b"".join(msgpack.packb(item, use_bin_type=False) for item in objects)


HELLO = packed({"Seq": 1, "Error": ""})
LISTING = packed({"Seq": 2, "Error": ""}, {"Members": [record("w1")]})


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers here may be slow, as the machine is; a test of who does not answer has its own time."""
    monkeypatch.setattr("supervise.balance.serf.ANSWER_SECONDS", 60.0)
    monkeypatch.setattr("supervise.balance.serf.CONNECT_SECONDS", 60.0)


@contextmanager
def agent(*lives: list[bytes | None]) -> Iterator[Serf]:
    """An agent that answers the n-th request of each connection with the n-th piece; None closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for pieces in lives:
            connection, _ = listener.accept()
            with connection:
                unpacker = msgpack.Unpacker(raw=True)
                for piece in pieces:
                    while not any(b"Command" in item for item in unpacker if isinstance(item, dict)):
                        data = connection.recv(4096)
                        if not data:
                            return
                        unpacker.feed(data)
                    if piece is None:
                        break
                    for place in range(len(piece)):
                        connection.sendall(piece[place : place + 1])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    serf = Serf(f"127.0.0.1:{listener.getsockname()[1]}")
    try:
        yield serf
    finally:
        serf.close()
        listener.close()
        thread.join(60)


def test_a_listing_that_comes_byte_by_byte_is_read_again_and_again_on_one_connection() -> None:
    second = packed({"Seq": 3, "Error": ""}, {"Members": []})
    with agent([HELLO, LISTING, second]) as serf:
        assert serf.members() == [record("w1")]
        assert serf.members() == []


def test_a_connection_that_breaks_is_said_and_the_next_question_opens_a_new_one() -> None:
    with agent(
        [HELLO, None], [packed({"Seq": 3, "Error": ""}), packed({"Seq": 4, "Error": ""}, {"Members": []})]
    ) as serf:
        with pytest.raises(SerfDown, match="it closed the connection"):
            serf.members()
        assert serf.members() == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (packed({"Seq": 2, "Error": "not now"}, {}), "not now"),
        (packed({"Seq": 7, "Error": ""}, {"Members": []}), "another question"),
        (packed({"Seq": 2, "Error": ""}, {"Nobody": []}), "no members"),
        (packed({"Seq": 2, "Error": ""}, ["Members"]), "no members"),
        (packed("what"), "another question"),
        (b"\xc1", "."),
    ],
)
def test_an_answer_that_is_none_is_a_reason(answer: bytes, reason: str) -> None:
    with agent([HELLO, answer]) as serf, pytest.raises(SerfDown, match=reason):
        serf.members()


def test_an_answer_that_does_not_end_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervise.balance.serf.ANSWER_SECONDS", 0.05)
    with agent([HELLO, LISTING[:-3], HELLO]) as serf, pytest.raises(SerfDown, match=r"timed out|no answer within"):
        serf.members()


def test_an_answer_without_measure_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervise.balance.serf.ANSWER_BYTES_MAX", 100)
    with agent([HELLO, packed({"Seq": 2, "Error": ""}, {"Members": ["x" * 500]})]) as serf, pytest.raises(SerfDown):
        serf.members()


def test_nobody_there_is_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SerfDown, match="refused"):
        Serf(f"127.0.0.1:{port}").members()
