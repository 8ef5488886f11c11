"""What is made ready ahead is taken for exactly what is asked, or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from logship import zstd
from logship.ship.ahead import Packed, Packer, Shelf
from logship.ship.followed import FileSource, open_file

KEY = ("i", "p")
FIRST, SECOND = b"0123456789" * 10, b"abcdefghij" * 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "x.log"
    found.write_bytes(FIRST + SECOND)
    return found


def followed(path: Path) -> FileSource:
    source = FileSource(open_file(str(path)), str(path))
    source.look()
    return source


def ready(shelf: Shelf, source: FileSource) -> Packed:
    """The second half is ready while the first one is out."""
    packer = Packer()
    first = packer.pack(source, 0, len(FIRST))
    assert first is not None
    second = packer.pack_next(first)
    assert second is not None
    shelf.put(KEY, second)
    return second


def test_a_body_made_ready_is_what_would_have_been_read(path: Path) -> None:
    shelf, source = Shelf(2), followed(path)
    second = ready(shelf, source)
    assert shelf.take(KEY, source, len(FIRST), len(SECOND)) is second
    assert zstd.decode(second.body, 1000) == SECOND
    assert second.digest.value == hashlib.sha256(second.body).digest()
    assert shelf.take(KEY, source, len(FIRST), len(SECOND)) is None, "it was taken"


@pytest.mark.parametrize(("offset", "size"), [(0, 100), (100, 99), (101, 100), (100, 101)])
def test_another_place_or_size_is_read_anew(path: Path, offset: int, size: int) -> None:
    shelf, source = Shelf(2), followed(path)
    ready(shelf, source)
    assert shelf.take(KEY, source, offset, size) is None


def test_another_source_of_the_same_name_is_read_anew(path: Path) -> None:
    shelf, source = Shelf(2), followed(path)
    ready(shelf, source)
    assert shelf.take(KEY, followed(path), len(FIRST), len(SECOND)) is None


def test_of_a_file_that_was_replaced_in_place_nothing_made_ready_goes_out(path: Path) -> None:
    shelf, source = Shelf(2), followed(path)
    ready(shelf, source)
    path.write_bytes(SECOND + FIRST)
    with pytest.raises(OSError, match="replaced"):
        shelf.take(KEY, source, len(FIRST), len(SECOND))
    ready(shelf, source := followed(path))
    path.write_bytes(b"")
    source.look()
    path.write_bytes(FIRST + SECOND)
    source.look()
    assert source.gone == len(FIRST + SECOND)
    assert shelf.take(KEY, source, len(FIRST), len(SECOND)) is None, "of the content before"


def test_nothing_is_made_ready_of_what_is_not_all_there(path: Path) -> None:
    packer, source = Packer(), followed(path)
    first = packer.pack(source, 0, 101)
    assert first is not None
    assert packer.pack_next(first) is None
    assert packer.pack(source, 200, 10) is None
    whole = packer.pack(source, 0, 100)
    assert whole is not None
    os.truncate(path, 150)
    assert packer.pack_next(whole) is None, "the file is not what it was"


def test_nothing_is_made_ready_of_bytes_that_hardly_compress(path: Path) -> None:
    path.write_bytes(os.urandom(4 * 1024 * 1024))
    packer, source = Packer(), followed(path)
    first = packer.pack(source, 0, 2 * 1024 * 1024)
    assert first is not None
    assert packer.pack_next(first) is None


def test_only_the_newest_few_are_kept(path: Path) -> None:
    shelf, source = Shelf(2), followed(path)
    second = ready(shelf, source)
    for key in ("a", "b"):
        shelf.put((key, "p"), second)
    assert shelf.take(KEY, source, len(FIRST), len(SECOND)) is None
    assert shelf.take(("a", "p"), source, len(FIRST), len(SECOND)) is second
