"""docs/lake.md is true: its table of columns, its way to the files, its queries, asked of DuckDB and of Spark.

The answers are compared with a plain reference over the bytes that were appended, which knows nothing of the lake.
"""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from logship.lake.columns import COLUMNS
from tests.logship.lake.lakes import seal
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import TREE

DOCUMENT = (TREE / "docs" / "lake.md").read_text(encoding="utf-8")
DUCKDB, _, SPARK = DOCUMENT.partition("## With DuckDB")[2].partition("## With PySpark")
NEEDLE = "4f2a9c01"
WARNINGS = ("warn", "warning", "error", "err", "crit", "critical", "alert", "fatal")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# What was written: of each line its stream, place, exact bytes, and when it was received.


@dataclass
class Written:
    stream: str
    offset: int
    data: bytes
    received_ms: int

    @property
    def text(self) -> str:
        return self.data.rstrip(b"\n").removesuffix(b"\r").decode("utf-8", "replace")


def at(ms: int, form: str) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)


def a_line(chance: random.Random, program: str, now_ms: int) -> bytes:
    said_ms = now_ms - chance.randrange(3000)
    milliseconds = f"{said_ms % 1000:03}"
    if program == "haproxy":
        timers = "/".join(str(chance.choice([0, 1, 7, chance.randrange(3000)])) for _ in range(5))
        failed = chance.random() < 0.1
        if failed:
            timers = "5/-1/-1/-1/5"
        status = 503 if failed else chance.choice([200, 200, 200, 204, 304, 404, 500])
        identity = NEEDLE + "-77" if chance.random() < 0.004 else f"{chance.getrandbits(32):08x}-12"
        return (
            f"10.0.0.{chance.randrange(9)}:{chance.randrange(1024, 65535)} "
            f"[{at(said_ms, '%d/%b/%Y:%H:%M:%S')}.{milliseconds}] "
            f"http app/{'<NOSRV>' if failed else f's{chance.randrange(3)}'} {timers} {status} {chance.randrange(9999)} "
            f'- - {"SC--" if failed else "----"} 1/1/0/0/0 0/0 "GET /api/{chance.randrange(50)}?q=x HTTP/1.1" '
            f"id={identity} pid=7 lc=5 tt={chance.randrange(900)} n=9\n"
        ).encode()
    if program == "serf":
        return f"    {at(said_ms, '%Y/%m/%d %H:%M:%S')} [{chance.choice(['INFO', 'WARN', 'ERR'])}] serf: x\n".encode()
    if program == "supervisord":
        word = chance.choice(["INFO", "CRIT", "DEBG"])
        return f"{at(said_ms, '%Y-%m-%d %H:%M:%S')},{milliseconds} {word} spawned: 'webapp'\n".encode()
    if program == "balance":
        level = chance.choice(["info", "warning", "error"])
        time = at(said_ms, "%Y-%m-%dT%H:%M:%S") + f".{milliseconds}Z"
        return json.dumps({"time": time, "level": level, "event": "generation", "id": NEEDLE}).encode() + b"\n"
    return chance.choice([b"caf\xc3\xa9\r\n", b"\xff\xfe\x00\n", b"\n", b"traceback <3>\n", b"x" * 300 + b"\n"])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Written]]]:
    """A store with several segments, sealed; and all lines of it, in the order in which they were received."""
    store = tmp_path_factory.mktemp("lake") / "store"
    shelf = Shelf(store)
    chance = random.Random(7)
    written: list[Written] = []
    programs = ["haproxy", "haproxy", "haproxy", "serf", "supervisord", "balance", "webapp"]
    for number in range(300):
        shelf.now_ms += chance.randrange(2000)
        program = chance.choice(programs)
        stream = f"{'webapp' if program in ('serf', 'webapp') else 'ha'}/{chance.randrange(1, 3)}/{program}/i"
        held = shelf.state.streams.get(stream)
        offset = held.next_offset if held else 0
        data = b""
        for _ in range(chance.randrange(1, 12)):
            line = a_line(chance, program, shelf.now_ms)
            written.append(Written(stream, offset + len(data), line, shelf.now_ms))
            data += line
        shelf.append(stream, data, packed=chance.random() < 0.8)
        if number % 70 == 69:
            shelf.rotate()
    shelf.rotate()
    seal(store)
    yield store, written
    shelf.close()


# The five questions, asked of the bytes.


