"""Damage over HTTP: sound bytes on both sides are served, clients are told where they go on, people that it is."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import durable_streams
import pytest

from logship.collect.store import Settings
from logship.wire import Headers, parse_answer
from tests.logship.collect.shop import BOUNDS
from tests.logship.collect_http.live import Collector, Inside
from tests.logship.collect_http.test_collect_http_reading import AT, OCTETS, TEXT, events, put, serve
from tests.logship.prometheus import value

SETTINGS = Settings(BOUNDS, cache_bytes_max=0)
BODIES = b"012345678", b"damaged!!", b"sound again"


def flip(store: Path, text: bytes) -> str:
    """Damage one bit of the one place where the journal has ``text``; the segment's name."""
    for segment in (store / "journal").iterdir():
        content = segment.read_bytes()
        if text in content:
            at = content.index(text)
            with segment.open("r+b") as file:
                file.seek(at)
                file.write(bytes([content[at] ^ 1]))
            return segment.name
    raise AssertionError(f"{text!r} is in no segment")


def offset(number: int) -> str:
    return f"{number:020}"


def logged(folder: Path) -> list[dict[str, object]]:
    """What the log says of damage."""
    found = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    return [line for line in found if line["event"] == "damage"]


@pytest.mark.case(95)
def test_a_read_ends_before_damage_and_one_in_it_is_told_where_it_ends(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, *BODIES)
        segment = flip(tmp_path / "store", BODIES[1])
        for live in ("", "&live=long-poll"):
            before = await server.ask("GET", f"{AT}?offset=-1{live}")
            assert (before.status, before.body) == (200, BODIES[0])
            assert before.headers["stream-next-offset"] == offset(9)
            assert "stream-up-to-date" not in before.headers
            assert before.headers["content-length"] == "9"
            same = await server.ask("GET", f"{AT}?offset=-1{live}", {"If-None-Match": before.headers["etag"]})
            assert (same.status, same.headers["stream-next-offset"]) == (304, offset(9))
            for at in (9, 12):
                within = await server.ask("GET", f"{AT}?offset={offset(at)}{live}")
                assert (within.status, within.code, within.body.count(b"\n")) == (500, "damaged", 1)
                assert (within.headers["stream-damage-end"], within.headers["cache-control"]) == (
                    offset(18),
                    "no-store",
                )
                assert parse_answer(500, Headers(within.headers.items())).damage_end == 18
                for part in (segment, "bytes 9 to 18 of a/b", "logship fsck"):
                    assert part in within.body.decode()
            behind = await server.ask("GET", f"{AT}?offset={within.headers['stream-damage-end']}{live}")
            assert (behind.status, behind.body) == (200, BODIES[2])
            assert behind.headers["stream-up-to-date"] == "true"

    serve(tmp_path, scenario, settings=SETTINGS)


def test_a_read_that_was_whole_before_the_damage_is_still_unchanged_for_who_has_it(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, *BODIES)
        etag = (await server.ask("GET", AT)).headers["etag"]
        flip(tmp_path / "store", BODIES[1])
        assert (await server.ask("GET", AT, {"If-None-Match": etag})).status == 304
        assert (await server.ask("GET", AT)).headers["etag"] != etag

    serve(tmp_path, scenario, settings=SETTINGS)


@pytest.mark.parametrize("headers", [OCTETS, TEXT])
def test_events_end_at_damage_with_an_event_that_says_so(tmp_path: Path, headers: dict[str, str]) -> None:
    async def scenario(server: Inside) -> None:
        bodies = (b"before \xe2\x82", b"\xac damaged", b"behind")  # a character goes on into the damage
        await put(server, *bodies, headers=headers)
        flip(tmp_path / "store", bodies[1])
        found = await events(server, "offset=-1")
        assert [name for name, _ in found] == ["data", "control", "damage"]
        data = found[0][1]
        assert (base64.b64decode(data) if headers is OCTETS else data) in (bodies[0], "before \ufffd")
        control, said = json.loads(found[1][1]), json.loads(found[2][1])
        assert control["streamNextOffset"] == offset(9)
        assert "upToDate" not in control
        assert (said["streamError"], said["streamDamageEnd"]) == ("damaged", offset(18))
        assert "bytes 9 to 18 of a/b are damaged" in said["reason"]
        at_it = await server.ask("GET", f"{AT}?offset={offset(9)}&live=sse")
        assert (at_it.status, at_it.code, at_it.headers["stream-damage-end"]) == (500, "damaged", offset(18))
        following = asyncio.create_task(events(server, f"offset={said['streamDamageEnd']}"))
        await server.until(lambda: server.gate.live, "it follows")
        await put(server, b" and on", headers=headers)
        assert (await server.ask("POST", AT, {"Stream-Closed": "true"}, b"")).status == 204
        behind = [value for name, value in await following if name == "data"]
        assert b"".join(
            map(base64.b64decode, behind) if headers is OCTETS else [b"".join(map(str.encode, behind))]
        ) == (b"behind and on")

    serve(tmp_path, scenario, settings=SETTINGS)


