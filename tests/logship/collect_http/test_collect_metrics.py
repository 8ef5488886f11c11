"""What the collector tells Prometheus: requests by answer, intake, the journal, losses."""

from __future__ import annotations

import json
from pathlib import Path

from tests.logship.collect_http.live import Inside
from tests.logship.collect_http.test_collect_http_reading import AT, OCTETS, serve
from tests.logship.prometheus import read, value

LOST = {"service": "web", "program": "app", "reason": "over budget"}


def test_requests_intake_and_losses_are_counted(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        assert (await server.ask("PUT", AT, OCTETS)).status == 201
        for _ in range(3):
            assert (await server.ask("POST", AT, OCTETS, b"four")).status == 204
        assert (await server.ask("POST", AT, {**OCTETS, "Stream-Offset": "0" * 20}, b"late")).status >= 200
        assert (await server.ask("POST", "/v1/stream/none", OCTETS, b"x")).status == 404
        assert (await server.ask("PATCH", AT)).status == 405
        loss = {"id": "1", "stream": "web/1/app/i", "bytes": 512, "reason": "over budget"}
        body = json.dumps(loss).encode()
        assert (await server.ask("POST", "/v1/losses", {"Content-Type": "application/x-ndjson"}, body)).status == 204
        reply = await server.ask("GET", "/metrics")
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = reply.body
        assert value(text, "logship_collect_requests_total", method="PUT", status="201") == 1
        assert value(text, "logship_collect_requests_total", method="POST", status="404") == 1
        assert value(text, "logship_collect_requests_total", method="other", status="405") == 1
        appends = value(text, "logship_collect_appends_total")
        assert appends in (3, 4)
        assert value(text, "logship_collect_append_body_bytes_total") == 4 * appends
        assert value(text, "logship_collect_streams") == 1
        assert value(text, "logship_collect_accepting") == 1
        assert value(text, "logship_collect_journal_bytes") > 12
        assert value(text, "logship_lost_bytes_total", **LOST) == 512
        assert all(name.startswith("logship_") for name in read(text)[0])
        again = (await server.ask("GET", "/metrics")).body
        assert value(again, "logship_collect_requests_total", method="GET", status="200") == 1
        assert (await server.ask("POST", "/metrics")).status == 405

    serve(tmp_path, scenario)
