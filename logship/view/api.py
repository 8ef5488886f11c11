"""Edge: the HTTP API of the reading side. What it answers is told in docs/reading.md.

    /api/logs          lines as JSON, one record a line; follow=1 goes on
    /api/logs/live     the same as server-sent events, the id of an event is its cursor

Left to others: what is known of streams and losses (``lists``), the page (``page``).
Work on files is done in a few threads, a step at a time: a reader who goes away stops his search at its next step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from logship.values import OFFSET_MAX, Invalid, parse_integer
from logship.view import query, records, saved
from logship.view.alerts.run import Alerts
from logship.view.answers import NDJSON, READING, REPLACED, Refused, encode, event, ndjson, written
from logship.view.declared import Declaration
from logship.view.follow import Follower
from logship.view.history import History
from logship.view.items import Hidden, Item, Skipped, TimedLine
from logship.view.journal_reader import Damage, Journal, Picture
from logship.view.query import Query
from logship.view.segments import Gone, NoStore, Replaced
from logship.view.select import Slow, unknown

STREAM_HEADERS = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
THREADS = 4
RECORDS_A_STEP = 500
EVENT_RECORDS_MAX = 200
SEARCH_HEARTBEAT_SECONDS = 5.0
"""After which a search that finds nothing says that it is still there, with an empty line."""
BEHIND_BYTES_MAX = 8 * 1024 * 1024
"""How much journal a live page may be behind before it is skipped forward."""
PICTURE_SECONDS = 2.0
"""How long a request waits for the newest frames to be read; then it is told how far that is."""
READERS_MAX = 256
"""Who may follow at the same time."""

Answer = TypeVar("Answer")


class Api:
    """Answers requests from the journal."""

    def __init__(self, journal: Journal, declaration: Declaration | None = None) -> None:
        self.journal = journal
        self.declaration = declaration or Declaration(None)
        self.alerts: Alerts | None = None
        self.history = History(journal)
        self.threads = ThreadPoolExecutor(THREADS, "read")
        self.follower = Follower(self.history, self.threads)
        self.readers = 0
        self._pictures = ThreadPoolExecutor(1, "picture")
        self._reading: asyncio.Future[Picture] | None = None

    def warm(self) -> None:
        """Begin to read what there is, before anybody asks."""
        self._pictures.submit(self.journal.picture)

    # The routes.

    async def logs(self, request: Request) -> Response:
        """Lines, one record a line of the answer."""
        asked = self.asked(request)
        picture = await self.checked_picture(asked)
        if asked.follow:
            self._check_readers()
        return StreamingResponse(joined(self._lines(asked, picture)), media_type=NDJSON, headers=STREAM_HEADERS)

    async def live(self, request: Request) -> Response:
        """Lines as they come, as server-sent events."""
        asked = self.asked(request)
        last_id = request.headers.get("last-event-id")
        picture = await self.checked_picture(asked)
        start = picture.end if asked.cursor is None else asked.cursor
        if last_id:
            number = parse_integer(last_id)
            if isinstance(number, Invalid):
                raise Refused(400, "bad-cursor", f"Last-Event-ID {number.reason}")
            start = number
        _check_cursor(start, picture)
        self._check_readers()
        events = joined(self._events(asked, start))
        return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS)

    # What they are made of.

    def asked(
        self, request: Request, besides: Collection[str] = (), known: Collection[str] = query.PARAMETERS
    ) -> Query:
        """The query of a request with parameters that are ``known``, and those ``besides``. Raises Refused."""
        parameters: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            if name in besides:
                continue
            parameters.setdefault(name, []).append(value)
        if (unknown_query := saved.put(parameters, self.declaration.now.queries)) is not None:
            raise Refused(404, "unknown-query", unknown_query.reason)
        found = query.parse(parameters, time.time_ns() // 1_000_000, known)
        if isinstance(found, Invalid):
            raise Refused(400, "bad-query", found.reason)
        return found

    async def picture(self) -> Picture:
        """The picture of now. Raises Refused while that has to be read for longer than a moment, as at the start."""
        if self._reading is None or self._reading.done():
            work = asyncio.get_running_loop().run_in_executor(self._pictures, self.journal.picture)
            done, _ = await asyncio.wait({work}, timeout=PICTURE_SECONDS)
            if done:
                return work.result()
            work.add_done_callback(lambda each: each.cancelled() or each.exception())  # somebody else will meet it
            self._reading = work
        share = self.journal.share()
        raise Refused(503, READING, "reading the journal" + ("" if share is None else f": {share:.0%}"))

    async def checked_picture(self, asked: Query) -> Picture:
        """The picture of now, in which all that the query names is there. Raises Refused."""
        picture = await self.picture()
        text = unknown(asked.wanted.targets, picture.identities.values())
        if text is not None:
            raise Refused(404, "unknown-target", text)
        for lsn in (asked.cursor, asked.at):
            _check_cursor(lsn, picture)
        return picture

    async def last_records(self, asked: Query, picture: Picture) -> list[dict[str, Any]]:
        """The records of the last lines and how many are hidden, for the page. Raises Refused."""
        found: list[dict[str, Any]] = []
        try:
            async for part in self.history_records(asked, picture):
                found += part
        except Slow as slow:
            raise Refused(400, "slow-pattern", str(slow)) from None
        return found

    def _check_readers(self) -> None:
        if self.readers >= READERS_MAX:
            raise Refused(503, "readers", f"{READERS_MAX} readers follow already; close one")

    async def _lines(self, asked: Query, picture: Picture) -> AsyncIterator[bytes]:
        """The body of ``/api/logs``: begin, lines and marks, a cursor; then, if asked, what comes."""
        end = picture.end if asked.at is None else asked.at
        yield ndjson([{"type": "begin", "at": str(end)}])
        if asked.cursor is None:
            told = time.monotonic()
            async for items in self._history(asked, picture):
                if items or time.monotonic() - told > SEARCH_HEARTBEAT_SECONDS:
                    told = time.monotonic()
                    yield await self._written(asked, picture, items) or b"\n"
            at = end
        else:
            at = asked.cursor
            bound = Picture(end, picture.streams, picture.identities, picture.losses)
            while at < end and not asked.follow:
                batch = await self.do(partial(self.history.batch, bound, asked.wanted, at))
                yield ndjson(await self._made(asked, picture, batch.items))
                at = batch.end
        yield ndjson([records.cursor(at)])
        if asked.follow:
            async for part in self._coming(asked, at, None):
                yield ndjson(part) if part else b"\n"

    async def _events(self, asked: Query, start: int) -> AsyncIterator[bytes]:
        """The body of ``/api/logs/live``: events of up to EVENT_RECORDS_MAX records; a batch's last one has an id."""
        yield b"retry: 1000\n\n: live\n\n"
        try:
            async for event_text in self._event_texts(asked, start):
                yield event_text
        except Replaced as replaced:
            yield event(REPLACED, None, str(replaced))

    async def _event_texts(self, asked: Query, start: int) -> AsyncIterator[bytes]:
        async for part in self._coming(asked, start, BEHIND_BYTES_MAX):
            if not part:
                yield b": still here\n\n"
                continue
            *items, mark = part
            if items and items[0]["type"] == "gap":
                yield event("gap", mark["cursor"], items[0])
                continue
            pieces = [items[at : at + EVENT_RECORDS_MAX] for at in range(0, len(items), EVENT_RECORDS_MAX)] or [[]]
            for piece in pieces[:-1]:
                yield event("lines", None, piece)
            if items:
                yield event("lines", mark["cursor"], pieces[-1])
            else:
                yield event("at", mark["cursor"], None)

    async def _coming(self, asked: Query, start: int, behind_max: int | None) -> AsyncIterator[list[dict[str, Any]]]:
        """Records of what comes, each batch with its cursor last; an empty list when nothing came for a while."""
        self.readers += 1
        try:
            async for found in self.follower.batches(asked.wanted, start, behind_max):
                if found is None:
                    yield []
                    continue
                picture, batch = found
                if isinstance(batch, Skipped):
                    yield [*([records.gap(batch)] if batch.lines else []), records.cursor(batch.end)]
                    continue
                made = await self._made(asked, picture, batch.items)
                yield [*made, records.cursor(batch.end)]
        finally:
            self.readers -= 1

    async def history_records(self, asked: Query, picture: Picture) -> AsyncIterator[list[dict[str, Any]]]:
        """The records of what was; an empty list after each step that found nothing."""
        async for items in self._history(asked, picture):
            yield await self._made(asked, picture, items) if items else []

    async def _history(self, asked: Query, picture: Picture) -> AsyncIterator[list[Item]]:
        """What was, not too much at a time; an empty list after each step that found nothing."""
        end = picture.end if asked.at is None else asked.at
        with_open = not asked.follow and asked.at is None
        steps: Iterator[Item | list[Item] | None]
        if asked.count is None:
            steps = self.history.everything(picture, asked.wanted, end, with_open=with_open)
        else:
            steps = self.history.tail(picture, asked.wanted, asked.count, end, with_open=with_open)
        while True:
            items = await self.do(lambda: _step(steps))
            if items is None:
                return
            if not items:
                yield []
            for at in range(0, len(items), RECORDS_A_STEP):
                yield items[at : at + RECORDS_A_STEP]

    async def _written(self, asked: Query, picture: Picture, items: list[Item]) -> bytes:
        """Their records as they are sent."""
        maker = records.Records(picture.identities, asked.bytes_max, asked.shown, self._whole)
        given = [item for item in items if not isinstance(item, Hidden)]
        more = [encode(records.hidden(items))] if len(given) < len(items) else []
        return await self.do(lambda: written([*(maker.text(each) or encode(maker.of(each)) for each in given), *more]))

    async def _made(self, asked: Query, picture: Picture, items: list[Item]) -> list[dict[str, Any]]:
        """Records of lines and marks, and at last one of how many lines are hidden, if any."""
        maker = records.Records(picture.identities, asked.bytes_max, asked.shown, self._whole)
        given = [item for item in items if not isinstance(item, Hidden)]
        made = await self.do(lambda: [maker.of(item) for item in given])
        return made if len(given) == len(items) else [*made, records.hidden(items)]

    def _whole(self, item: TimedLine) -> bytes:
        try:
            return self.history.whole(item.line, item.size)
        except (Gone, Damage):
            return item.line.data

    async def do(self, work: Callable[[], Answer]) -> Answer:
        """Do work on files in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)


def _step(steps: Iterator[Item | list[Item] | None]) -> list[Item] | None:
    """What is found until there is enough of it or nothing more for the moment; None at the end."""
    found: list[Item] = []
    for one in steps:
        if one is None:
            return found
        found += one if isinstance(one, list) else [one]
        if len(found) >= RECORDS_A_STEP:
            break
    return found or None


def _check_cursor(lsn: int | None, picture: Picture) -> None:
    if lsn is not None and not 0 <= lsn <= min(picture.end, OFFSET_MAX):
        text = f"the cursor {lsn} lies beyond the journal's end {picture.end}: is this another store?"
        raise Refused(409, "bad-cursor", text)


async def joined(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The parts of an answer; what goes wrong in the midst of it is its last record."""
    try:
        async for part in parts:
            yield part
    except (Slow, NoStore, Damage, Gone) as error:
        code = {"error": REPLACED} if isinstance(error, Replaced) else {}
        yield b"\n" + ndjson([{"type": "error", **code, "text": str(error)}])
