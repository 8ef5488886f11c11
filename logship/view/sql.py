"""Edge: `/api/sql`: one SELECT over what is sealed, answered by a process of its own (``lake.console``).

That process ends with the answer, with its time, or with whoever asked. Lines that are not sealed yet are not in it;
up to when it reaches is said first.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

import logship
from logship.lake.folder import LAKE
from logship.lake.reader import Unreadable
from logship.view.answers import NDJSON, Refused, ndjson
from logship.view.api import STREAM_HEADERS, Api
from logship.view.journal_reader import Picture
from logship.view.query import SQL_PARAMETERS
from logship.view.records import stamp

SQL_CHARACTERS_MAX = 10_000
ROWS_MAX, ROWS_DEFAULT, BYTES_MAX = 100_000, 10_000, 64 << 20
SECONDS_MAX = 30.0
ASKED_MAX = 2
"""Answered at the same time."""
LINE_BYTES_MAX = 256 << 20
_START = "import sys; sys.path.insert(0, sys.argv[1]); from logship.lake.console import main; main()"
_STATUS = {"bad-sql": 400, "no-duckdb": 503}


class Sql:
    """Answers questions in SQL."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._asked = 0

    async def sql(self, request: Request) -> Response:
        """Names and types of columns, rows, and whether there are more: records, one a line."""
        sql, rows = _parameters(request)
        picture = await self._api.picture()
        question, reach = await self._api.do(lambda: self._question(sql, rows, picture))
        if self._asked >= ASKED_MAX:
            raise Refused(503, "sql", f"{ASKED_MAX} questions in SQL are being answered already; ask again")
        self._asked += 1
        process = _Process(question)
        try:
            records = process.records()
            first = await anext(records)
            if first["type"] == "error":
                raise Refused(_STATUS.get(first["error"], 500), first["error"], first["text"])
        except BaseException:
            self._end(process)
            raise
        return _Streamed(_lines({**first, **reach}, records), lambda: self._end(process))

    def _end(self, process: _Process) -> None:
        self._asked -= 1
        process.end()

    def _question(self, sql: str, rows: int, picture: Picture) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the process is told; and how far its answer reaches. Raises Refused."""
        reader = self._api.history.older.reader
        try:
            files = reader.manifest().files
        except Unreadable as error:
            raise Refused(503, "lake", str(error)) from None
        losses = [
            {**{name: value for name, value in loss.fields().items() if name not in ("from", "to")},
             "from_time": loss.from_time, "to_time": loss.to_time}
            for _, loss in picture.losses
        ]  # fmt: skip
        question = {
            "sql": sql,
            "files": [str((reader.store / LAKE / file.name).resolve()) for file in files],
            "losses": losses,
            "rows_max": rows,
            "bytes_max": BYTES_MAX,
            "threads": os.cpu_count() or 1,
        }
        reach = {
            "files": len(files),
            "lines": sum(file.rows for file in files),
            "sealed_to": stamp(max(file.newest_received for file in files)) if files else None,
        }
        return question, reach


class _Streamed(StreamingResponse):
    """An answer; when it is over, or nobody wants it any more, somebody is told."""

    def __init__(self, content: AsyncIterator[bytes], ends: Callable[[], None]) -> None:
        super().__init__(content, media_type=NDJSON, headers=STREAM_HEADERS)
        self._ends = ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ends()


class _Process:
    """The process that answers a question."""

    def __init__(self, question: dict[str, Any]) -> None:
        self._question = question
        self._process: asyncio.subprocess.Process | None = None

    async def records(self) -> AsyncIterator[dict[str, Any]]:
        """Starts it; what it says, and last of all what became of it."""
        last: dict[str, Any] = {}
        loop = asyncio.get_running_loop()
        ends = loop.time() + SECONDS_MAX
        output = await self._start()
        while True:
            try:
                line = await asyncio.wait_for(output.readline(), max(0.0, ends - loop.time()))
            except TimeoutError:
                text = f"it took more than {SECONDS_MAX:.0f} s; ask for less"
                yield {"type": "error", "error": "too-long", "text": text}
                return
            if not line:
                break
            last = json.loads(line)
            yield last
        if last.get("type") not in ("end", "error"):
            yield {"type": "error", "error": "too-much", "text": "its process was ended, as by lack of memory"}

    async def _start(self) -> asyncio.StreamReader:
        root = str(Path(logship.__file__).resolve().parent.parent)
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", _START, root,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={}, cwd="/", limit=LINE_BYTES_MAX,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(self._question).encode())
        process.stdin.close()
        return process.stdout

    def end(self) -> None:
        """Whatever it is about."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()


async def _lines(first: dict[str, Any], records: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    yield ndjson([first])
    async for record in records:
        yield ndjson([record])


def _parameters(request: Request) -> tuple[str, int]:
    said = request.query_params.multi_items()
    strange = sorted({name for name, _ in said} - SQL_PARAMETERS.keys())
    if strange:
        raise Refused(400, "bad-query", f"no parameter is called {strange[0][:40]!r}; there are: rows, sql")
    sql, rows = request.query_params.get("sql", ""), request.query_params.get("rows", str(ROWS_DEFAULT))
    if not sql.strip() or len(sql) > SQL_CHARACTERS_MAX:
        raise Refused(400, "bad-sql", f"sql wants one SELECT of at most {SQL_CHARACTERS_MAX:,} characters")
    if not (rows.isascii() and rows.isdigit() and len(rows) < 10 and 0 < int(rows) <= ROWS_MAX):
        raise Refused(400, "bad-query", f"rows is a whole number from 1 to {ROWS_MAX}")
    return sql, int(rows)
