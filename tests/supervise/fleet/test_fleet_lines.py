"""Streams that arrive in pieces come out whole, in order, and harmless on a terminal."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.fleet.lines import LINE_BYTES_MAX, Frames, Lines, framed
from supervise.fleet.output import frames

PIECES = st.lists(st.tuples(st.sampled_from(["webapp", "serf", "a-b_c"]), st.binary(max_size=50)), max_size=8)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces that end at the given places."""
    places = [0, *sorted(place % (len(data) + 1) for place in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 500), max_size=10))
def test_frames_come_out_as_they_were_put_in_however_they_are_cut(
    pieces: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    taker = Frames()
    whole = b"".join(framed(name, data) for name, data in pieces)
    assert [item for part in cut(whole, cuts) for item in taker.feed(part)] == pieces


@pytest.mark.parametrize("data", [b"no frame\n", b"webapp x\nabc", b"\n", b"x" * 300])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        Frames().feed(data)


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=10))
def test_lines_are_whole_and_prefixed_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    lines = Lines("w | ", for_terminal=False)
    out = b"".join([*map(lines.feed, cut(data, cuts)), lines.end()])
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert out == b"".join(b"w | " + line + b"\n" for line in expected)


def test_a_line_without_end_is_shown_in_pieces() -> None:
    lines = Lines("", for_terminal=False)
    assert lines.feed(b"x" * (LINE_BYTES_MAX + 5)) == b"x" * LINE_BYTES_MAX + b"\n"
    assert lines.end() == b"xxxxx\n"


def test_escapes_and_bytes_that_are_no_text_are_written_out_on_a_terminal() -> None:
    lines = Lines("", for_terminal=True)
    assert lines.feed(b"\x1b[31mred\x1b[0m \xff \xe2\x80\xae caf\xc3\xa9\tx\r\n").decode() == (
        "\\x1b[31mred\\x1b[0m \\xff \\u202e café\tx\n"
    )


def test_bytes_are_left_alone_in_a_pipe() -> None:
    assert Lines("", for_terminal=False).feed(b"\x1b[31m\xff\r\n") == b"\x1b[31m\xff\r\n"


def engine_frame(number: int, data: bytes) -> bytes:
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.binary(max_size=40)), max_size=6), st.integers(0, 20))
def test_the_engines_frames_are_taken_apart_and_a_torn_end_is_kept_as_far_as_it_goes(
    pieces: list[tuple[int, bytes]], missing: int
) -> None:
    whole = b"".join(engine_frame(number, data) for number, data in pieces)
    found = list(frames(io.BytesIO(whole)))
    for stream in (1, 2):
        wanted = b"".join(data for number, data in pieces if (2 if number == 2 else 1) == stream)
        assert b"".join(data for number, data in found if number == stream) == wanted
    torn = b"".join(data for _, data in frames(io.BytesIO(whole[: max(0, len(whole) - missing)])))
    assert b"".join(data for _, data in found).startswith(torn)
