"""Filters asked: in which rows of a file a query may be met; never fewer, and all where they cannot be believed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from logship.lake import parquet
from logship.lake.folder import LAKE, MANIFEST, load
from logship.lake.manifest import File
from logship.lake.sidecar import Candidates, Sidecars
from logship.lake.tokens import Has
from logship.values import Invalid
from logship.view.certain import certain
from logship.view.language import Node, parse
from logship.view.where import Where
from tests.logship.lake.lakes import rows, seal
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_certain import IDENTITY, a_line, a_query

GROUP = 2048
"""Rows of a row group: as few as DuckDB makes."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "OPTIONS", parquet.OPTIONS.replace(f"SIZE {parquet.ROWS}", f"SIZE {GROUP}"))


def sealed(shelf: Shelf, lines: list[bytes]) -> File:
    for at in range(0, len(lines), 500):
        shelf.append(IDENTITY.path, b"".join(line + b"\n" for line in lines[at : at + 500]), packed=True)
    shelf.rotate()
    (file,) = seal(shelf.folder).manifest.files
    return file


def node_of(query: str) -> Node | None:
    node = parse(query)
    return None if isinstance(node, Invalid) else node


@pytest.mark.usefixtures("small")
def test_every_line_that_a_query_matches_is_in_rows_that_may_have_it(shelf: Shelf) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    filler = "and many of the usual words beside it, so that what is its own is little"
    texts = [f"{a_line(chance)} {filler}" if chance.random() < 0.7 else a_line(chance) for _ in range(3 * GROUP)]
    lines = [text.replace("\n", " ").encode("utf-8", "surrogatepass") for text in texts]
    lines[7] = b"the one needle5e1f of it"
    file = sealed(shelf, lines)
    stored = [bytes(line) for (line,) in rows(shelf.folder, "coalesce(raw, encode(line))", tail='ORDER BY "offset"')]
    assert stored == [line.removesuffix(b"\r") for line in lines]
    sidecars = Sidecars(shelf.folder / LAKE)
    fewer = 0
    for query in ["needle5e1f", *(a_query(chance, chance.choice(texts)) for _ in range(60))]:
        node = node_of(query)
        found = sidecars.candidates(file, certain(node))
        if node is None or found is None:
            continue
        fewer += 1
        assert found.rows + sum(end - first for first, end in found.ranges) == len(lines)
        test = Where(node).of(IDENTITY)
        for number, line in enumerate(stored):
            if not any(first <= number < end for first, end in found.ranges):
                assert not (test if isinstance(test, bool) else test(line)), (line, query)
    assert fewer
    needle = sidecars.candidates(file, certain(node_of("needle5e1f")))
    assert needle is not None
    assert (needle.ranges[0][0], needle.rows > 0, needle.raw_bytes > 0) == (0, True, True)


@pytest.mark.usefixtures("small")
def test_a_token_that_is_nowhere_leaves_no_rows_and_what_is_skipped_is_counted(shelf: Shelf) -> None:
    lines = [b"line %d of it, with words that all of them have" % number for number in range(3 * GROUP)]
    lines[GROUP + 5] += b" onlyhere"
    file = sealed(shelf, lines)
    sidecars = Sidecars(shelf.folder / LAKE)
    assert sidecars.candidates(file, Has(b"nowhere")) == Candidates((), file.rows, file.raw_bytes)
    found = sidecars.candidates(file, Has(b"onlyhere"))
    assert found is not None
    ((first, end),) = found.ranges
    assert first <= GROUP + 5 < end
    assert found.rows == file.rows - (end - first)
    assert found.raw_bytes == file.raw_bytes - sum(len(line) + 1 for line in lines[first:end])
    assert sidecars.candidates(file, Has(b"words")) is None
    assert sidecars.candidates(file, None) is None


def test_without_filters_and_with_wrong_ones_all_rows_are_read(shelf: Shelf) -> None:
    file = sealed(shelf, [b"a line"])
    beside = shelf.folder / LAKE / f"{file.name}.tokens"
    whole = beside.read_bytes()
    assert Sidecars(shelf.folder / LAKE).candidates(file, Has(b"nowhere")) == Candidates((), 1, 7)
    for content in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b"", whole + b"\0"):
        beside.write_bytes(content)
        assert Sidecars(shelf.folder / LAKE).candidates(file, Has(b"nowhere")) is None
    beside.unlink()
    assert Sidecars(shelf.folder / LAKE).candidates(file, Has(b"nowhere")) is None


def test_a_manifest_of_before_there_were_filters_names_none(shelf: Shelf, tmp_path: Path) -> None:
    sealed(shelf, [b"a line"])
    said = json.loads((shelf.folder / LAKE / MANIFEST).read_text())
    del said["files"][0]["tokens"]
    (tmp_path / "old" / LAKE).mkdir(parents=True)
    (tmp_path / "old" / LAKE / MANIFEST).write_text(json.dumps(said))
    manifest = load(tmp_path / "old")
    assert manifest is not None
    assert manifest.files[0].tokens is None
    assert Sidecars(shelf.folder / LAKE).candidates(manifest.files[0], Has(b"nowhere")) is None
