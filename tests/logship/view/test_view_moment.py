"""Times: each kind's own, inherited, or of receipt."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.view import moment
from logship.view.lines import Line
from logship.view.moment import DAY_MS, INHERITED_BYTES_MAX, INHERITED_MS_MAX, Times, own_ms

RECEIVED = round(datetime(2026, 11, 23, 22, 0, 0, tzinfo=UTC).timestamp() * 1000)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            b'172.18.0.1:4000 [23/Nov/2026:21:58:24.799] http app/web 0/0/1/2/3 200 "GET / HTTP/1.1"',
            "2026-11-23T21:58:24.799",
        ),
        (b"    2026/11/23 21:58:11 [INFO] serf: EventMemberJoin: web 172.18.0.3", "2026-11-23T21:58:11"),
        (b"2026-11-23 21:58:11,555 INFO spawned: 'serf' with pid 12", "2026-11-23T21:58:11.555"),
        (b'{"time":"2026-11-23T21:58:11.5Z","event":"start"}', "2026-11-23T21:58:11.500"),
        (b'{"level": "info", "ts": 1795471091.25, "msg": "x"}', "2026-11-23T21:58:11.250"),
        (b'{"timestamp": 1795471091250}', "2026-11-23T21:58:11.250"),
        (b"2026-11-23T23:58:11+02:00 hello", "2026-11-23T21:58:11"),
        (b"2026-11-23T20:28:11.1234567-0130 hello", "2026-11-23T21:58:11.123"),
        (b"<134>1 2026-11-23T21:58:11.003Z host app - - -", "2026-11-23T21:58:11.003"),
        (b"<13>Nov 23 21:58:11 host app: hello", "2026-11-23T21:58:11"),
        (b"[2026-11-23 21:58:11.9] hello", "2026-11-23T21:58:11.900"),
    ],
)
def test_a_line_says_its_time_in_the_way_of_its_kind(line: bytes, said: str) -> None:
    assert own_ms(line, RECEIVED) == at(said)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"no time at all", b"2026-13-41 21:58:11 no such day", b"2026-11-23 25:58:11 no such hour",
        b"2026-11-23 21:58:77 no such second", b'{"time": "soon"}', b"[23/Foo/2026:21:58:24.799]", b"\xff\xfe\x00",
        b"2026-11-21 21:58:11 two days ago", b"2027-11-23 21:58:11 next year", b"x" * 600 + b"2026-11-23 21:58:11",
    ],
)  # fmt: skip
def test_a_line_without_a_time_that_can_be_believed_has_none(line: bytes) -> None:
    assert own_ms(line, RECEIVED) is None


@pytest.mark.case(96)
def test_no_time_lies_after_the_receipt() -> None:
    assert own_ms(b"2026-11-23 22:00:05 a clock that is ahead", RECEIVED) == RECEIVED


def test_a_stamp_without_a_year_is_of_the_year_nearest_to_its_receipt() -> None:
    new_year = at("2027-01-01T00:00:30")
    assert own_ms(b"Dec 31 23:59:50 host app: bye", new_year) == at("2026-12-31T23:59:50")


def test_a_line_without_a_time_has_that_of_the_line_before_it() -> None:
    times = Times()

    def of(offset: int, data: bytes, received_ms: int) -> int:
        return times.of(Line("s", offset, data, 1, received_ms), own_ms(data, received_ms))

    assert of(0, b"no time\n", RECEIVED) == RECEIVED
    assert of(8, b"2026-11-23 21:58:11 Traceback\n", RECEIVED) == at("2026-11-23T21:58:11")
    assert of(38, b"  File x\n", RECEIVED + 5) == at("2026-11-23T21:58:11")
    assert of(9 + INHERITED_BYTES_MAX, b"far\n", RECEIVED + 9) == RECEIVED + 9


def test_a_line_that_came_long_after_the_line_before_it_was_not_said_with_it() -> None:
    times = Times()

    def of(offset: int, data: bytes, received_ms: int) -> int:
        return times.of(Line("s", offset, data, 1, received_ms), own_ms(data, received_ms))

    own = at("2026-11-23T21:58:11")
    assert of(0, b"2026-11-23 21:58:11 started\n", RECEIVED) == own
    assert of(30, b"with it\n", RECEIVED + INHERITED_MS_MAX) == own
    assert of(38, b"FATAL the last words\n", RECEIVED + 300_000) == RECEIVED + 300_000
    assert of(60, b"2026-11-23 21:58:11 of an outage, shipped late\n", RECEIVED + 300_000) == own
    assert of(107, b"  File x\n", RECEIVED + 300_000) == own


@pytest.mark.case(96)
def test_a_day_is_the_bound_of_belief() -> None:
    assert own_ms(b"2026-11-22 22:00:00 just", RECEIVED) == RECEIVED - DAY_MS
    assert own_ms(b"2026-11-22 21:59:59 not", RECEIVED) is None


USUAL = b"10.0.0.1:4000 [23/Nov/2026:21:58:24.799] http app/web 0/0/1/2/3 200"


@given(
    st.lists(
        st.tuples(st.integers(0, len(USUAL)), st.integers(0, 3), st.sampled_from([b"", b"9", b"[", b" ", b":", b"N"])),
        max_size=3,
    )
)
def test_the_short_way_to_haproxy_s_time_leads_where_the_long_one_does(changes: list[tuple[int, int, bytes]]) -> None:
    line = USUAL
    for place, size, text in changes:
        line = line[:place] + text + line[place + size :]
    found = own_ms(line, RECEIVED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moment, "_USUAL", re.compile(rb"(?!)"))
        assert own_ms(line, RECEIVED) == found


ALL_USUAL = (
    USUAL,
    b'{"time": "2026-11-23T21:58:24.799Z", "status": 200}',
    b"    2026/11/23 21:58:24 [INFO] serf: EventMemberJoin: a",
    b"2026-11-23 21:58:24,799 INFO success: webapp",
)
OTHERS = (b"", b"9", b"\n", b" ", b"Z", b"+01:00", b"-", b"T", b".123")


@given(
    st.sampled_from(ALL_USUAL),
    st.lists(st.tuples(st.integers(0, len(USUAL)), st.integers(0, 2), st.sampled_from(OTHERS)), max_size=3),
    st.sampled_from([0, 97_000, 96_000, DAY_MS - 100, DAY_MS + 96_000, -DAY_MS]),
)
def test_the_times_of_many_lines_are_those_of_each(
    usual: bytes, changes: list[tuple[int, int, bytes]], later: int
) -> None:
    data = (usual + b"\n") * 3
    for place, size, text in changes:
        data = data[:place] + text + data[place + size :]
    data = data.replace(b"23", b"22", 1) if later % 7 else data
    lines = data.split(b"\n")[:-1]
    each = [own_ms(line + b"\n", RECEIVED + later) for line in lines]
    assert moment.all_own_ms(data, len(lines), RECEIVED + later) in (each, None)


@pytest.mark.parametrize("usual", ALL_USUAL)
def test_many_lines_of_a_usual_form_are_seen_for_such(usual: bytes) -> None:
    data = (usual + b"\n") * 3
    assert moment.all_own_ms(data, 3, RECEIVED) == [own_ms(usual, RECEIVED)] * 3
    assert moment.all_own_ms(data, 3, RECEIVED - 120_000) == [RECEIVED - 120_000] * 3
    assert moment.all_own_ms(data + b"\n", 4, RECEIVED) is None
