"""Filters of tokens: none hides a line, whatever its bytes; what is made in one go is what the plain way makes."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.collect.folder import FILE_MODE
from logship.errors import Fault
from logship.lake import filters, parquet, tokens
from logship.lake.filters import Broken, Filters
from logship.lake.folder import LAKE
from logship.values import Invalid
from tests.logship.lake.lakes import rows, seal
from tests.logship.view.shelf import Shelf

LINES = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.text('abcXYZ_019 -/:\\"{}uU\n\u017f\u212a\u0130\u0131\u00df\ufb01\u00e9', max_size=60).map(str.encode),
        st.text("abc_1", min_size=1, max_size=30).map(str.encode),
        st.dictionaries(st.text("ab", max_size=2), st.text(max_size=20), max_size=3).map(
            lambda one: json.dumps(one).encode()
        ),
    ),
    max_size=12,
)


def of_lines(lines: list[bytes]) -> bytes:
    """As the filters are made of them: a newline behind each."""
    return b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)


def said(content: bytes, key: bytes) -> bool:
    """The answer of a filter."""
    number, blocks = tokens.hashed(key), len(content) // tokens.BLOCK_BYTES
    begin = tokens.block(number, blocks) * tokens.BLOCK_BYTES if blocks else 0
    return not blocks or tokens.is_in(content[begin : begin + tokens.BLOCK_BYTES], number)


@settings(max_examples=200, deadline=None)
@given(LINES)
def test_the_keys_made_in_one_go_are_those_of_the_plain_way(lines: list[bytes]) -> None:
    text = of_lines(lines)
    assert set(filters._hashes(text).tolist()) == {tokens.hashed(key) for key in tokens.keys(text)}
    plain = {word for word in re.findall(rb"[a-z0-9_]+", text.lower()) if len(word) >= 5}
    assert tokens.keys(text) == {word[:8] for word in plain} | {word[-8:] for word in plain}


@settings(max_examples=200, deadline=None)
@given(LINES)
def test_a_filter_has_every_key_of_every_reading_of_a_line(lines: list[bytes]) -> None:
    text = of_lines(lines)
    content = filters.made(text)
    for line in text.split(b"\n"):
        for reading in (line, *tokens.readings(line)):
            assert all(said(content, key) for key in tokens.keys(reading))


def test_texts_that_are_cut_for_their_size_lose_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    text = b"".join(b"%x %s\n" % (chance.getrandbits(80), b"y" * chance.randrange(60)) for _ in range(200))
    whole = set(filters._hashes(text).tolist())
    monkeypatch.setattr(filters, "_SLICE_BYTES", 37)
    monkeypatch.setattr(filters, "_HELD_MAX", 50)
    assert set(filters._hashes(text).tolist()) == whole


def test_a_filter_lets_little_through_and_stays_within_its_share() -> None:
    chance = random.Random(5)
    words = b"and more of the usual words " * 5
    text = b"".join(b"one id %016x of its own, %s\n" % (chance.getrandbits(64), words) for _ in range(20_000))
    content = filters.made(text)
    assert 0 < len(content) <= len(text) * filters.SHARE_MAX
    wrong = sum(said(content, b"%08x" % chance.getrandbits(32)) for _ in range(4000))
    assert wrong < 4000 * 0.05
    both = sum(
        said(content, b"%08x" % chance.getrandbits(32)) and said(content, b"%08x" % chance.getrandbits(32))
        for _ in range(4000)
    )
    assert both < 4000 * 0.005


def test_lines_of_nothing_but_different_tokens_have_no_filter_and_are_read() -> None:
    chance = random.Random(6)
    text = b"".join(b"%06x %06x\n" % (chance.getrandbits(24), chance.getrandbits(24)) for _ in range(20_000))
    assert filters.made(text) == b""


def test_about_how_many_are_different_is_told_well_enough() -> None:
    chance = random.Random(7)
    for count in (0, 1, 1000, 100_000, 3_000_000):
        numbers = np.frombuffer(chance.randbytes(8 * count), np.uint64)
        assert filters._different(np.concatenate([numbers, numbers])) == pytest.approx(count, rel=0.05, abs=2)


def test_only_four_characters_beyond_ascii_are_letters_of_it_where_case_is_ignored() -> None:
    beyond = "".join(chr(code) for code in range(128, 0x110000) if not 0xD800 <= code < 0xE000)
    found = {each for form in ("[a-z0-9_]", "[A-Z]") for each in regex.findall(form, beyond, regex.IGNORECASE)}
    assert found == set(map(chr, tokens.FOLDED))
    assert all(regex.fullmatch(r"\w", each) for each in found)


# The file.


def test_a_file_of_filters_says_what_it_holds_and_a_torn_or_strange_one_is_none() -> None:
    made = [(tokens.Group(20, 900, 2), b"\1" * 64), (tokens.Group(5, 10, 0), b""), (tokens.Group(7, 70, 1), b"\2" * 32)]
    content = tokens.pack(made)
    found = tokens.parse(content)
    assert isinstance(found, tokens.Directory)
    assert found.groups == tuple(group for group, _ in made)
    assert [
        content[start : start + 32 * group.blocks] for start, group in zip(found.starts, found.groups, strict=False)
    ] == [each for _, each in made]
    assert all(isinstance(tokens.parse(content[:size]), Invalid) for size in range(len(content)))
    assert isinstance(tokens.parse(b"x" + content[1:]), Invalid)
    assert isinstance(tokens.parse(content[:16] + b"\2" + content[17:]), Invalid)


# Of a lake.


def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of as few rows as DuckDB makes."""
    monkeypatch.setattr(
        parquet, "OPTIONS", parquet.OPTIONS.replace(f"ROW_GROUP_SIZE {parquet.ROWS}", "ROW_GROUP_SIZE 2048")
    )


