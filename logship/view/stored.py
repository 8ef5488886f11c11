"""Edge: the stored bytes of one stream over HTTP: their digests, for whoever has the source, and themselves.

    /api/digest    SHA-256 a step of offsets and of all, with the holes, and what the ledger and the audit say of them
    /api/bytes     the exact bytes, up to the first that cannot be given; there a refusal says why

Work on files is done a few MiB at a time, so a reader who goes away stops it, and readers of lines get their turn.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from logship.collect.stream import StreamState
from logship.values import OFFSET_MAX, Invalid, parse_integer
from logship.view.answers import NDJSON, Refused, ndjson
from logship.view.api import STREAM_HEADERS, Api, joined
from logship.view.audited import Audited
from logship.view.digests import DAMAGED, NOT_KEPT, UNREADABLE, Digests, Hole, Piece
from logship.view.extents import Extents
from logship.view.journal_reader import Picture
from logship.view.openapi import BYTES, DIGEST_PARAMETERS, RANGE_PARAMETERS

STEP_BYTES = 16 * 1024 * 1024
STEP_BYTES_MIN = 4096
WORK_BYTES = 4 * 1024 * 1024
"""What is read in one turn of a thread, and one piece more."""
WORK_STEPS = 64
HEARTBEAT_SECONDS = 5.0
_REFUSED = {NOT_KEPT: (410, "not-kept"), DAMAGED: (500, "damaged"), UNREADABLE: (503, "unreadable")}


class Stored:
    """Answers what exactly is stored."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._extents = Extents(api.journal, api.history.older.exact)
        self._audited = Audited(api.journal.folder)

    async def digest(self, request: Request) -> Response:
        """Digests of a range, a record a step."""
        picture, stream, start, end = await self._range(request, DIGEST_PARAMETERS)
        step = _number(request, "step", STEP_BYTES, STEP_BYTES_MIN, OFFSET_MAX)
        parts = self._digests(picture, stream, start, end, step)
        return StreamingResponse(joined(parts), media_type=NDJSON, headers=STREAM_HEADERS)

    async def content(self, request: Request) -> Response:
        """The bytes of a range. Raises Refused where the first of them is in a hole."""
        picture, stream, start, end = await self._range(request, RANGE_PARAMETERS)
        parts = self._parts(picture, stream, start, end)
        first: list[Piece | Hole] = []
        async for part in parts:
            first = part
            if first:
                break
        if first and isinstance(first[0], Hole) and first[0].end > first[0].start:
            hole = first[0]
            status, code = _REFUSED[hole.what]
            text = f"{stream.path} from {hole.start} to {hole.end}: {hole.text}"
            raise Refused(status, code, text, {"from": hole.start, "to": hole.end})
        return StreamingResponse(_plain(first, parts), media_type=BYTES, headers=STREAM_HEADERS)

    async def _range(self, request: Request, known: Collection[str]) -> tuple[Picture, StreamState, int, int]:
        """What is asked for, held against what there is. Raises Refused."""
        strange = sorted(set(request.query_params) - set(known))
        if strange:
            text = f"no parameter is called {strange[0][:40]!r}; there are: {', '.join(sorted(known))}"
            raise Refused(400, "bad-query", text)
        path = request.query_params.get("stream", "")
        if not path:
            raise Refused(400, "bad-query", "stream is missing: say the path of a stream")
        picture = await self._api.picture()
        stream = picture.streams.get(path)
        if stream is None:
            raise Refused(404, "unknown-stream", f"there is no stream {path[:200]!r}")
        first = await self._api.do(lambda: self._extents.first_offset(stream))
        start = _number(request, "from", min(first, stream.next_offset), 0, OFFSET_MAX)
        end = _number(request, "to", stream.next_offset, 0, OFFSET_MAX)
        if start > end or end > stream.next_offset:
            text = f"from {start} to {end} is no range of a stream that ends at {stream.next_offset}"
            raise Refused(400, "bad-range", text)
        return picture, stream, start, end

    async def _parts(
        self, picture: Picture, stream: StreamState, start: int, end: int
    ) -> AsyncIterator[list[Piece | Hole]]:
        """Pieces and holes, as many as one turn reads; an empty list when none was found in it."""
        steps = self._extents.read(picture, stream, start, end)

        def turn() -> list[Piece | Hole] | None:
            found: list[Piece | Hole] = []
            size = 0
            for number, one in enumerate(steps, start=1):
                if one is not None:
                    found.append(one)
                    size += len(one.data) if isinstance(one, Piece) else 0
                if size >= WORK_BYTES or number >= WORK_STEPS:
                    return found
            return found or None

        while True:
            part = await self._api.do(turn)
            if part is None:
                return
            yield part

    async def _digests(
        self, picture: Picture, stream: StreamState, start: int, end: int, step: int
    ) -> AsyncIterator[bytes]:
        listing = await self._api.do(lambda: stream.listing(self._extents.first_offset(stream)))
        yield ndjson([{"type": "begin", "from": start, "to": end, **listing}])
        digests = Digests(start, step)
        told = time.monotonic()
        async for part in self._parts(picture, stream, start, end):
            records = await self._api.do(partial(digests.feed_all, part))
            if records or time.monotonic() - told > HEARTBEAT_SECONDS:
                told = time.monotonic()
                yield ndjson(records) or b"\n"
        *steps, total = digests.finish()
        losses = [
            loss.fields() for _, loss in picture.losses if _concerns(loss.stream, loss.offset, stream, start, end)
        ]
        audit = await self._api.do(lambda: self._audited.of(stream.path))
        yield ndjson([*steps, {**total, "losses": losses, "audit": audit}])


def _concerns(path: str | None, offset: int | None, stream: StreamState, start: int, end: int) -> bool:
    """Whether a loss is one of this stream, in or beside the range; one that says no offset may be."""
    return path == stream.path and (offset is None or start <= offset <= end)


async def _plain(first: list[Piece | Hole], parts: AsyncIterator[list[Piece | Hole]]) -> AsyncIterator[bytes]:
    """The bytes up to the first hole."""
    part = first
    while True:
        for data in _until_hole(part):
            yield data
        if any(isinstance(one, Hole) and one.end > one.start for one in part):
            return
        try:
            part = await anext(parts)
        except StopAsyncIteration:
            return


def _until_hole(part: list[Piece | Hole]) -> Iterator[bytes]:
    for one in part:
        if isinstance(one, Piece):
            yield one.data
        elif one.end > one.start:
            return


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    said = request.query_params.get(name)
    if said is None:
        return default
    number = parse_integer(said)
    if isinstance(number, Invalid) or not least <= number <= most:
        raise Refused(400, "bad-query", f"{name} is a whole number from {least} on")
    return number
