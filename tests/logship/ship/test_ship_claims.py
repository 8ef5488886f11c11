"""Whose copy a rotated file is, by what it holds: births are numbers, and what the collector has are values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from logship.ship.chain import Link, Origin
from logship.ship.copies import Found, Key
from logship.ship.families import Families
from logship.ship.followed import FileSource, OpenFile, open_file
from logship.ship.globs import Place
from logship.ship.identity import PROGRAM, Evidence, Known, Tail
from logship.ship.sender import Sender
from logship.ship.sources import Lane
from logship.values import StreamPath
from logship.wire.fields import Digest

FIRST, SECOND = b"the first content\n", b"a second one, longer than the first\n"


class Family:
    """``x.log`` and what rotation made of it, in its order; a birth is the number that is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.families = Families("host")
        self.known: dict[str, Known] = {}
        self.tails: dict[StreamPath, Tail | None] = {}
        self._seen: dict[Key, Place] = {}
        self._births: dict[Key, int] = {}

    def file(self, name: str, content: bytes, born: int) -> Key:
        """One that is empty is not opened."""
        path = self.folder / name
        path.write_bytes(content)
        key = self._key(path)
        self._births[key] = born
        self._seen[key] = Place(str(path), str(self.folder / "x.log"), name != "x.log")
        self._seen = dict(sorted(self._seen.items(), key=lambda each: (len(each[1].path), each[1].path), reverse=True))
        if content:
            self.families.found[key] = Found(self._open(path), self._seen[key])
        return key

    def lane(self, key: Key, name: str, *, looked: bool = True) -> Lane:
        """The file is followed."""
        found = self.families.found.pop(key)
        source = FileSource(found.file, found.place.path)
        source.named = not found.place.rotated
        lane = Lane(source, Sender(Origin("shop", "host", PROGRAM, name)))
        self.families.lanes[key], self.families.of[lane] = lane, found.place.family
        if name in self.known:
            lane.sender.listed(self.known[name].links, 0.0, 0.0)
        if looked:
            source.look()
        return lane

    def stream(self, name: str, key: Key, *contents: bytes, made: int = 0, born: int = 0) -> Known:
        """The collector has these of a file: each content after the first one replaced the one before it."""
        self._births.setdefault(key, born)
        known = Known(name, self._evidence(key), made=f"{made}")
        for number, content in enumerate(contents):
            suffix = "" if not number else f".{0:020}" + ("" if number == 1 else f".{number}")
            path = StreamPath(f"shop/host/file/{name}{suffix}")
            before = known.links[-1].path if known.links else None
            known.links.append(Link(path, 0, max(1, number), before))
            known.sizes[path] = len(content)
            self.tails[path] = Tail(len(content), len(content), Digest("sha-256", hashlib.sha256(content).digest()))
        self.known[name] = known
        return known

    def assign(
        self, tails: Mapping[StreamPath, Tail | None] | None = None, others: Sequence[str] = ()
    ) -> dict[Key, str]:
        """Which file at the collector each is; those that have none are left alone, or asked about."""
        self.families.look(self._seen)
        found = self.families.assign(self.known, self.tails if tails is None else tails, 10**18, others)
        return {key: known.id for key, known in found.items()}

    def close(self) -> None:
        for lane in self.families.lanes.values():
            lane.source.close()
        for found in self.families.found.values():
            found.file.close()

    def _open(self, path: Path) -> OpenFile:
        file = open_file(str(path))
        file.evidence = self._evidence(self._key(path))
        return file

    def _key(self, path: Path) -> Key:
        facts = path.stat()
        return facts.st_dev, facts.st_ino

    def _evidence(self, key: Key) -> Evidence:
        return Evidence(*key, self._births[key])


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    made = Family(tmp_path)
    yield made
    made.close()


