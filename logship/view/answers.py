"""Edge: how answers are written: records a line, events, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from logship.view.segments import NoStore

NDJSON = "application/x-ndjson"
READING = "reading"
"""The word of a refusal that ends by itself, when the journal is read: ask again."""
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)
"""Of records, which hold no circles: to look for them takes longer than all else of it."""
REPLACED = "replaced"
"""The word for a reading that ends because there is another store."""


class Refused(Exception):
    """A request that cannot be answered: status, a word for programs, a sentence for people, and facts beside them."""

    def __init__(self, status: int, code: str, text: str, facts: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.text, self.facts = status, code, text, dict(facts or {})


def ndjson(found: Iterable[dict[str, Any]]) -> bytes:
    """Records, one a line."""
    return written(map(encode, found))


def encode(record: dict[str, Any]) -> str:
    """A record as JSON."""
    return _JSON.encode(record)


def written(texts: Iterable[str]) -> bytes:
    """Records that are JSON, one a line."""
    return "".join([f"{text}\n" for text in texts]).encode("utf-8", "surrogatepass")


def event(name: str, identity: str | None, data: Any) -> bytes:
    """A server-sent event; the one with an ``identity`` is where a client goes on after."""
    head = f"id: {identity}\n" if identity is not None else ""
    return f"event: {name}\n{head}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def answer_refused(_: Request, error: Exception) -> Response:
    """A refusal as JSON, one sentence."""
    if isinstance(error, Refused):
        later = {"retry-after": "1"} if error.status == 503 else None
        return JSONResponse({"error": error.code, "text": error.text, **error.facts}, error.status, later)
    code = "no-store" if isinstance(error, NoStore) else "damaged"
    return JSONResponse({"error": code, "text": str(error)}, 503, {"retry-after": "1"})