def beside(store: Path, name: str) -> bytes:
    return (store / LAKE / f"{name}.tokens").read_bytes()


def test_the_filters_of_a_lake_are_of_its_row_groups(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    small_groups(monkeypatch)
    chance = random.Random(8)
    for stream in ("a/1/x/i", "b/1/x/i"):
        for _ in range(3):
            data = b"".join(
                b"%032x \xff usual words, more than of any other kind in here\n" % chance.getrandbits(128)
                for _ in range(1500)
            )
            shelf.append(stream, data + b"torn%06x" % chance.getrandbits(24), packed=True)
            shelf.append(
                stream,
                b"%06xapart\n" % chance.getrandbits(24),
                starts=((shelf.state.streams[stream].next_offset, "t"),),
            )
    shelf.rotate()
    (file,) = seal(shelf.folder).manifest.files
    content = beside(shelf.folder, file.name)
    assert file.tokens is not None
    assert file.tokens.bytes == len(content)
    found = tokens.parse(content)
    assert isinstance(found, tokens.Directory)
    assert len(found.groups) > 2
    assert sum(group.rows for group in found.groups) == file.rows
    lines = [bytes(data) for (data,) in rows(shelf.folder, "encode(line)", tail="ORDER BY file_row_number")]
    first = 0
    for start, group in zip(found.starts, found.groups, strict=False):
        own = content[start : start + group.blocks * tokens.BLOCK_BYTES]
        assert own
        keys = {key for line in lines[first : first + group.rows] for key in tokens.keys(line)}
        assert all(said(own, key) for key in keys)
        first += group.rows
    assert (shelf.folder / LAKE / f"{file.name}.tokens").stat().st_mode & 0o777 == FILE_MODE


def test_a_filter_that_would_hide_a_line_is_not_published(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.append("a/1/x/i", b"one line with something in it\n")
    shelf.rotate()
    made = filters._filter

    def wrong(places: list[filters.Places], blocks: int) -> bytes:
        content = bytearray(made(places, blocks))
        place = next(number for number, byte in enumerate(content) if byte)
        content[place] = 0
        return bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(filters, "_filter", wrong)
        with pytest.raises(Fault, match="does not have all that it was made of"):
            seal(shelf.folder)
    assert list((shelf.folder / LAKE).glob("day=*/*")) == []
    with monkeypatch.context() as patch:
        patch.setattr(filters, "_hashes", lambda _: np.empty(0, np.uint64))
        with pytest.raises(Fault, match="which is in a line"):
            seal(shelf.folder)
    with monkeypatch.context() as patch:
        patch.setattr("logship.lake.folder.sync", lambda _: (7, "another"))
        with pytest.raises(OSError, match="what is read is not what was written"):
            seal(shelf.folder)
    assert list((shelf.folder / LAKE).glob("day=*/*")) == []
    assert seal(shelf.folder).manifest.files[0].rows == 1


def test_rows_without_an_end_do_not_become_one_token() -> None:
    ends = memoryview(np.array([0, 4, 8], np.int32).tobytes()).cast("i")
    offsets = memoryview(np.array([0, 4], np.int64).tobytes()).cast("q")
    made = Filters([2])
    for _ in made.through(iter([(offsets, ends, memoryview(b"deadbeef"))])):
        pass
    assert made.made[0][0] == tokens.Group(2, 10, 1)
    assert not said(made.made[0][1], b"deadbeef")


def test_a_broken_filter_is_found_where_it_is_made() -> None:
    with pytest.raises(Broken):
        filters._check(bytes(32), filters._places(filters._hashes(b"something\n"), 1), b"something\n")
