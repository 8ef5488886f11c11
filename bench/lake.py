"""How fast `logship seal` makes Parquet of a journal, verification included, beside plain DuckDB writing the same file.

    python -m bench.lake [--mib 256] [--rounds 3]

Plain DuckDB is given the lines ready cut, with address and times, as Arrow in memory; it takes HAProxy's lines apart
and writes. seal finds and checks the journal's frames, cuts lines, finds times, writes, syncs, reads back and compares.
Both on one thread, by CPU time, in one round. Exit status: 1 when a target is missed; docs/performance.md has what came
out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import nanoarrow
from nanoarrow.c_array_stream import CArrayStream

from bench.given import a_folder, a_time, at_least, ended_by_signals
from bench.intake import TREE
from bench.machine import MIB, WAIT_HELP, Neighbours, described, own_cpu_seconds, wait_for_quiet
from logship import zstd
from logship.collect.admission import Admitted
from logship.collect.commit import first_frame
from logship.collect.disk import Disk
from logship.collect.draft import Draft
from logship.collect.journal import ZSTD, Entry, Kind
from logship.collect.state import State
from logship.lake.columns import COLUMNS, TYPED, Type
from logship.lake.folder import LAKE, load
from logship.lake.parquet import OPTIONS
from logship.lake.regular import FORM, TIMERS, VALUES, WORDS
from logship.values import StreamPath

RATIO_MIN = 0.40
MEMORY_MIB_MAX = 512
STORED_MAX = 0.40
SEGMENT_BYTES = 64 * MIB
BORN_MS = 1_795_464_000_000
STREAMS = ("ha/1/haproxy/i", "ha/2/haproxy/i", "web/1/serf/i", "web/2/serf/i")
_BASE = [column for column in COLUMNS if column not in TYPED]


def a_line(chance: random.Random, stream: str, now_ms: int, number: int) -> bytes:
    """As HAProxy writes it here, or a Serf agent."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    bits = chance.getrandbits(62)
    if "/serf/" in stream:
        return f"    {moment:%Y/%m/%d %H:%M:%S} [INFO] serf: EventMemberJoin: {bits:016x} 172.28.0.9\n".encode()
    status = (200, 200, 200, 200, 204, 304, 404, 503)[bits & 7]
    return (
        f"10.{bits >> 3 & 255}.{bits >> 11 & 255}.7:{1024 + (bits >> 19 & 32767)} "
        f"[{moment:%d/%b/%Y:%H:%M:%S}.{now_ms % 1000:03}] http app/s{bits >> 34 & 7} "
        f"0/0/{bits >> 37 & 3}/{bits >> 39 & 511}/{bits >> 41 & 1023} {status} {bits >> 40 & 65535} - - ---- "
        f'9/8/1/1/0 0/0 "GET /api/items/{bits >> 30 & 4095}?page={bits >> 50 & 15} HTTP/1.1" '
        f"id={chance.getrandbits(96):024x} pid=31 lc={number} tt={bits >> 41 & 1023} n={number}\n"
    ).encode()


def make_store(folder: Path, mib: int) -> None:
    """A store with so much in finished segments, as collect would have written it."""
    state, now_ms, chance = State(), BORN_MS, random.Random(7)
    disk = Disk(folder, first_frame(state, 0, now_ms))
    total = number = 0
    while total < mib * MIB:
        for stream in STREAMS:
            lines, size, wanted = [], 0, MIB if "/haproxy/" in stream else MIB // 40
            while size < wanted:
                number += 1
                now_ms += number % 20 == 0
                lines.append(a_line(chance, stream, now_ms, number))
                size += len(lines[-1])
            append(disk, state, stream, b"".join(lines), now_ms)
            total += size
        if disk.end - disk.segments[-1].lsn > SEGMENT_BYTES:
            disk.rotate(first_frame(state, disk.end, now_ms))
    disk.rotate(first_frame(state, disk.end, now_ms))
    disk.close()


