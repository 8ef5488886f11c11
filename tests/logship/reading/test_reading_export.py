"""``logship export``: what comes out is what went in, and a name appears only with all of it."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from logship.lake.columns import COLUMNS as LAKE
from logship.reading.cells import COLUMNS, Rows
from logship.reading.export import file_names
from logship.values import Loss
from logship.view.fields import FIELDS
from logship.view.journal_reader import Journal
from logship.view.lines import OPEN, TORN
from logship.view.select import identify
from tests.logship.reading.test_reading_logs import logs
from tests.logship.ship.collector import Collector
from tests.logship.ship.spools import INCARNATION, Shipper, Spool
from tests.logship.view.shelf import Shelf
from tests.logship.view.test_view_damage import flip
from tests.logship.view.test_view_digest import sha256
from tests.logship.view.viewing import PATIENCE_SECONDS, TREE, Viewer, environment, eventually

APP = "web/1/app/i"
HTTP = (
    b"10.0.0.9:41000 [23/Nov/2026:20:00:00.123] http app/web-1 0/0/1/7/8 503 512 - - SH-- 3/2/1/0/0 0/0 "
    b"\"GET /a?b='c' HTTP/1.1\"\n"
)


def export(viewer: Viewer, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return logs(viewer, *arguments, command="export")


def content(records: list[dict[str, Any]]) -> dict[str, bytes]:
    """The bytes of each stream, put together from its lines."""
    found: dict[str, bytes] = {}
    for record in records:
        if record["type"] == "line":
            data = base64.b64decode(record["base64"]) if "base64" in record else record["text"].encode()
            assert record["offset"] == len(found.get(record["stream"], b""))
            found[record["stream"]] = found.get(record["stream"], b"") + data + record["end"].encode()
    return found


def noise(chance: random.Random) -> bytes:
    """Bytes of all kinds: lines, none, CR LF, NUL, bad UTF-8, a line of more than 1 MiB."""
    kinds = [
        b"plain line\n", b"\r\n", b"\n\n\n", b"\x00\x01\xff\xfe\n", "zwölf ☃\u2028\n".encode(), b"x" * 1_200_000, b"\r",
    ]  # fmt: skip
    parts = [chance.choice(kinds) if chance.random() < 0.7 else chance.randbytes(chance.randrange(3000))]
    for _ in range(60):
        parts.append(chance.choice(kinds[:5]) if chance.random() < 0.6 else chance.randbytes(chance.randrange(3000)))
    return b"".join([*parts, chance.choice(kinds)])


def test_random_bytes_that_were_shipped_come_out_as_they_were_written(tmp_path: Path) -> None:
    collector, spool = Collector(tmp_path), Spool(tmp_path / "spool")
    viewer = Viewer(tmp_path / "store")
    written = {program: noise(random.Random(program)) for program in ("app", "serf", "haproxy")}
    try:
        for program, data in written.items():
            for at in range(0, len(data), 70_000):
                spool.write(program, data[at : at + 70_000])
        collector.start()
        options = ["--chunk-bytes-max", "65536", "--patience-seconds", "20", "--once"]
        assert Shipper(collector.url, spool.path, options=options).process.wait(60) == 0
        viewer.start()
        streams = {f"webapp/1/{program}/{INCARNATION}": data for program, data in written.items()}

        found = export(
            viewer, "webapp:app", "webapp:serf", "webapp:haproxy", "--format", "raw", "-o", str(tmp_path / "out")
        )
        assert found.returncode == 0, found.stderr
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        assert {one["stream"] for one in manifest["streams"]} == streams.keys()
        for one in manifest["streams"]:
            data = (tmp_path / "out" / one["file"]).read_bytes()
            assert data == streams[one["stream"]]
            assert (one["from"], one["to"], one["bytes"], one["sha256"]) == (0, len(data), len(data), sha256(data))
            assert (one["holes"], one["losses"]) == ([], [])
        one, data = next(iter(streams.items()))
        assert export(viewer, one, "--format", "raw").stdout == data

        found = export(viewer, "webapp:app", "webapp:serf", "webapp:haproxy", "-o", str(tmp_path / "lines"))
        assert found.returncode == 0, found.stderr
        assert content([json.loads(line) for line in (tmp_path / "lines").read_bytes().splitlines()]) == streams
        assert sorted(path.name for path in tmp_path.glob(".*")) == []
    finally:
        viewer.stop()
        collector.kill()
        spool.end()


def test_lines_are_chosen_by_targets_query_and_time(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("ha/1/haproxy/i", HTTP)
    shelf.append("ha/1/supervise/i", b'{"time": "2026-11-23T19:00:00Z", "event": "snapshot"}\n')
    shelf.append(APP, b"2026-11-23T20:00:00Z timeout\n2026-11-23T19:00:00Z fine\n")
    assert len(lines(export(viewer))) == 4  # nothing is hidden
    assert [one["text"] for one in lines(export(viewer, "-q", "timeout"))] == ["2026-11-23T20:00:00Z timeout"]
    assert [one["program"] for one in lines(export(viewer, "ha", "-q", "status:5xx"))] == ["haproxy"]
    assert [one["text"][-4:] for one in lines(export(viewer, "web", "-U", "2026-11-23T19:30:00Z"))] == ["fine"]


def lines(found: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert found.returncode == 0, found.stderr
    return [record for record in map(json.loads, found.stdout.splitlines()) if record["type"] == "line"]


def test_csv_has_the_fields_by_their_names_and_reads_back_cell_by_cell(shelf: Shelf, viewer: Viewer) -> None:
    hostile = ['=cmd|" /C calc"!A0,b', "+1+1", "-2+3", "@SUM(A1)", "\ttab", 'say "x", y', "a\rb", "-17", ""]
    shelf.append("ha/1/haproxy/i", HTTP)
    shelf.append(APP, b"".join(text.encode() + b"\n" for text in hostile) + b"\xff\xfe\n")
    found = export(viewer, "--format", "csv")
    assert found.returncode == 0
    head, first, *rest = list(csv.reader(io.StringIO(found.stdout.decode(), newline="")))
    assert tuple(head) == COLUMNS
    proxied = dict(zip(head, first, strict=True))
    assert (proxied["src"], proxied["kind"], proxied["program"]) == ("ha/1", "haproxy", "haproxy")
    assert (proxied["status"], proxied["t_total"], proxied["t_active"]) == ("503", "", "8")
    assert (proxied["path"], proxied["line"]) == ("/a?b='c'", HTTP.decode().rstrip("\n"))
    said = [dict(zip(head, row, strict=True))["line"] for row in rest]
    assert said == [
        "'=cmd|\" /C calc\"!A0,b", "'+1+1", "'-2+3", "'@SUM(A1)", "'\ttab", 'say "x", y', "a\rb", "-17", "",
        "\ufffd\ufffd",
    ]  # fmt: skip
    assert dict(zip(head, rest[-1], strict=True))["base64"] == base64.b64encode(b"\xff\xfe").decode()
    assert b"5 cells got a '" in found.stderr
    found = export(viewer, "web", "--format", "csv", "--formulas", "--fields", "offset,line")
    rows = list(csv.reader(io.StringIO(found.stdout.decode(), newline="")))
    assert rows[0] == ["offset", "line"]
    assert [row[1] for row in rows[1:-1]] == hostile
    assert found.stderr == b""


def test_parquet_has_the_columns_of_the_lake_and_the_exact_bytes(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    written = {"ha/1/haproxy/i": HTTP * 3, APP: noise(random.Random(9)), "web/2/app/i": b"2026-11-23T20:00:01Z x\nopen"}
    for path, data in written.items():
        for at in range(0, len(data), 300_000):
            shelf.append(path, data[at : at + 300_000], packed=True)
    found = export(viewer, "--format", "parquet", "-o", str(tmp_path / "all"))
    assert found.returncode == 0, found.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "store"] == ["all"]
    names, rows = lake_rows(tmp_path / "all")
    assert names == [(column.name, column.type.value) for column in LAKE]
    assert joined(rows) == written
    (first, *_) = [row for row in rows if row["kind"] == "haproxy"]
    assert (first["status"], first["server"], first["service"], first["instance"]) == (503, "web-1", "ha", "1")
    assert [row["flags"] for row in rows if row["line"] == "open"] == [TORN | OPEN]
    assert str(next(row["ts"] for row in rows if row["line"].endswith(" x"))) == "2026-11-23 20:00:00"  # its receipt
    # No line matches: a file with the columns and no row.
    assert export(viewer, "--format", "parquet", "-q", "nowhere", "-o", str(tmp_path / "none")).returncode == 0
    assert lake_rows(tmp_path / "none") == (names, [])


def test_a_parquet_of_many_parts_is_one_file_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from logship.lake import batch
    from logship.reading import export_parquet

    monkeypatch.setattr(batch, "BATCH_BYTES_MAX", 100)
    monkeypatch.setattr(export_parquet, "PART_BYTES", 1000)
    (tmp_path / "parts").mkdir()
    rows = export_parquet.Table(tmp_path / "parts")
    stamp = {"time": "2026-11-23T20:00:00.000Z", "received": "2026-11-23T20:00:01.250Z", "end": "\n"}
    for number in range(500):
        path = f"web/{number % 3}/app/i"
        line = {"stream": path, "offset": number, "lsn": number, "text": f"line {number}"}
        rows.add({**stamp, **line}, identify(path, {}))
    assert rows.finish(tmp_path / "all") == (tmp_path / "all").stat().st_size
    _, found = lake_rows(tmp_path / "all")
    assert [(row["offset"], row["stream"], row["line"]) for row in found] == [
        (number, f"web/{number % 3}/app/i", f"line {number}") for number in range(500)
    ]
    assert {str(row["received"]) for row in found} == {"2026-11-23 20:00:01.250000"}
    assert len(list((tmp_path / "parts").iterdir())) > 3


def lake_rows(path: Path) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """Columns with their types, and rows, as plain DuckDB reads them."""
    found = duckdb.connect().read_parquet(str(path), hive_partitioning=False)
    names = found.columns
    return list(zip(names, map(str, found.types), strict=True)), [
        dict(zip(names, row, strict=True)) for row in found.fetchall()
    ]


def joined(rows: list[dict[str, Any]]) -> dict[str, bytes]:
    """The exact bytes of each stream, as docs/lake.md says."""
    found: dict[str, bytes] = {}
    for row in rows:
        data = row["line"].encode() if row["raw"] is None else row["raw"]
        assert row["offset"] == len(found.get(row["stream"], b""))
        found[row["stream"]] = found.get(row["stream"], b"") + data + row["terminator"].encode()
    return found


def test_every_field_of_the_language_that_is_no_streams_is_a_column() -> None:
    assert {name for name, each in FIELDS.items() if not each.of_stream} <= set(COLUMNS)
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_a_column_may_be_a_key_of_json() -> None:
    out = io.StringIO()
    rows = Rows(out, ["json.user.id", "json.ok", "level"], formulas=False)
    text = '{"user": {"id": 7}, "ok": true, "level": "warning"}'
    rows.line({"time": "", "stream": APP, "offset": 0, "text": text}, identify(APP, {}))
    assert out.getvalue() == "7,true,warning\r\n"


def test_file_names_never_meet() -> None:
    assert file_names(["a/b", "a/b.bytes/c", "a/b/c"]) == {
        "a/b": "a/b.bytes@", "a/b.bytes/c": "a/b.bytes/c.bytes", "a/b/c": "a/b/c.bytes",
    }  # fmt: skip


def test_damage_is_left_out_named_and_told_by_the_status(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    shelf.append(APP, b"before\n")
    lsn = shelf.append(APP, b"damaged\n")
    shelf.append(APP, b"behind\n")
    shelf.lose(Loss("x", APP, 22, 5, reason="over budget"))
    flip(shelf, Journal(shelf.folder).frame(lsn).body_lsn)
    found = export(viewer, "--format", "raw", "-o", str(tmp_path / "out"))
    assert found.returncode == 3
    assert b"damaged in the store or cannot be read there: " in found.stderr
    assert b"1 losses are recorded" in found.stderr
    (entry,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["streams"]
    assert (tmp_path / "out" / entry["file"]).read_bytes() == b"before\nbehind\n"
    assert [(hole["from"], hole["to"], hole["what"]) for hole in entry["holes"]] == [(7, 15, "damaged")]
    assert entry["sha256"] == sha256(b"before\nbehind\n")
    assert [loss["id"] for loss in entry["losses"]] == ["x"]
    found = export(viewer)
    assert found.returncode == 3
    marks = [record for record in map(json.loads, found.stdout.splitlines()) if record["type"] == "mark"]
    assert [(mark["what"], mark["offset"]) for mark in marks] == [("damage", 7), ("loss", 22)]
    assert export(viewer, "--format", "csv").returncode == 3


def test_a_file_that_is_there_is_replaced_whole_and_a_folder_is_not(
    shelf: Shelf, viewer: Viewer, tmp_path: Path
) -> None:
    shelf.append(APP, b"new\n")
    path = tmp_path / "out"
    path.write_text("old\n")
    assert export(viewer, "-o", str(path)).returncode == 0
    assert len(path.read_bytes().splitlines()) == 1
    found = export(viewer, "--format", "raw", "-o", str(path))
    assert (found.returncode, b"it is there already" in found.stderr) == (2, True)
    assert export(viewer, "-o", "/dev/null").returncode == 0
    assert not Path("/dev/null").is_file()


def test_a_full_disk_leaves_nothing_under_the_name(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    """The limit of a file's size stands for it: the write fails in the same way, in the middle."""
    for _ in range(10):
        shelf.append(APP, os.urandom(100_000))
    (tmp_path / "lines").write_text("the old ones\n")
    for name, form in (("folder", "raw"), ("lines", "jsonl"), ("table", "csv"), ("lake", "parquet")):
        words = f"ulimit -f 400; exec {sys.executable} -m logship export --format {form} -o {tmp_path / name}"
        found = subprocess.run(
            ["bash", "-c", words], cwd=TREE, env={**environment(), "LOGSHIP_URL": viewer.url},
            capture_output=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        assert found.returncode == 1
        assert b"File too large" in found.stderr
        assert b"nothing is left under that name" in found.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "store") == ["lines"]
    assert (tmp_path / "lines").read_text() == "the old ones\n"


