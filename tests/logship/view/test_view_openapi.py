"""The description of the API is that of the API there is; measures are those of the store."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from logship.values import Loss
from logship.view.api import Api
from logship.view.journal_reader import Journal
from logship.view.openapi import LIVE_PARAMETERS, ROUTES, document
from logship.view.query import PARAMETERS
from logship.view.run import Plan, application
from tests.logship.prometheus import read, value
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import Viewer

PAGES = {"/", "/logs", "/static/{name}"}
READING = Path(__file__).resolve().parents[3] / "docs" / "reading.md"
VALUES = {
    "since": "1h", "until": "now", "n": "1", "cursor": "0", "at": "0", "bytes": "10", "grep": "x", "exclude": "y",
    "q": "web", "stream": "web/1/app/i", "step": "4096",
    "sql": "SELECT%201",
}  # fmt: skip
RANGES, REQUIRED = {"/api/digest", "/api/bytes"}, "stream=web/1/app/i&"


def routes(shelf: Shelf) -> set[str]:
    app = application(Plan(shelf.folder, ""), Api(Journal(shelf.folder)))._app
    assert isinstance(app, Starlette)
    return {route.path for route in app.routes if isinstance(route, Route)}


def test_every_route_is_described_and_every_described_one_is_there(shelf: Shelf) -> None:
    assert routes(shelf) - PAGES == ROUTES.keys()


def test_every_parameter_is_described_and_every_described_one_is_taken(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"x\n")
    described: dict[str, Any] = json.loads(viewer.ask("/openapi.json")[2])
    for path, item in described["paths"].items():
        for parameter in item["get"]["parameters"]:
            name = parameter["name"]
            if path == "/api/logs/live" or name == "follow":
                continue  # an answer without an end; its parameters are those of /api/logs
            required = REQUIRED if path in RANGES and name != "stream" else ""
            required = "sql=SELECT%201&" if path == "/api/sql" and name != "sql" else required
            required = "query=%7C+count&" if path == "/api/query" and name != "query" else required
            said = "%7C+count" if path == "/api/query" and name == "query" else VALUES.get(name, "1")
            status, _, body = viewer.ask(f"{path}?{required}{name}={said}")
            assert status == 200, (path, name, body)
        if path.startswith("/api/"):
            assert viewer.ask(f"{path}?no_such=1")[0] == 400, path
    of_lines = {one["name"] for one in described["paths"]["/api/logs"]["get"]["parameters"]}
    assert of_lines == PARAMETERS.keys()
    assert PARAMETERS.keys() >= set(LIVE_PARAMETERS)


def test_the_description_hangs_together() -> None:
    found = document()
    assert found["openapi"].startswith("3.1.")
    identities = [item["get"]["operationId"] for item in found["paths"].values()]
    assert len(set(identities)) == len(identities)
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(found)))
    assert references == found["components"]["schemas"].keys()
    for path, item in found["paths"].items():
        assert path.startswith("/")
        for status, answer in item["get"]["responses"].items():
            assert re.fullmatch(r"[2-5]\d\d", status)
            assert answer["description"]


def test_the_document_for_people_names_every_route_and_parameter() -> None:
    text = READING.read_text(encoding="utf-8")
    missing = [name for name in [*ROUTES, *(f"`{name}" for name in PARAMETERS)] if name not in text]
    assert missing == []


def test_measures_are_those_of_the_store(shelf: Shelf, viewer: Viewer) -> None:
    shelf.append("web/1/app/i", b"x" * 99 + b"\n")
    shelf.append("web/2/app/i", b"x" * 99 + b"\n", closes=True)
    shelf.append("foreign/stream", b"x\n")
    shelf.lose(Loss("1", "web/1/app/i", 0, 512, reason="over budget"))
    shelf.lose(Loss("2", "web/9/app/i", None, None, 37, "lines", reason="over budget"))
    status, headers, text = viewer.ask("/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    web = {"service": "web", "program": "app"}
    assert value(text, "logship_stream_bytes_total", **web) == 200
    assert value(text, "logship_stream_kept_bytes", **web) == 200
    assert value(text, "logship_streams", **web, state="open") == 1
    assert value(text, "logship_streams", **web, state="closed") == 1
    assert value(text, "logship_streams", service="foreign", program="", state="open") == 1
    assert value(text, "logship_lag_unknown", **web) == 1
    assert not [name for name, _ in read(text)[1] if name == "logship_lag_bytes"]
    assert value(text, "logship_lost_bytes_total", **web, reason="over budget") == 512
    assert value(text, "logship_lost_units_total", **web, reason="over budget", unit="lines") == 37
    assert value(text, "logship_journal_end_bytes_total") == shelf.end