def append(disk: Disk, state: State, path: str, data: bytes, now_ms: int) -> None:
    """Bytes of a stream in the journal, as a shipper's append leaves them there."""
    draft = Draft(state, disk.end)
    if path not in state.streams:
        draft.add(Admitted(Kind.CREATE, 0, Entry(now_ms, path, content_type="application/octet-stream"), b"", None))
    stream = draft.stream(StreamPath(path))
    assert stream is not None
    entry = Entry(now_ms, path, stream.next_offset, len(data), stream.last_lsn)
    draft.add(Admitted(Kind.APPEND, ZSTD, entry, zstd.compress(data), None))
    disk.append(draft.buffers)
    disk.publish()
    draft.commit()


@dataclass(frozen=True)
class Round:
    """CPU seconds of both for so many MiB of lines; what seal stored of them, and its memory at most."""

    mib: float
    seal_seconds: float
    plain_seconds: float
    stored: float
    peak_mib: float

    @property
    def ratio(self) -> float:
        """How fast seal is, in that of plain DuckDB."""
        return self.plain_seconds / self.seal_seconds


def seal(store: Path) -> tuple[float, float]:
    """Seal it anew, in a process of its own: CPU seconds with the start of the interpreter, and peak MiB."""
    shutil.rmtree(store / LAKE, ignore_errors=True)
    words = [sys.executable, "-m", "logship", "seal", "--store", str(store), "--once", "--disk-free-min", "0"]
    process = subprocess.Popen(words, cwd=TREE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"logship seal ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def plain(store: Path, scratch: Path) -> float:
    """CPU seconds in which DuckDB writes the same rows, from memory."""
    connection = duckdb.connect(config={"threads": 1, "temp_directory": ""})
    manifest = load(store)
    assert manifest is not None
    given = ", ".join(
        f'epoch_ms("{column.name}") AS "{column.name}"' if column.type is Type.TIME else f'"{column.name}"'
        for column in _BASE
    )
    taken = ", ".join(f'{_expression(column.name, column.type)} AS "{column.name}"' for column in COLUMNS)
    seconds = 0.0
    for file in manifest.files:
        path = store / LAKE / file.name
        rows = _held(connection, f"SELECT {given} FROM read_parquet('{path}', hive_partitioning = false)")
        connection.register("held", rows)
        begun = time.process_time()
        connection.execute(
            f"COPY (SELECT {taken} FROM (SELECT *, CASE WHEN regular THEN {TIMERS} END AS t FROM "
            f"(SELECT *, CASE WHEN regular THEN {WORDS} END AS w FROM "
            f"(SELECT *, regexp_full_match(line, '{FORM}') AS regular FROM held)))) TO '{scratch}' {OPTIONS}"
        ).fetchall()
        seconds += time.process_time() - begun
        connection.unregister("held")
        _compare(connection, path, scratch)
    return seconds


def _held(connection: Any, query: str) -> Any:
    chunks = list(nanoarrow.ArrayStream(connection.sql(query)))
    arrays = [nanoarrow.c_array(chunk) for chunk in chunks]
    return nanoarrow.Array(CArrayStream.from_c_arrays(arrays, nanoarrow.c_schema(chunks[0].schema)))


def _expression(name: str, kind: Type) -> str:
    """What DuckDB says of a column: HAProxy's usual lines are cut at spaces, of others it is what their kind says."""
    if name == "level":
        return f"CASE WHEN regular THEN NULL {_SAID.format(name=name)} {_LEVELS} END"
    if name in ("event", "status", "state", "method", "path"):
        said = f"{_SAID.format(name=name)} END"
        said = f"CASE {said}" if name not in VALUES else f"CASE WHEN regular THEN {VALUES[name]}::VARCHAR {said}"
        return f"({said})::BIGINT" if kind is Type.NUMBER else said
    if name in VALUES:
        return f"CASE WHEN regular THEN {VALUES[name]} END"
    return f'make_timestamp_ms("{name}")' if kind is Type.TIME else f'"{name}"'


_SAID = "WHEN starts_with(line, '{{') THEN json_extract_string(line, '$.{name}')"
_LEVELS = (
    "WHEN kind = 'serf' THEN lower(nullif(regexp_extract(line, '^    [0-9/]{10} [0-9:]{8} \\[([A-Z]+)\\] ', 1), '')) "
    "WHEN kind = 'supervisord' THEN lower(nullif(regexp_extract(line, '^[0-9-]{10} [0-9:,]{12} ([A-Z]+) ', 1), '')) "
    "WHEN starts_with(line, '<') THEN ['critical', 'critical', 'critical', 'error', 'warning', 'notice', 'info', "
    "'debug'][1 + regexp_extract(line, '^<([0-9]+)>', 1)::BIGINT % 8]"
)


def _compare(connection: Any, one: Path, other: Path) -> None:
    """Both wrote the same rows, or nothing counts."""
    names = ", ".join(f'"{column.name}"' for column in COLUMNS)
    query = f"SELECT count(*), sum(hash({names})) FROM read_parquet('%s', hive_partitioning = false)"
    if connection.execute(query % one).fetchall() != connection.execute(query % other).fetchall():
        raise SystemExit(f"{other} has not the rows of {one}")


def main() -> int:
    """Measure, print, judge; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.lake", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=at_least(), default=256, help="how much is sealed in a round (default 256)")
    parser.add_argument("--rounds", type=at_least(), default=3, help="how many rounds (default 3)")
    parser.add_argument(
        "--dir", type=a_folder, default=TREE / "build" / "bench", help="where the store is made and removed"
    )
    parser.add_argument("--wait", type=a_time, default=0, help=WAIT_HELP)
    options = parser.parse_args()
    print(described("duckdb", "nanoarrow", "zstandard"), flush=True)
    folder = options.dir / "lake"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    neighbours, before = Neighbours(), own_cpu_seconds()
    rounds = []
    with ended_by_signals():
        try:
            make_store(folder / "store", options.mib)
            for _ in range(options.rounds):
                wait_for_quiet(options.wait)
                rounds.append(_round(folder))
                print(_told(rounds[-1]), flush=True)
        finally:
            shutil.rmtree(folder)
    print(neighbours.told(own_cpu_seconds() - before))
    return judge(rounds)


def _round(folder: Path) -> Round:
    """Both ways, once."""
    seconds, peak = seal(folder / "store")
    files = json.loads((folder / "store" / LAKE / "manifest.json").read_text())["files"]
    raw = sum(file["raw_bytes"] for file in files)
    stored = sum(file["bytes"] + file["tokens"]["bytes"] for file in files) / raw
    return Round(raw / MIB, seconds, plain(folder / "store", folder / "plain.parquet"), stored, peak)


def _told(one: Round) -> str:
    ours, theirs = one.mib / one.seal_seconds, one.mib / one.plain_seconds
    rates = f"seal {ours:.1f} MiB/s a core, plain DuckDB {theirs:.1f}, ratio {one.ratio:.2f}"
    return f"{one.mib:.0f} MiB: {rates}; stored {one.stored:.3f} of it, peak {one.peak_mib:.0f} MiB"


def judge(rounds: list[Round]) -> int:
    """1 when a target is missed, which is said."""
    ratio = median(one.ratio for one in rounds)
    missed = [
        text
        for text, is_missed in (
            (f"ratio {ratio:.2f}, at least {RATIO_MIN}", ratio < RATIO_MIN),
            (f"memory, at most {MEMORY_MIB_MAX} MiB", any(one.peak_mib > MEMORY_MIB_MAX for one in rounds)),
            (f"stored bytes, at most {STORED_MAX} of the lines", any(one.stored > STORED_MAX for one in rounds)),
        )
        if is_missed
    ]
    print(f"missed: {'; '.join(missed)}" if missed else f"all targets reached; the median ratio is {ratio:.2f}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
