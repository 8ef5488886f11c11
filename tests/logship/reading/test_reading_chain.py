"""The streams of one source, laid out over the source's own offsets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from logship.reading.chain import LOST, NOT_KEPT, UNEXPLAINED, Extent, Missing, clipped, layout, links

ID = "20261123T201501Z-9f2c51aa"
STEM = f"web/1/app/{ID}"


def listing(stream: str, end: int, continues: str | None = None, lost: int | None = None, first: int = 0) -> Any:
    source: dict[str, Any] = {"incarnation": ID, "program": "app"}
    if continues is not None:
        source |= {"continues": continues, "lost_bytes": lost, "lost_reason": "over budget"}
    if lost is None:
        source.pop("lost_bytes", None)
    return {"stream": stream, "next_offset": end, "first_offset": first, "closed": True, "source": source}


def name(base: int) -> str:
    return f"{STEM}.{base:020}"


def test_a_gap_that_the_next_stream_names_is_lost() -> None:
    found = [listing(STEM, 100), listing(name(150), 20, STEM, 50)]
    chain = links(found, STEM, through_replacements=False)
    assert layout(chain) == [
        Extent(0, 100, STEM, 0), Missing(100, 150, LOST, "over budget"), Extent(150, 170, name(150), 0),
    ]  # fmt: skip


def test_a_gap_that_nobody_names_is_unexplained() -> None:
    found = [listing(STEM, 100), listing(name(150), 20, STEM, 10)]
    assert layout(links(found, STEM, through_replacements=False))[1].what == UNEXPLAINED  # type: ignore[union-attr]


def test_of_bytes_that_two_streams_have_the_later_one_says_what_the_source_has_now() -> None:
    """A source that came back shorter after a crash of its host: what was beyond its end is not in it any more."""
    found = [listing(STEM, 100), listing(name(60), 70, STEM, 0)]
    assert layout(links(found, STEM, through_replacements=True)) == [
        Extent(0, 60, STEM, 0), Extent(60, 130, name(60), 0),
    ]  # fmt: skip


def test_a_source_that_lost_its_beginning_before_any_stream_was_made_begins_with_that() -> None:
    found = [listing(name(40), 10, STEM, 40)]
    assert layout(links(found, None, through_replacements=True)) == [
        Missing(0, 40, LOST, "over budget"), Extent(40, 50, name(40), 0),
    ]  # fmt: skip


def test_another_content_in_the_same_file_ends_the_chain_of_the_one_before() -> None:
    found = [listing(STEM, 100), listing(name(0), 30, STEM, 0)]
    assert layout(links(found, STEM, through_replacements=False)) == [Extent(0, 100, STEM, 0)]
    assert layout(links(found, name(0), through_replacements=False)) == [Extent(0, 30, name(0), 0)]


def test_what_retention_took_of_a_stream_is_not_kept() -> None:
    assert layout(links([listing(STEM, 100, first=64)], STEM, through_replacements=False)) == [
        Missing(0, 64, NOT_KEPT, f"{STEM} is kept from 64 on"), Extent(64, 100, STEM, 64),
    ]  # fmt: skip


def test_a_stream_of_another_writer_is_a_chain_of_its_own() -> None:
    alone = {"stream": "theirs", "next_offset": 9, "first_offset": 0, "closed": False, "source": {}}
    assert layout(links([alone], "theirs", through_replacements=False)) == [Extent(0, 9, "theirs", 0)]
    assert links([alone], "no such", through_replacements=False) == []
    assert layout([]) == []


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-40, 30), st.integers(0, 12)), max_size=6))
def test_a_layout_has_no_break_and_each_extent_lies_in_its_stream(steps: list[tuple[int, int, int]]) -> None:
    found, end, before = [listing(STEM, 25)], 25, STEM
    for size, moved, kept_from in steps:
        base = max(0, end + moved)
        if any(one["stream"] == name(base) for one in found):
            continue
        found.append(listing(name(base), size, before, max(0, base - end), min(kept_from, size)))
        before, end = name(base), base + size
    placed = layout(links(found, STEM, through_replacements=True))
    at = 0
    ends = {one["stream"]: one["next_offset"] for one in found}
    for one in placed:
        assert one.start == at < one.end
        at = one.end
        if isinstance(one, Extent):
            base = 0 if one.path == STEM else int(one.path[-20:])
            assert one.offset + base == one.start
            assert one.offset + one.end - one.start <= ends[one.path]
    assert at == end or end == 0
    for low, high in ((0, at), (3, 9), (at, at)):
        parts = clipped(placed, low, high)
        assert sum(one.end - one.start for one in parts) == max(0, min(high, at) - low)