@contextmanager
def stuck_viewer(*, ends: bool) -> Iterator[str]:
    """A viewer that gives two lines and then nothing, or goes away."""
    line = {"type": "line", "time": "2026-11-23T20:00:00.000Z", "stream": APP, "offset": 0, "place": "web/1"}
    record = json.dumps({**line, "program": "app", "lsn": 1, "text": "x", "end": "\n"}).encode() + b"\n"
    body = b'{"type":"begin","at":"9"}\n' + record * 2
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(head + b"%x\r\n" % len(body) + body + b"\r\n")
                if not ends:
                    over.wait(PATIENCE_SECONDS)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join(PATIENCE_SECONDS)


def test_ctrl_c_and_a_viewer_that_goes_away_leave_nothing_under_the_name(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "logship", "export", "-o", str(tmp_path / "lines")]
    with stuck_viewer(ends=False) as url:
        process = subprocess.Popen([*words, "--url", url], cwd=TREE, env=environment(), stderr=subprocess.PIPE)
        eventually(lambda: any(tmp_path.iterdir()), "it has begun")
        time.sleep(0.2)
        assert [path.name for path in tmp_path.iterdir()] == [f".lines.{process.pid}.part"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert (process.returncode, said) == (130, b"")
    assert list(tmp_path.iterdir()) == []
    with stuck_viewer(ends=True) as url:
        found = subprocess.run([*words, "--url", url], cwd=TREE, env=environment(), capture_output=True, check=False)
    assert (found.returncode, b"after 2 lines" in found.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_answered_is_said(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    shelf.append(APP, b"x\n")
    shelf.append("web/2/app/i", b"x\n")
    for arguments, status, said in (
        (["--format", "raw"], 2, "2 streams do not go to one standard output"),
        (["--format", "raw", "-q", "x"], 2, "it gives whole streams"),
        (["--fields", "line"], 2, "are for csv"),
        (["--format", "parquet"], 2, "-o FILE"),
        (["--format", "parquet", "-o", "/dev/null"], 2, "no plain file"),
        (["--format", "csv", "--fields", "lines"], 2, "did you mean line?"),
        (["web/9"], 2, "no stream is meant"),
        (["-q", "a ("], 2, "parenthesis"),
        (["-o", str(tmp_path / "no" / "such")], 1, "No such file"),
        (["-o", str(tmp_path)], 2, "it is a folder"),
        (["--url", "http://127.0.0.1:9"], 4, "cannot reach the viewer"),
    ):
        found = export(viewer, *arguments)
        assert (found.returncode, found.stdout) == (status, b""), (arguments, found)
        assert said in found.stderr.decode(), arguments


@pytest.mark.parametrize("form", ["raw", "csv"])
def test_bytes_are_not_written_to_a_terminal(shelf: Shelf, viewer: Viewer, form: str) -> None:
    shelf.append(APP, b"\x1b[31mred\n")
    master, slave = os.openpty()
    try:
        found = subprocess.run(
            [sys.executable, "-m", "logship", "export", "--format", form], cwd=TREE,
            env={**environment(), "LOGSHIP_URL": viewer.url}, stdout=slave, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    assert (found.returncode, b"would command this terminal" in found.stderr) == (2, True)
