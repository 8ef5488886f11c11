"""Lakes for tests: sealed in this process, and read by plain DuckDB as docs/lake.md says."""

from __future__ import annotations

import builtins
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from logship.collect.log import Log
from logship.lake.folder import LAKE, Folder
from logship.lake.keep import Policy
from logship.lake.manifest import Manifest
from logship.lake.run import Plan, Sealing
from logship.view.journal_reader import Journal
from tests.logship.view.shelf import BORN_MS


@dataclass
class Sealed:
    """What a run said and left."""

    manifest: Manifest
    said: list[dict[str, Any]]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of its log with that event."""
        return [line for line in self.said if line["event"] == name]


def seal(
    store: Path,
    policy: Policy | None = None,
    now_ms: Callable[[], int] = lambda: BORN_MS,
    *,
    free_min: int = 0,
    once: bool = True,
    stop: threading.Event | None = None,
) -> Sealed:
    """`logship seal --once`, in this process. Raises Fault."""
    out = io.StringIO()
    folder = Folder(store)
    try:
        plan = Plan(store, policy or Policy(), free_min, once)
        sealing = Sealing(plan, Journal(store), folder, Log(out), stop or threading.Event(), now_ms)
        sealing.run()
    finally:
        folder.close()
    return Sealed(sealing.sealer.manifest, [json.loads(line) for line in out.getvalue().splitlines()])


def rows(store: Path, select: str = "*", *, tail: str = 'ORDER BY stream, "offset", lsn') -> list[tuple[Any, ...]]:
    """What plain DuckDB reads of the files that the manifest names."""
    files = [
        str(store / LAKE / file["name"]) for file in json.loads((store / LAKE / "manifest.json").read_text())["files"]
    ]
    if not files:
        return []
    query = f"SELECT {select} FROM read_parquet(?, hive_partitioning = false) {tail}"
    return duckdb.connect().execute(query, [files]).fetchall()


EXACT = "coalesce(raw, encode(line)) || encode(terminator)"


def rebuilt(store: Path) -> Iterator[tuple[str, int, bytes]]:
    """The bytes of each line, by stream and offset."""
    for stream, offset, data in rows(store, f'stream, "offset", {EXACT}'):
        yield stream, offset, bytes(data)


def without_duckdb(patch: pytest.MonkeyPatch) -> None:
    """As on a machine where it is not installed."""
    really = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "duckdb":
            raise ImportError(name)
        return really(name, *rest)

    patch.setattr(builtins, "__import__", refuse)
