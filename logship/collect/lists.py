"""Edge: what is beside the streams: the list of them, the ledger, health, measures (PROTOCOL.md 8, 9).

Lists are written a piece at a time, with a turn for others between: one of 100,000 streams must not stop intake.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from logship.collect.exchange import Exchange
from logship.collect.gate import Gate
from logship.collect.metrics import Metrics
from logship.collect.store import Store
from logship.collect.stream import StreamState
from logship.metrics import CONTENT_TYPE
from logship.values import LOSS_BYTES_MAX, Invalid, Loss, parse_loss
from logship.wire import Code, Refusal

LOSSES_MAX = 1000
LOSSES_BYTES_MAX = LOSSES_MAX * (LOSS_BYTES_MAX + 1)
LINES_A_TURN = 200
NDJSON = "application/x-ndjson"


def lists(store: Store, gate: Gate, stopping: Callable[[], bool], metrics: Metrics) -> Starlette:
    """The starlette app for everything but streams. ``stopping`` tells whether the collector takes nothing any more."""
    limits = store.settings.limits

    async def streams(request: Request) -> Response:
        prefix = request.query_params.get("prefix", "")
        wanted = {
            name.removeprefix("source."): value
            for name, value in request.query_params.multi_items()
            if name.startswith("source.")
        }
        lines = (_listing(store, stream, wanted) for stream in store.streams(prefix))
        return _lines(lines)

    async def losses(request: Request) -> Response:
        if request.method == "POST":
            return await post_losses(request)
        return _lines({**loss.fields(), "lsn": lsn} for lsn, loss in store.losses())

    async def post_losses(request: Request) -> Response:
        exchange = Exchange(request.scope, request.receive, request._send, limits)
        body = await exchange.body(_check_losses, LOSSES_BYTES_MAX)
        if body is None:
            return Response(status_code=400)
        records = body if isinstance(body, Refusal) else parse_losses(body)
        outcome = records if isinstance(records, Refusal) else await store.post_losses(records)
        if isinstance(outcome, Refusal):
            fields = dict(outcome.headers(limits))
            return PlainTextResponse(outcome.body(), outcome.status, {**fields, "Cache-Control": "no-store"})
        return Response(status_code=outcome.status)

    def state() -> dict[str, Any]:
        found = {**store.health(), "connections": len(gate.connections), "readers": len(gate.live)}
        found["bodies_bytes"], found["stopping"] = gate.bodies_bytes, stopping()
        found["accepting"] = bool(found["accepting"]) and not stopping()
        return found

    async def health(_request: Request) -> Response:
        found = state()
        return JSONResponse(found, 200 if found["accepting"] else 503, {"Cache-Control": "no-store"})

    async def measures(_request: Request) -> Response:
        text = metrics.text(state(), (loss for _, loss in store.losses()))
        return Response(text, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})

    app = Starlette(
        routes=[
            Route("/v1/streams", streams, methods=["GET"]),
            Route("/v1/losses", losses, methods=["GET", "POST"]),
            Route("/v1/health", health, methods=["GET"]),
            Route("/metrics", measures, methods=["GET"]),
        ]
    )
    app.router.redirect_slashes = False
    return app


def parse_losses(body: bytes) -> list[Loss] | Refusal:
    """The records of a body, one a line, all or none."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > LOSSES_MAX:
        return Refusal(Code.BAD_RECORD, f"{len(lines)} records; at most {LOSSES_MAX} are taken at once")
    records: list[Loss] = []
    for number, line in enumerate(lines, start=1):
        record = parse_loss(line)
        if isinstance(record, Invalid):
            return Refusal(Code.BAD_RECORD, f"record {number} {record.reason}; none was taken")
        records.append(record)
    return records


def _check_losses(size: int) -> Refusal | None:
    if size > LOSSES_BYTES_MAX:
        return Refusal(Code.TOO_LARGE, f"the body is larger than {LOSSES_BYTES_MAX} bytes; send fewer records at once")
    return Refusal(Code.EMPTY_BODY, "there is no record in it") if size == 0 else None


def _listing(store: Store, stream: StreamState, wanted: dict[str, str]) -> dict[str, Any] | None:
    if wanted and (stream.source is None and stream.source_path is None):
        return None
    found = stream.listing(store.first_offset(stream))
    source = found["source"]
    return found if all(str(source.get(key)) == value and key in source for key, value in wanted.items()) else None


def _lines(records: Iterable[dict[str, Any] | None]) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        piece: list[str] = []
        for number, record in enumerate(records):
            if record is not None:
                piece.append(json.dumps(record, separators=(",", ":"), ensure_ascii=False))
            if number % LINES_A_TURN == LINES_A_TURN - 1:
                if piece:
                    yield ("\n".join(piece) + "\n").encode()
                    piece = []
                await asyncio.sleep(0)
        if piece:
            yield ("\n".join(piece) + "\n").encode()

    return StreamingResponse(body(), media_type=NDJSON, headers={"Cache-Control": "no-store"})
