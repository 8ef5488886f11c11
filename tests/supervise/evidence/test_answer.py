"""The reader of HTTP answers: each case fed whole, byte by byte, and with bytes after it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.evidence.answer import BODY_BYTES_MAX, HEAD_BYTES_MAX, Answer, AnswerReader, NoAnswer

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"
CASES = {
    "length": (PLAIN, Answer(200, ["a=1; Path=/", "b=2"], b"hello")),
    "chunked": (CHUNKED, Answer(200, [], b"hello")),
    "no body": (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204)),
    "empty body": (b"HTTP/1.1 503 X\r\ncontent-length: 0\r\nCONNECTION: Close\r\n\r\n", Answer(503, closing=True)),
    "after an interim answer": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN, None),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Answer(200, [], b"hi", closing=True)),
    "no phrase": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Answer(200)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_answer_fed_whole(name: str) -> None:
    data, wanted = CASES[name]
    assert AnswerReader().feed(data) == (wanted or CASES["length"][1])


@pytest.mark.parametrize("name", CASES)
def test_an_answer_fed_byte_by_byte_is_complete_at_its_last_byte_and_not_before(name: str) -> None:
    data, wanted = CASES[name]
    reader = AnswerReader()
    assert not reader.started
    for position in range(len(data) - 1):
        assert reader.feed(data[position : position + 1]) is None
    assert reader.started
    assert reader.feed(data[-1:]) == (wanted or CASES["length"][1])


@pytest.mark.parametrize("name", [name for name in CASES if name != "no body"])
def test_bytes_after_an_answer_are_refused(name: str) -> None:
    with pytest.raises(NoAnswer, match="nobody asked for"):
        AnswerReader().feed(CASES[name][0] + b"HTTP/1.1")


def test_a_body_without_length_lasts_until_the_server_closes() -> None:
    reader = AnswerReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nhel") is None
    assert reader.feed(b"lo") is None
    assert reader.end() == Answer(200, [], b"hello", closing=True)


@pytest.mark.parametrize("data", [PLAIN[:-1], CHUNKED[:-4], PLAIN[:20], b""])
def test_an_end_in_the_middle_is_no_answer(data: bytes) -> None:
    reader = AnswerReader()
    assert reader.feed(data) is None
    assert reader.end() is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
        b"x" * (HEAD_BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BODY_BYTES_MAX + 1),
    ],
    ids=lambda data: repr(data[17:60]),
)
def test_what_is_no_answer_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(NoAnswer, match=r"\w"):
        AnswerReader().feed(data)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_raise_anything_but_no_answer(data: bytes, cut: int) -> None:
    reader = AnswerReader()
    try:
        for part in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", data[:cut], data[cut:]):
            reader.feed(part)
        reader.end()
        AnswerReader().feed(data)
    except NoAnswer:
        pass


@given(st.binary(max_size=2000), st.lists(st.integers(1, 50), max_size=20))
def test_a_chunked_body_of_any_cut_is_the_body(body: bytes, cuts: list[int]) -> None:
    parts: list[bytes] = []
    rest = body
    for cut in cuts:
        parts, rest = [*parts, rest[:cut]], rest[cut:]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, rest] if part)
    answer = AnswerReader().feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n")
    assert answer is not None
    assert answer.body == body
