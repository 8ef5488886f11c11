"""The viewer that is measured, asked over HTTP, and those it is compared with, as processes: how long each takes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb

from bench.intake import TREE, process, said
from bench.packages import unpacked

ANSWER_SECONDS = 600
_PIECE = 1 << 16


class WrongAnswer(Exception):
    """Two that were asked the same do not say the same: no time of such a run means anything."""


@dataclass(frozen=True)
class Answer:
    """Records of the viewer; seconds until the last byte, and until the first line or row (None: there was none)."""

    records: list[dict[str, Any]]
    seconds: float
    first_seconds: float | None

    def texts(self) -> list[bytes]:
        """The lines, in bytes."""
        return [record["text"].encode() for record in self.records if record["type"] == "line"]

    def rows(self) -> list[list[Any]]:
        """Of the finished table."""
        found: list[list[Any]] = []
        for record in self.records:
            if record["type"] == "rows" or (record["type"] == "table" and not record["partial"]):
                found += record["rows"]
        return found


class Viewer:
    """A `logship view`. Each question has a connection of its own: a kept one is closed while others are asked."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self._port = port

    def ask(self, path: str, **parameters: str) -> Answer:
        """One question. Raises WrongAnswer when it is not answered whole."""
        parts, first, tail = [], None, b""
        begun = time.perf_counter()
        with self._get(f"{path}?{urlencode(parameters)}") as answer:
            while piece := answer.read1(_PIECE):
                parts.append(piece)
                if first is None:
                    if any(sign in tail + piece for sign in _FIRST):
                        first = time.perf_counter() - begun
                    tail = piece[-_SIGN_BYTES:]
            seconds = time.perf_counter() - begun
            status = answer.status
        body = b"".join(parts)
        if status != 200:
            raise WrongAnswer(f"{path} {parameters}: {status} {body[:300]!r}")
        records = [json.loads(line) for line in body.splitlines() if line]
        for record in records:
            if record["type"] == "error" or record.get("what") == "damage":
                raise WrongAnswer(f"{path} {parameters}: {record}")
        if not records or records[-1]["type"] != "cursor":
            raise WrongAnswer(f"{path} {parameters}: the answer has no end")
        return Answer(records, seconds, first)

    def wait(self) -> None:
        """Until it has read what there is."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            with self._get("/v1/streams") as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise WrongAnswer("the viewer does not come to an end with reading the journal")

    @contextlib.contextmanager
    def _get(self, target: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", target)
            yield connection.getresponse()


_FIRST = b'"type":"line"', b'"type":"table"'
_SIGN_BYTES = 16


@contextlib.contextmanager
def viewer(store: Path) -> Iterator[Viewer]:
    """A process of its own on this store, warm."""
    with process("logship", "view", "--store", str(store), "--listen", "127.0.0.1:0") as started:
        port = int(said(started).partition(",")[0].rpartition(":")[2])
        found = Viewer(started.pid, port)
        found.wait()
        yield found


def timed(words: Sequence[str]) -> tuple[bytes, float]:
    """Output of a program, and seconds; one that finds nothing is none that fails."""
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode > 1 or (done.returncode and done.stderr):
        raise WrongAnswer(f"{' '.join(words)[:200]}: {done.stderr.decode(errors='replace')[:300]}")
    return done.stdout, seconds


class Plain:
    """DuckDB over the files of the lake, with nothing of ours: two threads, as the machine has."""

    def __init__(self, files: Sequence[str]) -> None:
        self._connection = duckdb.connect(config={"threads": 2, "autoload_known_extensions": False})
        self._connection.execute("SET enable_progress_bar = false")
        self._connection.read_parquet(list(files), hive_partitioning=False).create_view("lines")

    def ask(self, query: str) -> tuple[list[Any], float]:
        """Rows, and seconds."""
        begun = time.perf_counter()
        rows = self._connection.execute(query).fetchall()
        return rows, time.perf_counter() - begun


def ripgrep() -> str:
    """Where it is: on the path, else Debian's, unpacked below build/ with the zstd that it runs. Raises Unavailable."""
    if not (shutil.which("rg") and shutil.which("zstd")):
        cache = TREE / "build" / "peers"
        cache.mkdir(parents=True, exist_ok=True)
        folder = unpacked("ripgrep", ("ripgrep", "zstd"), cache).folder / "usr" / "bin"
        os.environ["PATH"] += f"{os.pathsep}{folder}"
    return str(shutil.which("rg"))


def versions(program: str) -> str:
    """Of those that are compared."""
    first = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    awk = Path(shutil.which("awk") or "awk").resolve().name
    return f"{first}, {awk}, duckdb {duckdb.__version__}, {sys.implementation.name} {sys.version.split()[0]}"
