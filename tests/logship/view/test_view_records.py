"""The records of the API: what is said of a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from logship.view.answers import encode
from logship.view.items import START, Mark
from logship.view.lines import OPEN, TORN, Line
from logship.view.records import Records, stamp
from logship.view.select import identify
from logship.view.timed import timed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_stamp_says_the_millisecond(time_ms: int) -> None:
    moment = EPOCH + timedelta(milliseconds=time_ms)
    assert stamp(time_ms) == moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def test_a_line_s_record_says_whose_it_is_and_what_is_odd_about_it() -> None:
    known = identify("web/1/app/i", {})
    made = Records({known.path: known}, 3, False, lambda item: item.line.data)
    for path, place, program in [("web/1/app/i", "web/1", "app"), ("foreign/log", "foreign", "log"), ("x", "x", "")]:
        line = Line(path, 7, b"abcde\n", 9, 1000, TORN | OPEN if path == "x" else 0)
        record = made.of(timed(line, 999))
        assert record == {
            "type": "line", "time": "1970-01-01T00:00:00.999Z", "stream": path, "offset": 7, "place": place,
            "program": program, "lsn": 9, "text": "abc", "end": "\n", "received": "1970-01-01T00:00:01.000Z",
            "left_out": 2, **({"flags": ["torn", "open"]} if path == "x" else {}),
        }  # fmt: skip


PATHS = st.sampled_from(["web/1/app/i", 'fore"ign/\u00e9\\log', "x"])
ENDS = st.sampled_from([b"", b"\n", b"\r\n"])
TEXTS = st.one_of(st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=30))


@given(PATHS, TEXTS, ENDS, st.sampled_from([0, 0, TORN | OPEN, 64]), st.sampled_from([None, None, 5]), st.booleans())
def test_a_line_that_is_written_at_once_is_written_as_its_record_is(
    path: str, text: bytes, end: bytes, flags: int, event: int | None, in_words: bool
) -> None:
    item = timed(Line(path, 7, text + end, 9, 1000, flags), 999, event)
    made = Records({"web/1/app/i": identify("web/1/app/i", {})}, 20, in_words, lambda item: item.line.data)
    at_once = made.text(item)
    assert at_once in (None, encode(made.of(item)))
    said = (text + end)[: item.size - len(item.terminator)]
    odd = in_words or flags or event or len(said) > 20 or not is_text(said)
    assert (at_once is None) == bool(odd)


def is_text(said: bytes) -> bool:
    try:
        said.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_of_what_is_no_line_and_what_is_held_in_part_the_record_is_made_first() -> None:
    made = Records({}, 1 << 20, False, lambda item: item.line.data)
    assert made.text(Mark(5, "x", 0, START, "the program was started", 3)) is None
    assert made.text(timed(Line("x", 0, b"y" * 100_000, 9, 1000), 999)) is None