def test_each_place_is_logged_once_and_counted_and_intake_goes_on(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, *BODIES)
        health = json.loads((await server.ask("GET", "/v1/health")).body)
        assert (health["damaged_places"], health["damaged_bytes"], health["damage"]) == (0, 0, [])
        segment = flip(tmp_path / "store", BODIES[1])
        for _ in range(3):
            await server.ask("GET", AT)
            await server.ask("GET", f"{AT}?offset={offset(9)}")
            await events(server, "offset=-1")
        reply = await server.ask("GET", "/v1/health")
        health = json.loads(reply.body)
        assert (reply.status, health["accepting"], health["failure"]) == (200, True, None)
        assert (health["damaged_places"], health["damaged_bytes"]) == (1, 9)
        (place,) = health["damage"]
        assert (place["stream"], place["start"], place["end"]) == ("a/b", 9, 18)
        assert segment in place["where"]
        (line,) = logged(tmp_path)
        assert line["level"] == "error"
        assert {name: line[name] for name in place} == place
        assert "fsck" in str(line["hint"])
        text = (await server.ask("GET", "/metrics")).body
        assert value(text, "logship_collect_damaged_places") == 1
        assert value(text, "logship_collect_damaged_bytes") == 9
        assert value(text, "logship_collect_requests_total", method="GET", status="500") == 3
        flip(tmp_path / "store", BODIES[2])
        await server.ask("GET", f"{AT}?offset={offset(18)}")
        assert [(line["start"], line["end"]) for line in logged(tmp_path)] == [(9, 18), (18, 29)]
        await put(server, b"goes on")

    serve(tmp_path, scenario, settings=SETTINGS, sse_seconds=0.1)


def test_a_shipper_can_look_at_a_stream_whose_end_is_damaged(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, *BODIES)
        flip(tmp_path / "store", BODIES[2])
        seen = await server.ask("HEAD", AT)
        assert (seen.status, seen.headers["stream-next-offset"]) == (200, offset(29))
        assert "stream-tail-digest" not in seen.headers

    serve(tmp_path, scenario, settings=SETTINGS)


@pytest.mark.case(95)
def test_a_restarted_collector_serves_both_sides_of_damage_in_a_finished_segment(tmp_path: Path) -> None:
    """As people meet it: a process, another's client, and a segment that was finished long ago."""
    collector = Collector(tmp_path / "store", "--keep-bytes", "9000000")
    assert collector.ask("PUT", AT, OCTETS).status == 201
    for body in (*BODIES, b"x" * 2_000_000, b"end"):
        assert collector.ask("POST", AT, OCTETS, body).status == 204
    assert collector.stop() == 0
    assert len(list((tmp_path / "store" / "journal").iterdir())) > 1
    flip(tmp_path / "store", BODIES[1])
    collector = Collector(tmp_path / "store", "--keep-bytes", "9000000")
    url = f"http://127.0.0.1:{collector.port}{AT}"
    with durable_streams.stream(url, offset="-1", live=False) as response:
        parts = iter(response)
        assert next(parts) == BODIES[0]
        with pytest.raises(durable_streams.DurableStreamError):
            next(parts)
    refused = collector.ask("GET", f"{AT}?offset={offset(9)}")
    assert (refused.status, refused.headers["stream-damage-end"]) == (500, offset(18))
    position, rest = refused.headers["stream-damage-end"], b""
    while True:
        reply = collector.ask("GET", f"{AT}?offset={position}")
        rest, position = rest + reply.body, reply.headers["stream-next-offset"]
        if reply.headers.get("stream-up-to-date"):
            break
    assert rest == BODIES[2] + b"x" * 2_000_000 + b"end"
    assert collector.stop() == 0
    lines = [json.loads(line) for line in collector.errors.read_text().splitlines()]
    assert [(line["stream"], line["start"], line["end"]) for line in lines if line["event"] == "damage"] == [
        ("a/b", 9, 18)
    ]
