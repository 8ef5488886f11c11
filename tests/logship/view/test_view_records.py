"""The records of the API: what is said of a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

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
