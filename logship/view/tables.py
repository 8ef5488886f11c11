"""Edge: ``/api/query``: what a pipe makes of lines, told while it is made. What it answers is told in docs/reading.md.

A question is read in steps, in the threads of the reading side: when its client goes away it ends with its step.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from logship.view.answers import NDJSON, REPLACED, Refused, event, ndjson
from logship.view.api import STREAM_HEADERS, Api
from logship.view.counting import Counting
from logship.view.counting_lake import Progress
from logship.view.journal_reader import Damage, Picture
from logship.view.ledger import Sum, ledger
from logship.view.pipes import Pipe
from logship.view.pipes_groups import TooMuch
from logship.view.pipes_result import Table, making_of
from logship.view.query import TABLE_PARAMETERS, Query
from logship.view.records import cursor, stamp
from logship.view.segments import Gone, NoStore, Replaced
from logship.view.select import Slow

EVENTS = "text/event-stream"
TABLES_MAX = 4
"""Made at the same time; each may hold up to a hundred megabytes."""
PROGRESS_SECONDS = 0.25
PARTIAL_FIRST_SECONDS, PARTIAL_SECONDS = 0.1, 1.0
PARTIAL_ROWS_MAX = 50
PARTIAL_GROUPS_MAX = 20_000
"""A table of more groups than this is not looked at while it is made: putting it in order would cost too much."""
ROWS_A_RECORD = 1000


class Tables:
    """Answers questions with a pipe."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._asked = 0

    async def query(self, request: Request) -> Response:
        """Progress, looks at the table, the table and what is lost of its lines: records, or events that hold them."""
        asked = self._api.asked(request, known=TABLE_PARAMETERS)
        pipe = asked.piped.pipe
        if pipe is None:
            raise Refused(400, "no-pipe", "a table wants a pipe in its query, as in: status:5xx | count by server")
        picture = await self._api.checked_picture(asked)
        if self._asked >= TABLES_MAX:
            raise Refused(503, "tables", f"{TABLES_MAX} tables are being made already; ask again")
        records = self._records(asked, pipe, picture)
        if EVENTS in request.headers.get("accept", ""):
            return StreamingResponse(_events(records), media_type=EVENTS, headers=STREAM_HEADERS)
        return StreamingResponse(_lines(records), media_type=NDJSON, headers=STREAM_HEADERS)

    async def _records(self, asked: Query, pipe: Pipe, picture: Picture) -> AsyncIterator[list[dict[str, Any]]]:
        api, wanted = self._api, asked.wanted
        end = picture.end if asked.at is None else asked.at
        until_ms = time.time_ns() // 1_000_000 if wanted.until_ms is None else wanted.until_ms
        making = making_of(pipe, wanted.since_ms, until_ms)
        self._asked += 1
        counting: Counting | None = None
        try:
            yield [self._begin(end)]
            made = partial(Counting, api.history, picture, wanted, asked.piped.node, making, end, time.monotonic)
            counting = await api.do(made)
            steps = counting.steps()
            told = time.monotonic()
            look_at = told + PARTIAL_FIRST_SECONDS
            while await api.do(partial(_step, steps)):
                now = time.monotonic()
                if now - told < PROGRESS_SECONDS and now < look_at:
                    continue
                found = [_progress(counting.progress)]
                if now >= look_at and making.groups <= PARTIAL_GROUPS_MAX:
                    tables = await api.do(partial(making.tables, PARTIAL_ROWS_MAX))
                    found += [_table(name, table, table.rows, partial=True) for name, table in tables.items()]
                    look_at = time.monotonic() + PARTIAL_SECONDS
                told = time.monotonic()
                yield found
            yield [_progress(counting.progress)]
            for name, table in (await api.do(making.tables)).items():
                yield [_table(name, table, table.rows[:ROWS_A_RECORD], partial=False)]
                for at in range(ROWS_A_RECORD, len(table.rows), ROWS_A_RECORD):
                    yield [{"type": "rows", "name": name, "rows": table.rows[at : at + ROWS_A_RECORD]}]
            yield [await api.do(partial(self._losses, asked, picture, counting.progress)), cursor(end)]
        except TooMuch as much:
            yield [{"type": "error", "error": "too-much", "text": str(much)}]
        except (Slow, NoStore, Damage, Gone) as error:
            code = {"error": REPLACED} if isinstance(error, Replaced) else {}
            yield [{"type": "error", **code, "text": str(error)}]
        finally:
            self._asked -= 1
            if counting is not None:
                counting.stop()

    def _begin(self, end: int) -> dict[str, Any]:
        """Where the reading ends; and from when on there is anything to be read, where the beginning is not kept."""
        journal = self._api.journal
        first = journal.segments()[0]
        kept_ms = self._api.history.older.oldest_ms(first)
        if kept_ms is None and first:
            kept_ms = journal.began_ms(first)
        return {"type": "begin", "at": str(end), "kept_from": stamp(kept_ms) if kept_ms else None}

    def _losses(self, asked: Query, picture: Picture, progress: Progress) -> dict[str, Any]:
        """What is known to be missing from the lines that were asked for."""
        recorded_ms = partial(self._api.history.recorded_ms, picture)
        _, total = ledger(picture.losses, picture.identities, asked.wanted, recorded_ms)
        damage = {"places": progress.damaged, "bytes": progress.damaged_bytes}
        return {
            "type": "losses", **total.fields(), "forgotten": picture.forgotten, "damage": damage,
            "text": short_by(total, damage),
        }  # fmt: skip


def short_by(total: Sum, damage: dict[str, int]) -> str:
    """What a number of lines is worth, with these losses in its range; nothing where there are none."""
    said = [f"{count:,} {unit}" for unit, count in sorted(total.counts.items())]
    said += [f"the lines in {total.bytes:,} bytes"] if total.bytes else []
    if total.unknown:
        said.append(f"{total.unknown:,} loss{'' if total.unknown == 1 else 'es'} of which nobody knows how much")
    if places := damage["places"]:
        said.append("what 1 damaged place holds" if places == 1 else f"what {places:,} damaged places hold")
    return f"the numbers may be short by {', '.join(said)}" if said else ""


def _step(steps: Iterator[None]) -> bool:
    """Do one; False when there is none left."""
    return next(steps, steps) is None


def _progress(progress: Progress) -> dict[str, Any]:
    said = asdict(progress)
    back_to_ms = said.pop("back_to_ms")
    for name in ("damaged", "damaged_bytes"):
        del said[name]
    said["share"] = round(said["share"], 4)
    return {"type": "progress", "back_to": None if back_to_ms is None else stamp(back_to_ms), **said}


def _table(name: str, table: Table, rows: Sequence[Any], *, partial: bool) -> dict[str, Any]:
    said = {each: getattr(table, each) for each in Table.__slots__ if each != "rows"}
    return {"type": "table", "name": name, "partial": partial, **said, "row_count": len(table.rows), "rows": rows}


async def _lines(records: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    async for found in records:
        yield ndjson(found)


async def _events(records: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    async for found in records:
        for one in found:
            yield event(one["type"], None, one)