@pytest.mark.case(39)
def test_the_copy_of_a_file_that_was_renamed_since_goes_on_with_the_stream_it_had(family: Family) -> None:
    """Copied and emptied, written to, renamed: then a shipper starts that has seen nothing of it."""
    copy = family.file("x.log.2", FIRST, born=20)
    original = family.file("x.log.1", SECOND, born=10)
    newest = family.file("x.log", b"new\n", born=30)
    family.stream("first", original, FIRST, made=1)
    family.stream("second", original, SECOND, made=2)
    found = family.assign(tails={})
    assert found[original] == "second"
    assert copy not in found, "nobody knows yet"
    assert [*family.families.asked] == ["shop/host/file/first"], "the other one is longer than the copy"
    assert family.families.busy({}, ()) >= {"first"}, "it is not to be taken for gone"
    assert family.assign() == {copy: "first", original: "second", newest: found[newest]}
    assert not family.families.asked


@pytest.mark.case(39)
def test_a_copy_goes_on_with_a_stream_that_has_only_its_beginning(family: Family) -> None:
    copy = family.file("x.log.2", FIRST, born=20)
    original = family.file("x.log.1", SECOND, born=10)
    family.stream("first", original, FIRST[:5], made=1)
    family.stream("second", original, SECOND, made=2)
    assert family.assign()[copy] == "first"


@pytest.mark.case(39)
def test_a_file_that_was_emptied_and_renamed_and_never_written_to_again_still_tells_whose_its_copy_is(
    family: Family,
) -> None:
    copy = family.file("x.log.2", FIRST, born=20)
    original = family.file("x.log.1", b"", born=10)
    family.file("x.log", b"new\n", born=30)
    family.stream("first", original, FIRST)
    assert family.assign()[copy] == "first"


def test_a_copy_of_what_the_chain_had_before_is_stored_and_left_alone(family: Family) -> None:
    copy = family.file("x.log.2", FIRST, born=20)
    original = family.file("x.log.1", SECOND, born=10)
    known = family.stream("only", original, FIRST, SECOND)
    assert family.assign() == {original: "only"}
    assert family.families.found[copy].copy
    assert family.families.found[copy].stored == known.links[0].path
    family.lane(original, "only")
    assert family.assign() == {}
    assert family.families.found[copy].copy, "it stays so"


@pytest.mark.case(39)
def test_what_nobody_has_read_is_a_file_of_its_own_though_its_original_is_older(family: Family) -> None:
    """Written, copied and emptied between two looks; the shipper has seen nothing but what came after that."""
    original = family.file("x.log", SECOND, born=10)
    family.stream("second", original, SECOND)
    family.lane(original, "second")
    copy = family.file("x.log.1", FIRST, born=20)
    found = family.assign()
    assert found[copy] not in family.known
    assert not family.families.asked


def test_a_copy_of_what_its_original_still_holds_is_left_alone_until_that_holds_something_else(family: Family) -> None:
    """Copied, not emptied yet; emptied and written to before its first look."""
    copy = family.file("x.log.1", FIRST, born=20)
    original = family.file("x.log", FIRST, born=10)
    name = family.assign()[original]
    assert family.families.found[copy].copy
    lane = family.lane(original, name, looked=False)
    assert family.assign() == {}
    Path(lane.source.name).write_bytes(SECOND)
    lane.source.look(False)
    assert family.assign()[copy] != name, "nobody has read it"


def test_a_copy_of_what_its_original_was_seen_with_is_left_to_that_ones_sender(family: Family) -> None:
    original = family.file("x.log", FIRST, born=10)
    lane = family.lane(original, "any")
    copy = family.file("x.log.1", FIRST, born=20)
    Path(lane.source.name).write_bytes(SECOND)
    for _ in range(2):  # before the next look, and after it
        assert family.assign() == {}
        assert family.families.found[copy].copy
        lane.source.look(False)
    lane.sender.gone = len(FIRST)
    assert copy in family.assign(), "it was found out, and did not take it"


def test_files_that_were_renamed_alone_are_never_asked_about(family: Family) -> None:
    oldest = family.file("x.log.2", FIRST, born=10)
    middle = family.file("x.log.1", FIRST, born=20)
    family.file("x.log", FIRST, born=30)
    family.stream("oldest", oldest, FIRST)
    found = family.assign(tails={})
    assert not family.families.asked
    assert found[oldest] == "oldest"
    assert found[middle] not in family.known, "though it holds the very same"


