"""Lines of the copy: fed whole, byte by byte, in random pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.spool.lines import LineCutter, not_a_snapshot, prefix

BOUND = 8
CASES = [
    (b"", b""),
    (b"one\n", b"p | one\n"),
    (b"one\ntwo\n", b"p | one\np | two\n"),
    (b"\n\n", b"p | \np | \n"),
    (b"no end", b"p | no end\n"),
    (b"12345678\n", b"p | 12345678\n"),
    (b"123456789\n", b"p | 12345678 [1 bytes cut]\n"),
    (b"123456789abc", b"p | 12345678 [4 bytes cut]\n"),
    (b"x" * 40 + b"\nnext\n", b"p | xxxxxxxx [32 bytes cut]\np | next\n"),
    (b"a\0b\n", b"p | a\\0b\n"),
    (b"\x1b[31m\xff\t\r\n", b"p | \x1b[31m\xff\t\r\n"),
]


def cut(*pieces: bytes) -> bytes:
    cutter = LineCutter(b"p | ", BOUND)
    out = b"".join(cutter.feed(piece) for piece in pieces)
    return out + cutter.flush()


@pytest.mark.parametrize(("data", "lines"), CASES)
def test_lines_come_out_prefixed_whole_and_bounded(data: bytes, lines: bytes) -> None:
    assert cut(data) == lines


@pytest.mark.parametrize(("data", "lines"), CASES)
def test_lines_are_the_same_byte_by_byte(data: bytes, lines: bytes) -> None:
    assert cut(*(data[place : place + 1] for place in range(len(data)))) == lines


@given(st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"a", b"\n")), max_size=10))
def test_lines_do_not_depend_on_how_the_bytes_were_cut(pieces: list[bytes]) -> None:
    assert cut(*pieces) == cut(b"".join(pieces))


@given(st.binary(max_size=60), st.integers(0, 60))
def test_unread_is_what_went_in_and_did_not_come_out(data: bytes, place: int) -> None:
    cutter = LineCutter(b"", BOUND)
    cutter.feed(data[:place])
    cutter.feed(data[place:])
    assert cutter.unread == len(data) - (data.rfind(b"\n") + 1)


def test_lines_that_are_not_wanted_do_not_come_out() -> None:
    cutter = LineCutter(b"", 100, not_a_snapshot)
    assert (
        cutter.feed(b'{"event":"snapshot"}\n{"event":"started"}\n{"event": "snapshot"}\n') == b'{"event":"started"}\n'
    )
    assert cutter.feed(b'{"event":"snapshot"') + cutter.flush() == b""


def test_a_cutter_that_forgets_begins_a_line_anew() -> None:
    cutter = LineCutter(b"", BOUND)
    cutter.feed(b"abc")
    cutter.reset()
    assert cutter.feed(b"def\n") == b"def\n"


def test_names_are_aligned() -> None:
    assert prefix("a", 3) == b"a   | "
    assert prefix("abc", 3) == b"abc | "
