"""``logship fsck`` holds each file of the lake against the manifest, with the filters beside it, and writes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logship.cli import main
from logship.collect.folder import DURABLE
from logship.lake.folder import LAKE, MANIFEST, beside
from logship.lake.fsck import LakeCheck, Part
from logship.lake.keep import Policy
from logship.view.journal_reader import Journal
from tests.logship.lake.lakes import seal
from tests.logship.view.shelf import Shelf

APP = "web/1/app/i"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two files, and a line without an end."""
    shelf = Shelf(tmp_path / "store")
    for number in range(2):
        shelf.append(APP, b"a line with words that are long enough, %d\n" % number)
        shelf.append("web/2/app/i", b"no end")
        shelf.rotate()
    shelf.append(APP, b"not sealed\n")
    seal(shelf.folder)
    shelf.close()
    return shelf.folder


def fsck(store: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    """Status, the records of the lake's files, the last record; the store is as before."""
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    capsys.readouterr()  # what was sealed
    status = main(["fsck", "--store", str(store), "-o", "json"], {})
    *found, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    return status, [one for one in found if "file" in one], last


def text(store: Path, capsys: pytest.CaptureFixture[str]) -> str:
    main(["fsck", "--store", str(store)], {})
    return capsys.readouterr().out


def files(store: Path) -> list[Path]:
    return sorted((store / LAKE).rglob("*.parquet"))


def name(store: Path, path: Path) -> str:
    return str(path.relative_to(store))


def edit(store: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Another manifest than was published."""
    path = store / LAKE / MANIFEST
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))


def test_a_good_lake_is_ok_file_by_file(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found, last = fsck(store, capsys)
    assert status == 0
    assert [one["verdict"] for one in found] == ["ok"] * 4
    unended = sorted((store / LAKE).glob("unended-*"))[-1]
    assert [one["file"] for one in found] == [
        f"{LAKE}/{MANIFEST}", *(name(store, path) for path in files(store)), name(store, unended),
    ]  # fmt: skip
    assert [one["notes"] for one in found] == [[]] * 4
    assert (last["lake"]["files"], last["lake"]["rows"], last["lake"]["damaged"]) == (2, 2, 0)
    assert "lake: 2 files, 2 rows, " in text(store, capsys)


def test_a_store_without_a_lake_says_nothing_of_one(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(store / LAKE)
    status, found, last = fsck(store, capsys)
    assert (status, found, last["lake"]) == (0, [], None)


def test_filters_that_are_missing_are_said_and_no_damage(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = files(store)[0]
    beside(first).unlink()

    def drop(said: dict[str, Any]) -> None:
        said["files"][1]["tokens"] = None

    edit(store, drop)
    status, found, _ = fsck(store, capsys)
    assert (status, [one["verdict"] for one in found]) == (0, ["ok"] * 4)
    missing = f"{name(store, first)}.tokens is missing"
    assert found[1]["notes"] == [f"no filters ({missing}): searches read all its rows, none is missed"]
    assert found[2]["notes"] == ["no filters (none were made): searches read all its rows, none is missed"]


def test_filters_that_are_damaged_are_named_with_what_to_do(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = beside(files(store)[0])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    status, found, last = fsck(store, capsys)
    assert (status, [one["verdict"] for one in found]) == (1, ["ok", "damaged", "ok", "ok"])
    assert found[1]["damage"] == [
        f"its filters, {name(store, path)}: it is not what was written: its digest is another one"
    ]
    assert (found[1]["lost"], last["lake"]["damaged"]) == ([], 1)
    assert last["lake"]["advice"] == [
        f"remove {name(store, path)}: searches do not believe it, and read all rows of its file; none is missed"
    ]
    path.unlink()  # what it says
    assert fsck(store, capsys)[0] == 0


@pytest.mark.parametrize("how", ["flipped", "short", "gone"])
def test_a_file_that_is_damaged_is_named_with_what_it_costs(
    store: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    path = files(store)[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content if how == "flipped" else content[:-1])
    status, found, last = fsck(store, capsys)
    assert (status, [one["verdict"] for one in found]) == (1, ["ok", "ok", "damaged", "ok"])
    assert [(one["stream"], one["end"] - one["start"]) for one in found[2]["lost"]] == [(APP, 42)]
    assert "the journal has all that is sealed" in last["lake"]["advice"][0]
    shown = text(store, capsys)
    assert f"damaged {name(store, path)}" in shown
    assert f"unreadable: {APP} offsets 42 to 84" in shown


def test_what_is_advised_while_the_journal_has_all_works(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files(store)[0].write_bytes(b"this is none")
    assert fsck(store, capsys)[0] == 1
    shutil.move(store / LAKE, store.parent / "away")
    seal(store)
    status, found, _ = fsck(store, capsys)
    assert (status, len(found)) == (0, 4)


def test_what_the_journal_has_let_go_of_is_to_be_brought_back(store: Path) -> None:
    files(store)[0].unlink()
    parts = [*LakeCheck(store, Journal(store).segments()[1], Journal(store).durable()).run()]
    (advice,) = [advice for part in parts for advice in part.advice]
    assert advice.startswith(f"bring {name(store, store / LAKE)}/day=")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda said: said.update(sealed_end=10_000_000), "it is another store's: sealed up to LSN 10000000"),
        (lambda said: said["files"].reverse(), "begins before the file ends that is before it"),
        (lambda said: said["files"].append(said["files"][-1]), "a file is named twice"),
        (lambda said: said["files"][0].update(end_lsn=1), "does not have the name of LSNs"),
        (lambda said: said["files"][0]["streams"].update({APP: [5, 1]}), "a stream that ends before it begins"),
        (lambda said: said["leaving"].append({"name": said["files"][0]["name"], "time_ms": 0}), "on its way out"),
    ],
)
def test_a_manifest_that_does_not_agree_with_itself_is_damage(
    store: Path, capsys: pytest.CaptureFixture[str], change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    edit(store, change)
    status, found, _ = fsck(store, capsys)
    assert (status, found[0]["verdict"]) == (1, "damaged")
    assert any(said in reason for reason in found[0]["damage"]), found[0]["damage"]


def test_rows_that_are_not_as_many_as_the_filters_have_are_damage(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(store, lambda said: said["files"][0].update(rows=7))
    status, found, _ = fsck(store, capsys)
    assert (status, found[1]["verdict"]) == (1, "damaged")
    assert "another number of rows" in found[1]["damage"][0]


@pytest.mark.parametrize("content", [b"this is none", None])
def test_a_manifest_that_cannot_be_read_or_is_not_there_is_damage(
    store: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    path = store / LAKE / MANIFEST
    path.unlink() if content is None else path.write_bytes(content)
    status, found, last = fsck(store, capsys)
    assert (status, [one["verdict"] for one in found]) == (1, ["damaged"])
    assert f"{LAKE}/{MANIFEST}" in last["lake"]["advice"][0]


def test_lines_without_an_end_that_are_not_what_was_written_are_damage(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sorted((store / LAKE).glob("unended-*"))[-1].write_bytes(b"this is none")
    status, found, _ = fsck(store, capsys)
    assert (status, [one["verdict"] for one in found]) == (1, ["ok", "ok", "ok", "damaged"])


def test_a_file_that_the_manifest_does_not_name_is_only_said(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = files(store)[0]
    shutil.copy(first, first.with_name(f"{0:020}-{1:020}.parquet"))
    status, found, _ = fsck(store, capsys)
    assert (status, found[-1]["verdict"]) == (0, "ok")
    assert "does not name it" in found[-1]["notes"][0]


def test_a_file_that_retention_takes_during_the_check_is_no_damage(store: Path) -> None:
    check = LakeCheck(store, 0, Journal(store).durable()).run()
    found: list[Part] = [next(check)]
    for path in files(store):
        path.unlink()
    seal(store, Policy(bytes=1))
    found += check
    assert [part.verdict for part in found] == ["ok", "gone", "gone", "ok"]
    assert (store / DURABLE).exists()
