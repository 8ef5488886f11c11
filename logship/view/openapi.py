"""Core: the API described for programs, as OpenAPI 3.1: one table of routes; a test holds it against those there are.

What the answers mean in full is told in docs/reading.md; parameters of lines have their words from ``query``.
"""

from __future__ import annotations

from typing import Any

from logship import __version__
from logship.metrics import CONTENT_TYPE
from logship.view.answers import NDJSON
from logship.view.query import LOSSES_PARAMETERS, PARAMETERS, SQL_PARAMETERS, TABLE_PARAMETERS

JSON, EVENTS, TEXT, BYTES = "application/json", "text/event-stream", CONTENT_TYPE, "application/octet-stream"
LIVE_PARAMETERS = tuple(name for name in PARAMETERS if name not in ("n", "follow", "at"))
SOURCES_PARAMETERS = {
    "q": PARAMETERS["q"],
    "lines": "1: count the lines that are kept, for 3 s at most; who asks again goes on",
}
STREAMS_PARAMETERS = {
    "prefix": "streams whose path begins with it",
    "source.incarnation": "streams whose source says so; any key of a source, as source.KEY=VALUE",
}
RANGE_PARAMETERS = {
    "stream": "the stream's path",
    "from": "the offset to begin at; its first byte that is kept when it is left out",
    "to": "the offset to end before; its end when it is left out",
}
DIGEST_PARAMETERS = {**RANGE_PARAMETERS, "step": "a digest for each so many bytes, 4096 or more; 16 MiB"}
REQUIRED = frozenset({"stream"})
_LINES = "Lines and marks in order, a record a line; told apart by `type`: begin, line, mark, hidden, cursor, error."

# path -> what it is, its parameters, what it answers, of which type
ROUTES: dict[str, tuple[str, dict[str, str], str, str]] = {
    "/api/logs": ("Read lines; with follow=1 go on with what comes.", PARAMETERS, NDJSON, _LINES),
    "/api/logs/live": (
        "Lines as they come. The id of an event is a cursor; Last-Event-ID goes on after it.",
        {name: PARAMETERS[name] for name in LIVE_PARAMETERS},
        EVENTS,
        "Events `lines` (an array of records), `gap` (what a slow reader was not sent), `at` (nothing wanted came) and "
        "`replaced` (there is another store).",
    ),
    "/api/query": (
        "Count and group lines: what the pipe of `query` makes of them. The same records as events with "
        "Accept: text/event-stream.",
        {name: PARAMETERS[name] for name in TABLE_PARAMETERS},
        NDJSON,
        "Records told apart by `type`: begin, progress (share of the journal read), table (`partial` while it goes "
        "on), rows (more rows of the table), losses (what the numbers may be short by), cursor, error.",
    ),
    "/api/queries": (
        "The queries that have names; `query=@NAME` asks one of them.",
        {},
        NDJSON,
        "A record a query: `name`, `text`, `makes_table`, and where they are said `description`, `since`, `until`.",
    ),
    "/api/alerts": (
        "The alerts as they stand.",
        {},
        NDJSON,
        "Records of type alert, one a group (`alert`, `state`, `since`, `value`, `condition`, `group`), and one of "
        "type evaluation: whether and how far they are evaluated, what was told and what was given up.",
    ),
    "/api/sql": (
        "Answer one SELECT over the views lines, haproxy, serf, events, losses of what is sealed.",
        SQL_PARAMETERS,
        NDJSON,
        "Records told apart by `type`: begin (`columns` with name and type; `sealed_to`: what was received later is "
        "not in the views), rows, end (`more`: there are more rows), error.",
    ),
    "/api/losses": (
        "The ledger of losses by time, and what it adds up to.",
        {name: PARAMETERS[name] for name in LOSSES_PARAMETERS},
        NDJSON,
        "Records of type loss, and one of type total.",
    ),
    "/api/sources": (
        "What is known of each stream; what is not is null, and `unknown` says why.",
        SOURCES_PARAMETERS,
        NDJSON,
        "A record a stream.",
    ),
    "/api/digest": (
        "SHA-256 of the stored bytes of a stream, each frame read from the disk and checked.",
        DIGEST_PARAMETERS,
        NDJSON,
        "Records of type begin, digest (one a step), and total, with the losses and the windows of the audit that "
        "concern the range.",
    ),
    "/api/bytes": (
        "The stored bytes of a stream.",
        RANGE_PARAMETERS,
        BYTES,
        "The exact bytes, up to the first that cannot be given.",
    ),
    "/v1/streams": ("The streams, as the collector lists them.", STREAMS_PARAMETERS, NDJSON, "A record a stream."),
    "/v1/losses": ("The ledger, as the collector lists it.", {}, NDJSON, "A record a loss."),
    "/metrics": ("Measures for Prometheus.", {}, TEXT, "Text format 0.0.4."),
    "/healthz": ("Whether there is a journal to read.", {}, JSON, "`ok`, and how far the journal is read."),
    "/openapi.json": ("This description.", {}, JSON, "OpenAPI 3.1."),
}
REFUSALS = {
    "400": "A parameter means nothing; the text says which and why.",
    "404": "A TARGET means no stream, or @NAME no saved query; the text names near ones.",
    "409": "The cursor lies beyond the journal: it is of another store.",
    "410": "The bytes at the beginning are not kept any more.",
    "500": "The bytes at the beginning are damaged.",
    "503": "There is no store yet, too many follow or make tables, or the journal is still read (`error` is reading): "
    "ask again. Of bytes also: those at the beginning are in the lake, which cannot be read here (unreadable).",
}
_REFUSED_BY_PARAMETERS = {"400", "404", "409"}
_REFUSED_BY_BYTES = {"410", "500"}


def document() -> dict[str, Any]:
    """The description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "logship view",
            "version": __version__,
            "description": "Reads what the collector keeps. GET alone; no login: publish it on this machine only.",
        },
        "paths": {path: {"get": _operation(path)} for path in ROUTES},
        "components": {
            "schemas": {
                "Refusal": {
                    "type": "object",
                    "required": ["error", "text"],
                    "properties": {
                        "error": {"type": "string", "description": "a word for programs"},
                        "text": {"type": "string", "description": "a sentence for people"},
                    },
                }
            }
        },
    }


def _operation(path: str) -> dict[str, Any]:
    summary, parameters, media, answer = ROUTES[path]
    refusals = {
        status: {
            "description": text,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
        for status, text in REFUSALS.items()
        if path != "/openapi.json"
        and (parameters or status not in _REFUSED_BY_PARAMETERS)
        and (media == BYTES or status not in _REFUSED_BY_BYTES)
    }
    return {
        "operationId": path.strip("/").replace("/", "_").replace(".", "_"),
        "summary": summary,
        "parameters": [_parameter(name, text) for name, text in parameters.items()],
        "responses": {"200": {"description": answer, "content": {media: {}}}, **refusals},
    }


def _parameter(name: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
    if name in REQUIRED:
        found["required"] = True
    if name == "q":
        found |= {"schema": {"type": "array", "items": {"type": "string"}}, "style": "form", "explode": True}
    return found
