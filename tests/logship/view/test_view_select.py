"""TARGETs, times in words, patterns, text made harmless, the order of a merge."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.values import Invalid
from logship.view.items import Mark
from logship.view.merge import merged
from logship.view.select import Slow, identify, parse_pattern, parse_target, parse_targets, unknown
from logship.view.shown import harmless, shown
from logship.view.when import parse_moment

PATHS = ["ha/1/haproxy/i", "ha/1/serf/i", "webapp/1/webapp/i", "webapp/2/webapp/i", "webapp/2/serf/j", "other/stream"]
IDENTITIES = [identify(path, {}) for path in PATHS]
NOW = datetime(2026, 11, 23, 22, 0, 5)


def utc_ms(moment: datetime) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.case(134)
@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("all", PATHS),
        ("webapp", ["webapp/1/webapp/i", "webapp/2/webapp/i", "webapp/2/serf/j"]),
        ("webapp/2", ["webapp/2/webapp/i", "webapp/2/serf/j"]),
        ("webapp:serf", ["webapp/2/serf/j"]),
        ("webapp/1:webapp", ["webapp/1/webapp/i"]),
        ("*:serf", ["ha/1/serf/i", "webapp/2/serf/j"]),
        ("w*/*:web*", ["webapp/1/webapp/i", "webapp/2/webapp/i"]),
        ("webapp/2/serf/j", ["webapp/2/serf/j"]),
        ("*/*/serf/*", ["ha/1/serf/i", "webapp/2/serf/j"]),
        ("other/stream", ["other/stream"]),
        ("web", []),
        ("haproxy", []),
    ],
)
def test_a_target_means_these_streams(target: str, meant: list[str]) -> None:
    parsed = parse_target(target)
    assert not isinstance(parsed, Invalid)
    assert [identity.path for identity in IDENTITIES if parsed.takes(identity)] == meant


def test_a_container_without_a_number_is_shown_by_as_much_of_its_id_as_the_engine_shows() -> None:
    container = "3f2a9c51d0e4" + "0123456789abcdef" * 3 + "0123"
    programs, file = identify(f"webapp/{container}/serf/i", {}), identify("webapp/3f2a9c51d0e4/file/i", {})
    assert programs.label == "webapp/3f2a9c51d0e4:serf"
    assert programs.place == file.place
    for text in (programs.label, f"webapp/{container}", programs.path, "webapp/3f2a*:serf"):
        target = parse_target(text)
        assert not isinstance(target, Invalid)
        assert target.takes(programs), text
    named = "x" + container[1:]
    assert identify(f"webapp/{named}/serf/i", {}).place == f"webapp/{named}", "that is no id"


@pytest.mark.parametrize("text", ["", "a:b:c", "/a", "a/", "web app;rm", "<script>", "a/b/c:d", "x" * 700, "é"])
def test_what_is_no_target_is_refused_in_a_sentence(text: str) -> None:
    assert isinstance(parse_target(text), Invalid)


@pytest.mark.case(134)
def test_several_targets_may_stand_in_one_text_and_none_means_all() -> None:
    several = parse_targets(["ha, webapp:serf", "other/stream"])
    assert not isinstance(several, Invalid)
    assert [target.text for target in several] == ["ha", "webapp:serf", "other/stream"]
    none = parse_targets([" "])
    assert not isinstance(none, Invalid)
    assert [target.text for target in none] == ["all"]


def test_an_unknown_target_is_told_with_near_ones() -> None:
    targets = parse_targets(["webapp", "webap:serf"])
    assert not isinstance(targets, Invalid)
    said = unknown(targets, IDENTITIES)
    assert said is not None
    assert "webap:serf (did you mean webapp:serf" in said
    assert unknown(targets[:1], IDENTITIES) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOW), ("10m", datetime(2026, 11, 23, 21, 50, 5)), ("-2h30m", datetime(2026, 11, 23, 19, 30, 5)),
        ("1d", datetime(2026, 11, 22, 22, 0, 5)), ("90s", datetime(2026, 11, 23, 21, 58, 35)),
        ("today", datetime(2026, 11, 23)), ("yesterday 17:30", datetime(2026, 11, 22, 17, 30)),
        ("8:05", datetime(2026, 11, 23, 8, 5)), ("2026-11-20", datetime(2026, 11, 20)),
        ("2026-11-20 08:01:02", datetime(2026, 11, 20, 8, 1, 2)),
        ("2026-11-23T20:15:01Z", datetime(2026, 11, 23, 20, 15, 1)),
        ("2026-11-23 22:15:01+02:00", datetime(2026, 11, 23, 20, 15, 1)),
        ("@1795464901.5", datetime(2026, 11, 23, 20, 15, 1, 500_000)),
    ],
)  # fmt: skip
def test_a_time_in_words_is_a_moment(text: str, meant: datetime) -> None:
    assert parse_moment(text, NOW, utc_ms) == utc_ms(meant)


@pytest.mark.parametrize("text", ["", "-", "soon", "10", "10x", "25:00", "2026-02-30", "@", "todayx", "99999999d"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    found = parse_moment(text, NOW, utc_ms)
    assert isinstance(found, Invalid)
    assert "10m" in found.reason


def test_a_pattern_finds_text_and_bytes() -> None:
    for text, ignore, line, found in [
        ("GET /x", False, b'"GET /x HTTP', True), ("get", False, b"GET", False), ("get", True, b"GET", True),
        ("5\\d\\d ", False, b" 503 ", True), ("é", False, "é".encode(), True), ("^$", False, b"", True),
        ("a.b", False, b"a\xffb", True),
    ]:  # fmt: skip
        pattern = parse_pattern(text, ignore)
        assert not isinstance(pattern, Invalid)
        assert pattern.finds(line) is found, text


def test_a_pattern_that_would_take_for_ever_is_stopped() -> None:
    pattern = parse_pattern("^(a|aa)+$", False)
    assert not isinstance(pattern, Invalid)
    with pytest.raises(Slow):
        pattern.finds(b"a" * 60 + b"!")


@pytest.mark.parametrize("text", ["(", "[z-a]", "x" * 1025, "(?P<a>x)(?P<a", "*"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    assert isinstance(parse_pattern(text, False), Invalid)


@pytest.mark.case(55, 109)
def test_text_commands_neither_a_terminal_nor_its_direction() -> None:
    assert shown(b"\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://e\x1b\\link\x1b]8;;\x1b\\", 100)[0] == "red link"
    assert shown("a\u202eb\u2066c\x07\x00\r\x9b\ufeff".encode(), 100)[0] == r"a\u202eb\u2066c\x07\x00\x0d\x9b\ufeff"
    assert shown(b"\xff\xc3(", 100)[0] == "\\xff\\xc3("
    assert shown(b"tab\tstays", 100)[0] == "tab\tstays"


@given(st.binary(max_size=60), st.integers(0, 60))
def test_shown_text_is_harmless_and_counts_what_it_leaves_out(data: bytes, most: int) -> None:
    text, left_out = shown(data, most)
    assert not [
        one for one in text if one != "\t" and (ord(one) < 32 or 127 <= ord(one) < 160 or "\u202a" <= one <= "\u202e")
    ]
    assert harmless(text) == text
    assert 0 <= left_out <= len(data)
    assert left_out == 0 or len(data) > most
    assert len(data) - left_out <= most


def test_text_is_never_cut_within_a_character() -> None:
    assert shown("aé".encode(), 2) == ("a", 2)
    assert shown("a€".encode(), 3) == ("a", 3)
    assert shown("a€".encode(), 4) == ("a€", 0)


@pytest.mark.case(130)
@given(st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=5))
def test_a_merge_is_by_time_and_never_against_a_streams_own_order(times: list[list[int]]) -> None:
    streams = [
        [Mark(time, f"s{number}", offset, "x", "", 0) for offset, time in enumerate(one)]
        for number, one in enumerate(times)
    ]
    found = list(merged(streams))
    for number, one in enumerate(streams):
        assert [item for item in found if item.stream == f"s{number}"] == one
    if all(one == sorted(one) for one in times):
        assert [item.time_ms for item in found] == sorted(item.time_ms for item in found)
