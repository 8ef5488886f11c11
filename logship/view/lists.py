"""Edge: the lists of the reading side: streams, losses, sources, health. What they answer is told in docs/reading.md.

/v1/streams, /v1/losses   as the collector answers them
/api/losses    the ledger as people read it         /api/sources   a record a stream
/api/queries   queries that have names              /api/alerts    alerts as they stand
/healthz       200 while there is a journal to read
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from logship.collect.stream import StreamState
from logship.metrics import CONTENT_TYPE
from logship.view.answers import NDJSON, READING, Refused, ndjson
from logship.view.api import Api
from logship.view.extents import Extents
from logship.view.ledger import ledger, whose
from logship.view.measures import measures
from logship.view.openapi import SOURCES_PARAMETERS, document
from logship.view.query import LOSSES_PARAMETERS, ON
from logship.view.select import unknown
from logship.view.sources import SourceRecords


class Lists:
    """Answers what is known of streams and losses, beside their lines."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._journal = api.journal
        self._records = SourceRecords(api.history)
        self._extents = Extents(api.journal, api.history.older.exact)

    async def streams(self, request: Request) -> Response:
        """The list of streams, as the collector answers it."""
        picture = await self._api.picture()
        prefix = request.query_params.get("prefix", "")
        wanted = {key[7:]: value for key, value in request.query_params.items() if key.startswith("source.")}

        def listed() -> list[dict[str, Any]]:
            found = [
                self._listing(picture.streams[path]) for path in sorted(picture.streams) if path.startswith(prefix)
            ]
            return [one for one in found if all(one["source"].get(key) == value for key, value in wanted.items())]

        return Response(ndjson(await self._api.do(listed)), media_type=NDJSON)

    async def losses(self, _: Request) -> Response:
        """The ledger, as the collector answers it."""
        picture = await self._api.picture()
        return Response(ndjson({**loss.fields(), "lsn": lsn} for lsn, loss in picture.losses), media_type=NDJSON)

    async def ledger(self, request: Request) -> Response:
        """The losses that are wanted, by time, and at last what they add up to."""
        asked = self._api.asked(request, known=LOSSES_PARAMETERS)
        picture = await self._api.picture()
        there = [*picture.identities.values()]
        there += [one for _, loss in picture.losses if (one := whose(loss, picture.identities)) is not None]
        text = unknown(asked.wanted.targets, there)
        if text is not None:
            raise Refused(404, "unknown-target", text)

        def read() -> bytes:
            recorded_ms = partial(self._api.history.recorded_ms, picture)
            found, total = ledger(picture.losses, picture.identities, asked.wanted, recorded_ms)
            return ndjson([*found, {"type": "total", **total.fields(), "forgotten": picture.forgotten}])

        return Response(await self._api.do(read), media_type=NDJSON)

    async def sources(self, request: Request) -> Response:
        """What is known of each stream, for people."""
        asked = self._api.asked(request, besides=SOURCES_PARAMETERS.keys() - {"q"}, known=("q",))
        lines = request.query_params.get("lines", "") in ON
        picture = await self._api.checked_picture(asked)
        now_ms = time.time_ns() // 1_000_000
        make = partial(self._records.records, picture, asked.wanted.targets, now_ms, lines=lines)
        return Response(await self._api.do(lambda: ndjson(make())), media_type=NDJSON)

    async def queries(self, request: Request) -> Response:
        """The queries that have names."""
        if strange := sorted(request.query_params.keys()):
            raise Refused(400, "bad-query", f"it takes no parameters; {strange[0][:40]!r} is one")
        known = self._api.declaration.now.queries
        return Response(ndjson(known[name].record() for name in sorted(known)), media_type=NDJSON)

    async def alerts(self, request: Request) -> Response:
        """Alerts as they stand, and how their evaluation is."""
        if strange := sorted(request.query_params.keys()):
            raise Refused(400, "bad-query", f"it takes no parameters; {strange[0][:40]!r} is one")
        alerts = self._api.alerts
        found = [] if alerts is None else await self._api.do(partial(alerts.records, time.time_ns() // 1_000_000))
        return Response(ndjson(found), media_type=NDJSON)

    async def metrics(self, _: Request) -> Response:
        """Measures as Prometheus reads them."""
        picture = await self._api.picture()
        now_ms = time.time_ns() // 1_000_000
        alerts = self._api.alerts
        more = [] if alerts is None else await self._api.do(alerts.families)
        make = partial(measures, self._records, picture, now_ms, self._api.readers, more)
        return Response(await self._api.do(make), media_type=CONTENT_TYPE, headers={"cache-control": "no-store"})

    async def openapi(self, _: Request) -> Response:
        """The API described for programs."""
        return JSONResponse(document())

    async def health(self, _: Request) -> Response:
        """Whether there is a journal to read; ``reading`` is the share that is read, while that goes on."""
        try:
            picture = await self._api.picture()
        except Refused as refused:
            if refused.code != READING:
                raise
            return JSONResponse({"ok": True, "reading": self._journal.share()})
        return JSONResponse({"ok": True, "cursor": str(picture.end), "streams": len(picture.streams)})

    def _listing(self, stream: StreamState) -> dict[str, Any]:
        return stream.listing(self._extents.first_offset(stream))
