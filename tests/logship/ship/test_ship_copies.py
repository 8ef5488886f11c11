"""Which copy of an emptied file holds what: files made by hand, looks one by one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.ship.copies import Match, begins_with, match, nowhere
from logship.ship.followed import FORMERS_MAX, FileSource, OpenFile, open_file
from logship.ship.states import Prove
from logship.spool.ranges import Span
from logship.wire.fields import Digest

NOTHING_STORED = Prove(Span(0, 0), None)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "x.log").write_bytes(b"")
    return tmp_path / "x.log"


@pytest.fixture
def source(log: Path) -> Iterator[FileSource]:
    made = FileSource(open_file(str(log)), str(log))
    yield made
    made.close()


def stored(content: bytes) -> Prove:
    return Prove(Span(0, len(content)), Digest("sha-256", hashlib.sha256(content).digest()))


def emptied(log: Path, source: FileSource, *contents: bytes) -> None:
    """Each was seen, and then another one."""
    for content in contents:
        os.truncate(log, 0)
        source.look()
        log.open("ab").write(content)
        source.look()
    os.truncate(log, 0)
    source.look()


def copies(log: Path, *contents: bytes) -> list[OpenFile]:
    """Files that hold this, the youngest first."""
    made = []
    for number, content in enumerate(contents):
        path = log.with_name(f"copy.{number}")
        path.write_bytes(content)
        made.append(open_file(str(path)))
    return made


def test_the_oldest_content_that_was_not_stored_goes_first_and_what_nobody_copied_is_counted(
    log: Path, source: FileSource
) -> None:
    emptied(log, source, b"first", b"nobody copies this", b"third")
    files = copies(log, b"third", b"first", b"older than all of it")
    assert match(NOTHING_STORED, source.formers(0), files) == Match(1, len(b"nobody copies this"))
    assert match(NOTHING_STORED, source.formers(0), files[2:]) is None
    assert nowhere(source.formers(0), files[2:]) == source.gone


def test_what_is_stored_of_the_first_content_finds_its_copy_and_later_ones_are_counted(
    log: Path, source: FileSource
) -> None:
    emptied(log, source, b"first content", b"second", b"third")
    files = copies(log, b"second", b"first content")
    assert match(stored(b"first"), source.formers(0), files) == Match(1, len(b"third"))
    assert match(stored(b"other"), source.formers(0), files) is None


def test_contents_that_were_told_as_lost_before_are_not_counted_again(log: Path, source: FileSource) -> None:
    emptied(log, source, b"told", b"new one")
    assert [former.size for former in source.formers(len(b"told"))] == [len(b"new one")]


def test_only_some_contents_are_remembered_and_all_are_counted(log: Path, source: FileSource) -> None:
    emptied(log, source, *[b"%03d" % number for number in range(2 * FORMERS_MAX)])
    assert len(source.formers(0)) == FORMERS_MAX
    assert source.gone == 3 * 2 * FORMERS_MAX


def test_a_copy_is_one_while_the_file_holds_what_it_ends_with(log: Path) -> None:
    log.write_bytes(b"x" * 10_000 + b"and more")
    original = open_file(str(log))
    whole, part, other, longer = copies(log, b"x" * 10_000, b"x" * 7, b"y" * 7, b"x" * 10_000 + b"and more than that")
    assert begins_with(original, whole)
    assert begins_with(original, part)
    assert not begins_with(original, other)
    assert not begins_with(original, longer)
