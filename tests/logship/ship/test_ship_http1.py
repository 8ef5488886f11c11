"""Answers read out of bytes, whole, byte by byte, and with more after them; nothing malformed gets through."""

from __future__ import annotations

import pytest

from logship.ship.http1 import AnswerParser, Broken, Reply, request_head

CASES = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y:  z \r\n\r\nhello", "GET", (200, b"hello", True)),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "HEAD", (200, b"", True)),
    (b"HTTP/1.1 204 No Content\r\n\r\n", "POST", (204, b"", True)),
    (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "POST", (204, b"", False)),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", (200, b"", False)),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "PUT", (200, b"x", True)),
    (
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n",
        "GET",
        (200, b"abcde", True),
    ),
]


def outcome(reply: Reply | None) -> tuple[int, bytes, bool]:
    assert reply is not None
    return reply.status, reply.body, reply.stays


@pytest.mark.parametrize(("message", "method", "expected"), CASES)
def test_an_answer_is_the_same_however_it_is_cut(
    message: bytes, method: str, expected: tuple[int, bytes, bool]
) -> None:
    whole, single = AnswerParser(method), AnswerParser(method)
    whole.feed(message)
    assert outcome(whole.reply) == expected
    for at in range(len(message)):
        assert single.reply is None
        single.feed(message[at : at + 1])
    assert outcome(single.reply) == expected


@pytest.mark.parametrize(("message", "method", "expected"), CASES)
def test_bytes_after_an_answer_end_the_connection(
    message: bytes, method: str, expected: tuple[int, bytes, bool]
) -> None:
    parser = AnswerParser(method)
    parser.feed(message + b"HTTP/1.1 200 OK\r\n")
    assert outcome(parser.reply) == (expected[0], expected[1], False)


def test_a_body_without_a_length_reaches_to_the_end_of_the_connection() -> None:
    parser = AnswerParser("GET")
    parser.feed(b"HTTP/1.1 500 X\r\n\r\nso")
    parser.feed(b"rry")
    assert parser.reply is None
    parser.end()
    assert outcome(parser.reply) == (500, b"sorry", False)


@pytest.mark.parametrize("cut", range(1, len(CASES[0][0])))
def test_an_answer_cut_off_anywhere_is_none(cut: int) -> None:
    parser = AnswerParser("GET")
    parser.feed(CASES[0][0][:cut])
    with pytest.raises(Broken, match="within an answer"):
        parser.end()


def feed_in_pieces(parser: AnswerParser, message: bytes) -> None:
    for at in range(0, len(message), 1000):
        parser.feed(message[at : at + 1000])


@pytest.mark.parametrize(
    "message",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : space\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 20_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 2_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000,
    ],
)
def test_what_is_malformed_or_endless_is_refused_within_bounds(message: bytes) -> None:
    with pytest.raises(Broken):
        feed_in_pieces(AnswerParser("GET"), message)


def test_a_request_says_its_length_where_it_may_have_a_body() -> None:
    head = request_head("POST", "/v1/x", "c:1", [("A", "b")], 0)
    assert head == b"POST /v1/x HTTP/1.1\r\nHost: c:1\r\nA: b\r\nContent-Length: 0\r\n\r\n"
    assert b"Content-Length" not in request_head("HEAD", "/", "c:1", [], None)
