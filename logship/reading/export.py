"""Run: what is stored goes out into files: whole streams as their exact bytes, or lines as JSON or CSV.

Left to others: names that appear when a file is whole (``whole``), rows (``cells``), the command (``export_cli``).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from logship.errors import USAGE, Fault
from logship.reading.cells import Rows
from logship.reading.client import Broken, Client, Lost, Record
from logship.reading.verify import digests
from logship.view.select import Identity, identify

MANIFEST = "manifest.json"
SUFFIX = ".bytes"
ONE_STEP = 1 << 50
TEXT_BYTES = 1 << 20
"""So much text of a CSV is held before it is written."""

Tell = Callable[[int], None]


@dataclass(slots=True)
class Found:
    """What an export met: ``damages`` could not be read, ``losses`` stand in the ledger at their places."""

    lines: int = 0
    bytes: int = 0
    damages: list[str] = field(default_factory=list)
    losses: int = 0
    neutralised: int = 0


def stream_bytes(client: Client, listing: Record, out: BinaryIO, tell: Tell) -> Record:
    """Write all that is kept of a stream; its entry in a manifest. Raises Fault where it is not what is stored."""
    path, start, end = listing["stream"], listing["first_offset"], listing["next_offset"]
    digest, holes, at, written = hashlib.sha256(), [], start, 0
    while at < end:
        before = at
        try:
            for data in client.body("/api/bytes", [("stream", path), ("from", str(at)), ("to", str(end))]):
                out.write(data)
                digest.update(data)
                at += len(data)
                written += len(data)
                tell(len(data))
        except Broken as broken:
            holes.append({"from": at, "to": broken.end, "what": broken.what, "text": str(broken)})
            at = max(at, broken.end)
        except Lost as lost:
            raise Fault("read from the viewer at", client.url, str(lost), "ask again") from None
        if at == before:
            raise Fault("export", path, f"the viewer gives nothing at offset {at}", "ask again")
    *_, total = digests(client, path, start, end, ONE_STEP)
    if total["sha256"] != digest.hexdigest():
        raise Fault("export", path, "what came is not what the viewer's digest says is stored", "ask again")
    return {
        "stream": path, "from": start, "to": end, "bytes": written, "sha256": total["sha256"], "holes": holes,
        "closed": listing["closed"], "source": listing["source"], "losses": total["losses"],
    }  # fmt: skip


def file_names(paths: Sequence[str]) -> dict[str, str]:
    """A relative file name for each stream; a stream's path may be the folder of another's."""
    folders = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
    return {path: path + SUFFIX + ("@" if path + SUFFIX in folders else "") for path in paths}


def streams(client: Client, listings: Sequence[Record], folder: Path, asked: Any, tell: Tell) -> Found:
    """A file a stream in ``folder``, and the manifest."""
    names = file_names([listing["stream"] for listing in listings])
    entries, found = [], Found()
    for listing in listings:
        path = folder / names[listing["stream"]]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            entry = stream_bytes(client, listing, file, tell)
        entries.append({**entry, "file": names[listing["stream"]]})
        _note(found, entry)
    manifest = {"v": 1, "url": client.url, "asked": asked, "streams": entries}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="ascii")
    return found


def stream(client: Client, listing: Record, out: BinaryIO, tell: Tell) -> Found:
    """One stream alone."""
    found = Found()
    _note(found, stream_bytes(client, listing, out, tell))
    return found


def _note(found: Found, entry: Record) -> None:
    found.bytes += entry["bytes"]
    found.losses += len(entry["losses"])
    found.damages += [hole["text"] for hole in entry["holes"] if hole["what"] != "not-kept"]


def json_lines(
    client: Client, asked: Sequence[tuple[str, str]], out: BinaryIO, tell: Tell, *, terminal: bool = False
) -> Found:
    """Lines, and losses and damage between them, a record each, with the exact bytes; nothing commands a terminal."""
    found = Found()
    for record in lines(client, asked, found):
        data = json.dumps(record, ensure_ascii=terminal, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        out.write(data)
        found.bytes += len(data)
        tell(1)
    return found


def columns(
    client: Client, asked: Sequence[tuple[str, str]], kinds: Mapping[str, Identity], folder: Path, out: Path, tell: Tell
) -> Found:
    """Lines as a Parquet file with the columns of the lake; ``folder`` takes what is in the making. Raises Fault."""
    try:
        from logship.reading.export_parquet import Table  # here: it loads an engine
    except ImportError as error:
        hint = "pip install duckdb nanoarrow, or take another --format"
        raise Fault("write", "parquet", f"{error.name} is not installed", hint, USAGE) from None
    found = Found()
    rows = Table(folder)
    known: dict[str, Identity] = {}
    for record in lines(client, asked, found):
        if record["type"] == "line":
            path = record["stream"]
            if path not in known:
                known[path] = kinds.get(path) or identify(path, {})
            rows.add(record, known[path])
            tell(1)
    found.bytes = rows.finish(out)
    return found


def table(
    client: Client,
    asked: Sequence[tuple[str, str]],
    names: Sequence[str],
    kinds: Mapping[str, Identity],
    out: BinaryIO,
    tell: Tell,
    *,
    formulas: bool,
) -> Found:
    """Lines as rows of CSV."""
    found, text = Found(), io.StringIO(newline="")
    rows = Rows(text, names, formulas=formulas)
    rows.head()
    for record in lines(client, asked, found):
        if record["type"] == "line":
            path = record["stream"]
            rows.line(record, kinds.get(path) or identify(path, {}))
            tell(1)
        if text.tell() >= TEXT_BYTES:
            _flush(text, out, found)
    _flush(text, out, found)
    found.neutralised = rows.neutralised
    return found


def _flush(text: io.StringIO, out: BinaryIO, found: Found) -> None:
    data = text.getvalue().encode("utf-8", "surrogatepass")
    text.seek(0)
    text.truncate()
    out.write(data)
    found.bytes += len(data)


def lines(client: Client, asked: Sequence[tuple[str, str]], found: Found) -> Iterator[Record]:
    """The lines and marks of a reading that ends. Raises Fault."""
    answered = ended = False
    try:
        for record in client.records("/api/logs", asked):
            answered = True
            kind = None if record is None else record["type"]
            if record is None:
                continue
            if kind == "error":
                raise Fault("read on after", f"{found.lines:,} lines", record["text"])
            ended = ended or kind == "cursor"
            if kind == "line":
                found.lines += 1
            elif kind == "mark":
                found.losses += record["what"] == "loss"
                found.damages += [record["text"]] if record["what"] == "damage" else []
            else:
                continue
            yield record
        if not ended:
            raise Lost("the answer was cut off")
    except Lost as lost:
        if not answered:
            raise client.unreachable(str(lost)) from None
        text = f"{lost}, after {found.lines:,} lines"
        raise Fault("read from the viewer at", client.url, text, "ask again") from None
