"""What every answer keeps to: unknown places, other sites' pages, where a stream is, how many there may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from logship.wire import Limits
from tests.logship.collect_http.live import Inside
from tests.logship.collect_http.test_collect_http_reading import AT, OCTETS, serve


def test_what_is_not_there_is_404_and_what_cannot_be_done_405(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        for target in ("/", "/v1", "/v1/stream", "/v1/streams/", "/v2/stream/a", "/v1/str%65am/a", "/favicon.ico"):
            assert (await server.ask("GET", target)).status == 404, target
        for method, target in (("PATCH", AT), ("POST", "/v1/streams"), ("DELETE", "/v1/losses"), ("PUT", "/v1/health")):
            reply = await server.ask(method, target)
            assert reply.status == 405
            assert "GET" in reply.headers["allow"]

    serve(tmp_path, scenario)


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "PROPFIND"])
def test_a_method_that_no_stream_has_is_refused_as_everything_else_is(tmp_path: Path, method: str) -> None:
    async def scenario(server: Inside) -> None:
        reply = await server.ask(method, AT)
        assert (reply.status, reply.headers["stream-error"]) == (405, "bad-method")
        assert reply.headers["allow"] == "GET, HEAD, PUT, POST, DELETE, OPTIONS"
        assert reply.headers["cache-control"] == "no-store"
        said = f"{method} is nothing that is done with a stream; there are GET, HEAD, PUT, POST, DELETE, OPTIONS\n"
        assert reply.body.decode() == said

    serve(tmp_path, scenario)


def test_no_page_of_another_site_gets_at_it_unless_it_is_named(tmp_path: Path) -> None:
    async def closed(server: Inside) -> None:
        reply = await server.ask("OPTIONS", AT, {"Origin": "https://x.example", "Access-Control-Request-Method": "GET"})
        assert reply.status == 204
        assert "access-control-allow-origin" not in reply.headers
        assert (await server.ask("GET", AT)).headers["cross-origin-resource-policy"] == "same-origin"

    async def opened(server: Inside) -> None:
        reply = await server.ask("OPTIONS", AT)
        assert reply.headers["access-control-allow-origin"] == "https://x.example"

    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    serve(tmp_path / "1", closed)
    serve(tmp_path / "2", opened, allow_origin="https://x.example")


@pytest.mark.case(108)
def test_a_created_stream_is_where_the_answer_says_and_no_host_header_bends_it(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reply = await server.ask("PUT", AT, OCTETS)
        assert reply.headers["location"] == f"http://127.0.0.1:{server.port}{AT}"
        ask = b"PUT /v1/stream/c HTTP/1.1\r\nHost: evil/..;x=\r\nConnection: close\r\n\r\n"
        reader, writer = await server.open(ask)
        assert b"location: /v1/stream/c\r\n" in await reader.read()
        writer.close()

    serve(tmp_path, scenario)


def test_the_bound_of_streams_holds(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        for name in ("a", "b"):
            assert (await server.ask("PUT", f"/v1/stream/{name}", OCTETS)).status == 201
        reply = await server.ask("PUT", "/v1/stream/c", OCTETS)
        assert (reply.status, reply.code, reply.headers["retry-after"]) == (429, "streams", "60")
        assert (await server.ask("PUT", "/v1/stream/a", OCTETS)).status == 200

    serve(tmp_path, scenario, limits=Limits(streams_max=2))
