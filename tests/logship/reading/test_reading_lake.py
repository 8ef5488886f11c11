"""What retention took from the journal is exported and verified out of the lake, through the seam, to the byte."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from logship.lake.keep import Policy
from logship.view.journal_reader import Journal
from tests.logship.lake.lakes import seal
from tests.logship.reading.test_reading_export import content, export, joined, lake_rows, noise
from tests.logship.reading.test_reading_verify import ORIGIN, records, verify
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_digest import sha256
from tests.logship.view.viewing import Viewer

APP = "web/1/app/i"
OTHER = "web/1/serf/i"


@pytest.fixture
def written(shelf: Shelf) -> dict[str, bytes]:
    """Bytes of all kinds over many segments that are sealed; the journal keeps the newest two."""
    streams = {path: noise(random.Random(path)) + b"\nbegun in one, " for path in (APP, OTHER)}
    for path in streams:
        shelf.create(path, ORIGIN.source_text(None, 0, ""))
    for number in range(6):
        for path, data in streams.items():
            part = -(-len(data) // 6)
            shelf.append(path, data[number * part : (number + 1) * part], packed=number % 2 == 0)
        shelf.rotate()
    for path in streams:
        shelf.append(path, b"ended in another\nand no end")
        streams[path] += b"ended in another\nand no end"
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(len(Journal(shelf.folder).segments()) - 2)
    for path in streams:
        shelf.append(path, b"", closes=True)
    return streams


def test_what_was_written_is_exported_in_every_form(
    shelf: Shelf, viewer: Viewer, written: dict[str, bytes], tmp_path: Path
) -> None:
    assert shelf.disk.segments[0].lsn > 0
    found = export(viewer, "--format", "raw", "-o", str(tmp_path / "raw"))
    assert found.returncode == 0, found.stderr
    for entry in json.loads((tmp_path / "raw" / "manifest.json").read_text())["streams"]:
        data = written[entry["stream"]]
        assert (tmp_path / "raw" / entry["file"]).read_bytes() == data
        assert (entry["from"], entry["to"], entry["sha256"], entry["holes"]) == (0, len(data), sha256(data), [])
    found = export(viewer, "-o", str(tmp_path / "lines"))
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in (tmp_path / "lines").read_bytes().splitlines()]
    assert content(lines) == written
    assert not any("cut" in record.get("flags", ()) for record in lines)
    found = export(viewer, "--format", "parquet", "-o", str(tmp_path / "parquet"))
    assert found.returncode == 0, found.stderr
    assert joined(lake_rows(tmp_path / "parquet")[1]) == written
    found = export(viewer, "--format", "csv", "-o", str(tmp_path / "csv"), "--fields", "stream,offset")
    assert found.stderr.startswith(
        b"logship export: %s lines" % f"{sum(one['type'] == 'line' for one in lines):,}".encode()
    )


def test_a_file_is_held_against_the_lake_and_the_journal_together(
    viewer: Viewer, written: dict[str, bytes], tmp_path: Path
) -> None:
    data = written[APP]
    path = tmp_path / "app.log"
    path.write_bytes(data)
    status, (proof,) = records(viewer, APP, "--file", str(path))
    assert (status, proof["verdict"], proof["compared"]) == (0, "identical", len(data))
    assert (proof["sha256"], proof["notes"], proof["not_kept"]) == (sha256(data), [], 0)
    at = len(data) // 2  # in a file of the lake
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    status, (proof,) = records(viewer, APP, "--file", str(path))
    assert (status, proof["difference"]["offset"]) == (1, at)
    status, found = records(viewer)
    assert status == 0
    assert {one["stream"]: (one["verdict"], one["from"], one["sha256"]) for one in found} == {
        stream: ("sound", 0, sha256(content)) for stream, content in written.items()
    }


def test_what_the_lake_has_lost_is_named_by_verify_and_by_export(
    shelf: Shelf, viewer: Viewer, written: dict[str, bytes], tmp_path: Path
) -> None:
    spoiled = sorted((shelf.folder / "lake").rglob("*.parquet"))[1]
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    status, found = records(viewer, APP)
    ((hole,),) = [one["holes"] for one in found]
    assert (status, found[0]["verdict"], found[0]["damages"], hole["what"]) == (1, "damaged", 1, "damage")
    assert "is not what was written" in hole["text"]
    assert verify(viewer, APP).returncode == 1
    result = export(viewer, APP, "--format", "raw", "-o", str(tmp_path / "raw"))
    assert result.returncode == 3
    data, low, high = written[APP], hole["from"], hole["to"]
    (name,) = (tmp_path / "raw").rglob("*.bytes")
    assert name.read_bytes() == data[:low] + data[high:]
    assert low < high < len(data)


def test_what_retention_took_from_the_lake_too_counts_as_not_kept(
    shelf: Shelf, viewer: Viewer, written: dict[str, bytes], tmp_path: Path
) -> None:
    size = sum(path.stat().st_size for path in shelf.folder.glob("lake/day=*/*"))
    seal(shelf.folder, Policy(bytes=size - 1))  # the oldest file goes
    path = tmp_path / "app.log"
    path.write_bytes(written[APP])
    status, (proof,) = records(viewer, APP, "--file", str(path))
    first = _listed(viewer)["first_offset"]
    assert 0 < first < len(written[APP]) // 2
    assert (status, proof["not_kept"], proof["compared"]) == (0, first, len(written[APP]) - first)
    status, (found,) = records(viewer, APP)
    assert (status, found["from"], found["sha256"]) == (0, first, sha256(written[APP][first:]))
    assert export(viewer, APP, "--format", "raw").stdout == written[APP][first:]


def _listed(viewer: Viewer) -> dict[str, Any]:
    found: list[dict[str, Any]] = viewer.records(f"/v1/streams?prefix={APP}")
    return found[0]