def own_ms(line: Written) -> int | None:
    """The time that the line says, read naively."""
    program = line.stream.split("/")[2]
    text = line.text
    if program == "haproxy":
        stamp = text.split(" ")[1][1:-1]
        found = datetime.strptime(stamp, "%d/%b/%Y:%H:%M:%S.%f")
    elif program == "serf":
        found = datetime.strptime(text[4:23], "%Y/%m/%d %H:%M:%S")
    elif program == "supervisord":
        found = datetime.strptime(text[:23], "%Y-%m-%d %H:%M:%S,%f")
    elif program == "balance":
        found = datetime.strptime(json.loads(text)["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
    else:
        return None
    return round(found.replace(tzinfo=UTC).timestamp() * 1000)


def of_haproxy(written: list[Written]) -> Iterator[tuple[int, str, str, int, int]]:
    """Time, backend, server, t_response, status."""
    for line in written:
        if "/haproxy/" in line.stream:
            words = line.text.split(" ")
            backend, _, server = words[3].partition("/")
            ms = own_ms(line)
            assert ms is not None
            yield ms, backend, server, int(words[4].split("/")[3]), int(words[5])


def percentile(values: list[int], share: float) -> int:
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def by_minute(written: list[Written]) -> list[Any]:
    found = Counter((ms // 60_000 * 60_000, status // 100) for ms, *_, status in of_haproxy(written) if status > 0)
    return [(at(minute, "%Y-%m-%d %H:%M:%S"), kind, count) for (minute, kind), count in sorted(found.items())]


def by_server(written: list[Written]) -> list[Any]:
    groups: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for _, backend, server, response, status in of_haproxy(written):
        if response >= 0:
            groups.setdefault((backend, server), []).append((response, status))
    return [
        (
            *key, len(found), percentile([one for one, _ in found], 0.5), percentile([one for one, _ in found], 0.99),
            sum(status >= 500 for _, status in found),
        )
        for key, found in sorted(groups.items())
    ]  # fmt: skip


def needle(written: list[Written]) -> list[Any]:
    found = [(own_ms(line) or 0, line.stream, line.offset, line.text) for line in written if NEEDLE in line.text]
    return [
        (at(ms, "%Y-%m-%d %H:%M:%S") + (f".{ms % 1000:03}" if ms % 1000 else ""), *stream.split("/")[:3], text)
        for ms, stream, _, text in sorted(found)
    ]


def warnings(written: list[Written]) -> list[Any]:
    found = []
    for line in written:
        program = line.stream.split("/")[2]
        if program == "serf":
            level = line.text[25 : line.text.index("]")].lower()
        elif program == "supervisord":
            level = line.text.split(" ")[2].lower()
        elif program == "balance":
            level = json.loads(line.text)["level"]
        else:
            level = "err" if line.text.startswith("<3>") else ""
        if level in WARNINGS:
            found.append((line.stream, line.offset, level, line.text))
    return sorted(found)


def sums(written: list[Written]) -> list[Any]:
    lines = Counter(line.stream for line in written)
    sizes: Counter[str] = Counter()
    for line in written:
        sizes[line.stream] += len(line.data)
    return [(stream, lines[stream], sizes[stream]) for stream in sorted(lines)]


QUESTIONS: list[Callable[[list[Written]], list[Any]]] = [by_minute, by_server, needle, warnings, sums]


def plainly(rows: list[tuple[Any, ...]]) -> list[Any]:
    """Times as texts without a needless fraction, since engines have types of their own for them."""
    return [tuple(_plain(value) for value in row) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        milliseconds = value.microsecond // 1000
        return value.strftime("%Y-%m-%d %H:%M:%S") + (f".{milliseconds:03}" if milliseconds else "")
    return value


def test_the_table_of_columns_is_that_of_the_code_and_of_the_files(lake: tuple[Path, list[Written]]) -> None:
    table = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", DOCUMENT, re.MULTILINE)
    assert table == [(column.name, column.type.value, column.means) for column in COLUMNS]
    connection, _ = connected(lake[0])
    described = connection.execute("DESCRIBE lines").fetchall()
    assert [(name, kind) for name, kind, *_ in described] == [(name, kind) for name, kind, _ in table]


def connected(store: Path) -> tuple[duckdb.DuckDBPyConnection, int]:
    """What the document's own words make of a lake: a connection with the view, and how many files it is of."""
    (words,) = blocks(DUCKDB, "python")
    names: dict[str, Any] = {}
    exec(words.replace("/var/lib/logship/store", str(store)), names)
    return names["connection"], len(names["files"])


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=[question.__name__ for question in QUESTIONS])
def test_the_document_s_queries_answer_what_the_bytes_say(lake: tuple[Path, list[Written]], number: int) -> None:
    queries = blocks(DUCKDB, "sql")
    assert len(queries) == len(QUESTIONS)
    store, written = lake
    connection, files = connected(store)
    assert files > 1
    answer = plainly(connection.execute(queries[number]).fetchall())
    assert answer == QUESTIONS[number](written)
    assert answer


ASK = """
import json, sys
from datetime import datetime
{words}
def plain(value):
    return str(value) if isinstance(value, datetime) else value
for query in json.load(sys.stdin):
    print("answer " + json.dumps([[plain(value) for value in row] for row in spark.sql(query).collect()]))
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_spark_answers_the_same(lake: tuple[Path, list[Written]], tmp_path: Path) -> None:
    """With PySpark from PyPI, in an environment of its own, and a Java that is there."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java: apt-get install openjdk-17-jre-headless")
    python = _with_pyspark(tmp_path)
    store, written = lake
    (words,) = blocks(SPARK, "python")
    script = tmp_path / "ask.py"
    script.write_text(ASK.format(words=words.replace("/var/lib/logship/store", str(store))))
    queries = blocks(SPARK, "sql")
    assert len(queries) == len(QUESTIONS)
    result = subprocess.run(
        [python, str(script)], input=json.dumps(queries), capture_output=True, text=True, check=False, timeout=900
    )
    assert result.returncode == 0, result.stderr[-4000:]
    answers = [json.loads(line[7:]) for line in result.stdout.splitlines() if line.startswith("answer ")]
    for question, answer in zip(QUESTIONS, answers, strict=True):
        given = [[_shorter(value) for value in row] for row in answer]
        assert given == [list(row) for row in question(written)], question.__name__


def _shorter(value: Any) -> Any:
    """2026-11-23 20:00:01.500000 -> 2026-11-23 20:00:01.500"""
    is_time = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", value)
    return value[:-3] if is_time else value


def _with_pyspark(folder: Path) -> str:
    try:
        import pyspark  # type: ignore[import-not-found,unused-ignore]  # noqa: F401

        return sys.executable
    except ImportError:
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        words = [python, "-m", "pip", "install", "-q", "pyspark>=3.5,<5"]
        got = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)
        if got.returncode != 0:
            pytest.skip(f"PySpark cannot be had: {got.stderr[-300:]}")
        return python