def test_of_two_copies_that_hold_the_same_one_stream_proves_one_alone(family: Family) -> None:
    older = family.file("x.log.3", FIRST, born=20)
    younger = family.file("x.log.2", FIRST, born=30)
    original = family.file("x.log.1", SECOND, born=10)
    family.stream("first", original, FIRST, made=1)
    family.stream("second", original, SECOND, made=2)
    found = family.assign()
    assert found[older] == "first"
    assert found[younger] not in family.known


def test_a_copy_of_what_retention_has_removed_is_known_by_its_length(family: Family) -> None:
    copy = family.file("x.log.2", FIRST, born=20)
    longer = family.file("x.log.1", FIRST + b"more", born=25)
    original = family.file("x.log", SECOND, born=10)
    family.stream("first", original, FIRST, made=1)
    family.stream("second", original, SECOND, made=2)
    family.tails[StreamPath("shop/host/file/first")] = Tail(len(FIRST))
    found = family.assign()
    assert found[copy] == "first"
    assert found[longer] not in family.known


def test_bytes_prove_more_than_a_length(family: Family) -> None:
    """Generations of equal length: of an older one nothing but that is known any more."""
    copy = family.file("x.log.1", FIRST, born=20)
    original = family.file("x.log", SECOND, born=10)
    family.stream("old", original, b"o" * len(FIRST), made=1)
    family.tails[StreamPath("shop/host/file/old")] = Tail(len(FIRST))
    path = family.stream("now", original, FIRST[:-5], made=2).links[0].path
    assert copy not in family.assign()
    assert family.families.found[copy].until == path, "its sender finds the copy, and what is missing in it"


def test_a_copy_waits_while_the_file_that_had_its_content_finds_out(family: Family) -> None:
    """Its original has the stream, and was emptied: its sender compares, and takes the copy."""
    copy = family.file("x.log.1", FIRST, born=20)
    original = family.file("x.log", SECOND, born=10)
    path = family.stream("first", original, FIRST).links[0].path
    assert family.assign() == {original: "first"}
    assert family.families.found[copy].until == path
    family.lane(original, "first")
    assert family.assign() == {}
    del family.families.lanes[original]
    found = family.assign()
    assert found[copy] == "first", "nobody else has that stream any more"


def test_a_file_that_was_taken_for_gone_and_is_there_waits_until_that_is_through(family: Family) -> None:
    key = family.file("x.log", FIRST, born=10)
    family.stream("first", key, FIRST)
    assert family.assign(others=["first"]) == {}
    assert key in family.families.waiting
    assert family.assign() == {key: "first"}


def test_a_file_that_waits_to_be_opened_is_not_gone(family: Family) -> None:
    """There is no room for it: who is asked which files there are knows no more than where it is."""
    key = family.file("x.log", FIRST, born=10)
    family.stream("first", key, FIRST)
    family.stream("other", (key[0], key[1] + 1), FIRST, born=10)
    assert family.families.busy(family.known, {key: None}) == {"first"}


def test_a_stream_without_a_byte_is_gone_on_with_where_no_copy_is_younger_than_it(family: Family) -> None:
    """Made when the copies were there; its first append may still be on its way, from a shipper that was killed."""
    family.file("x.log.1", FIRST, born=2 * 10**9)
    original = family.file("x.log", SECOND, born=10**9)
    for name, same in (("19700101T000003Z-0000aaaaaaaa", True), ("19700101T000001Z-0000aaaaaaaa", False)):
        family.known.clear()
        family.stream(name, original, b"")
        assert (family.assign()[original] == name) == same
        family.families.found[original].copy = False


@pytest.mark.case(61)
def test_a_copy_goes_on_with_a_stream_that_was_made_for_its_original_before_it_and_has_no_byte(family: Family) -> None:
    """Its first append may still be on its way, from a shipper that was killed: of both one is refused then."""
    copy = family.file("x.log.1", FIRST, born=5 * 10**9)
    original = family.file("x.log", SECOND, born=10**9)
    family.stream("19700101T000003Z-0000aaaaaaaa", original, b"")
    found = family.assign()
    assert found[copy] == "19700101T000003Z-0000aaaaaaaa"
    assert found[original] not in family.known
