"""The load client against a server that misbehaves in every way: each way is found, counted and named."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from supervise.evidence.load import Load, main
from supervise.evidence.tally import Outcome


@dataclass(frozen=True)
class Asked:
    """Request ``number`` of a connection, its head, and where the answer goes."""

    number: int
    head: bytes
    writer: asyncio.StreamWriter


Behave = Callable[[Asked], Awaitable[bool]]


def answer(value: object, *headers: str, status: str = "200 OK") -> bytes:
    body = json.dumps(value).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


GOOD = answer({"host": "a", "counter": 1})


@contextmanager
def server(behave: Behave) -> Iterator[int]:
    """A server on a free port of the loopback; ``behave`` answers request n of a connection, False ends it."""
    loop = asyncio.new_event_loop()
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        number = 0
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                number += 1
                if not await behave(Asked(number, head, writer)):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:

        async def end() -> None:
            listening.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


def judged(behave: Behave, kinds: Mapping[str, int] | None = None, requests: int = 10, **options: Any) -> Outcome:
    """What a load on such a server comes to."""
    with server(behave) as port:
        bounds = {"requests_min": requests, "seconds_max": 200, "timeout": 60}
        return Load("127.0.0.1", port, kinds or {"keep-alive": 1}, **{**bounds, **options}).start().stop()


async def good(asked: Asked) -> bool:
    last = b"\r\nConnection: close\r\n" in asked.head
    asked.writer.write(answer({"host": "a", "counter": asked.number}, "Connection: close") if last else GOOD)
    return not last


def test_good_answers_to_every_kind_are_no_failure() -> None:
    outcome = judged(good, {"keep-alive": 2, "close": 2, "slow": 1, "sticky": 1}, requests=400, slow_pause=0.01)
    assert outcome.failed == 0, outcome
    assert outcome.requests >= 400
    assert set(outcome.by_kind) == {"keep-alive", "close", "slow", "sticky"}
    assert outcome.by_server == {"a": outcome.requests}
    assert 0 < outcome.p50 <= outcome.p99 <= outcome.max * 1.02


def test_a_client_of_kind_close_opens_a_connection_a_request_and_keep_alive_does_not() -> None:
    for kind, wanted in (("close", {1}), ("keep-alive", set(range(1, 51)))):
        seen: set[int] = set()

        async def note(asked: Asked, seen: set[int] = seen) -> bool:
            seen.add(asked.number)
            return await good(asked)

        assert judged(note, {kind: 1}, requests=50).failed == 0
        assert wanted <= seen
        assert kind == "keep-alive" or seen == {1}


def write(data: bytes, *, stay: bool = True) -> Behave:
    async def behave(asked: Asked) -> bool:
        asked.writer.write(data)
        return stay

    return behave


def reset_after(data: bytes) -> Behave:
    """Some bytes, then RST instead of FIN."""

    async def behave(asked: Asked) -> bool:
        asked.writer.write(data)
        await asked.writer.drain()
        raw = asked.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        asked.writer.transport.abort()
        return False

    return behave


MISBEHAVIOUR: dict[str, tuple[Behave, str, str]] = {
    "503": (write(answer({}, status="503 Service Unavailable")), "status 503", "{}"),
    "redirect": (write(answer({}, "Location: /", status="302 Found")), "status 302", "{}"),
    "no JSON": (write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "wrong body", "no JSON"),
    "other keys": (write(answer({"host": "a"})), "wrong body", "without counter"),
    "a list": (write(answer(["host", "counter"])), "wrong body", "without host, counter"),
    "wrong type": (write(answer({"host": 1, "counter": 1})), "wrong body", "wrong type"),
    "empty body": (write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "wrong body", "no JSON"),
    "EOF at once": (write(b"", stay=False), "closed before the answer", "request 1"),
    "EOF in the head": (write(GOOD[:20], stay=False), "closed in the middle of the answer", ""),
    "EOF in the body": (write(GOOD[:-3], stay=False), "closed in the middle of the answer", ""),
    "reset before": (reset_after(b""), "reset before the answer", ""),
    "reset in the body": (reset_after(GOOD[:-3]), "reset in the middle of the answer", ""),
    "two answers": (write(GOOD + GOOD), "not an answer", "nobody asked for"),
    "not HTTP": (write(b"SSH-2.0-OpenSSH\r\n\r\n"), "not an answer", "not HTTP/1.1"),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_each_misbehaviour_is_a_failure_with_its_reason(name: str) -> None:
    behave, reason, detail = MISBEHAVIOUR[name]
    outcome = judged(behave, requests=3)
    assert outcome.failed == outcome.requests >= 3
    if reason.startswith("reset"):  # the kernel may tell a reset as an end when the bytes came together with it
        assert all(item.endswith(reason.removeprefix("reset")) for item in outcome.by_reason), outcome
        assert reason in outcome.by_reason, outcome
    else:
        assert set(outcome.by_reason) == {reason}, outcome
    assert detail in outcome.failures[0].detail
    assert outcome.failures[0].kind == "keep-alive"
    assert outcome.failures[0].time.endswith("Z")


def test_an_answer_that_takes_too_long_is_a_timeout() -> None:
    async def never(asked: Asked) -> bool:
        asked.writer.write(GOOD[:10])
        await asyncio.Event().wait()
        return False

    outcome = judged(never, requests=2, timeout=0.1)
    assert set(outcome.by_reason) == {"timeout"}
    assert outcome.failures[0].detail == "no answer within 0.1 s"


def test_a_port_where_nobody_listens_is_refused() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets it
        outcome = Load("127.0.0.1", held.getsockname()[1], {"close": 1}, requests_min=2).start().stop()
    assert set(outcome.by_reason) == {"refused"}


async def closes_unannounced_after_three(asked: Asked) -> bool:
    """Takes the fourth request and ends without a byte: a closing keep-alive connection seen from its worst side."""
    if asked.number > 3:
        return False
    asked.writer.write(GOOD)
    return True


def test_strictly_an_unannounced_end_on_reuse_is_a_failure() -> None:
    outcome = judged(closes_unannounced_after_three, requests=12)
    assert set(outcome.by_reason) == {"closed before the answer"}
    assert 3 <= outcome.failed <= outcome.requests / 4 + 1
    assert "request 4 on this connection" in outcome.failures[0].detail


def test_with_retry_an_unannounced_end_on_reuse_is_repeated_once_and_counted() -> None:
    outcome = judged(closes_unannounced_after_three, requests=12, retry=True)
    assert outcome.failed == 0, outcome
    assert outcome.retried >= 3


def test_with_retry_a_first_request_without_answer_is_still_a_failure() -> None:
    assert judged(write(b"", stay=False), requests=3, retry=True).failed >= 3


def test_an_announced_end_is_no_failure() -> None:
    outcome = judged(write(answer({"host": "a", "counter": 1}, "Connection: close"), stay=False), requests=10)
    assert (outcome.failed, outcome.closed_idle) == (0, 0)


def test_an_end_while_no_request_is_on_the_connection_harms_nobody_and_is_counted() -> None:
    outcome = judged(write(GOOD, stay=False), {"slow": 5}, requests=10, slow_pause=2)
    assert outcome.failed == 0, outcome
    assert outcome.closed_idle >= 4


def test_bytes_that_come_while_no_request_is_on_the_connection_are_a_failure() -> None:
    async def chatty(asked: Asked) -> bool:
        asked.writer.write(GOOD)
        await asked.writer.drain()
        asyncio.get_running_loop().call_later(0.05, asked.writer.write, b"surprise")
        return True

    outcome = judged(chatty, {"slow": 1}, requests=3, slow_pause=0.3)
    assert "bytes that nobody asked for" in outcome.by_reason


def sticky_server(*, forget: bool = False, wander: bool = False) -> Behave:
    """Two servers behind one cookie. ``forget``: the counter starts anew; ``wander``: the cookie is not looked at."""
    counters: dict[str, int] = {}

    async def behave(asked: Asked) -> bool:
        cookies = dict(
            item.split("=", 1)
            for line in asked.head.decode().split("\r\n")
            if line.startswith("Cookie: ")
            for item in line.removeprefix("Cookie: ").split("; ")
        )
        new = "SERVERID" not in cookies or wander
        where = "ab"[len(counters) % 2] if new else cookies["SERVERID"]
        session = cookies.get("NODESESSID", f"s{len(counters)}")
        counters[session] = 1 if forget else counters.get(session, 0) + 1
        headers = [f"Set-Cookie: SERVERID={where}; path=/", f"Set-Cookie: NODESESSID={session}; HttpOnly"]
        last = b"Connection: close" in asked.head
        asked.writer.write(answer({"host": where, "counter": counters[session]}, *headers))
        if wander:
            counters[f"{len(counters)}"] = 0
        return not last

    return behave


def test_sticky_clients_keep_their_cookies_across_connections_and_begin_new_sessions() -> None:
    outcome = judged(sticky_server(), {"sticky": 2}, requests=1000)
    assert outcome.failed == 0, outcome
    assert outcome.sessions >= 4
    assert (outcome.sessions_moved, outcome.sessions_reset) == (0, 0)
    assert set(outcome.by_server) == {"a", "b"}


def test_a_session_that_moves_or_forgets_is_told() -> None:
    assert judged(sticky_server(forget=True), {"sticky": 1}, requests=20).sessions_reset > 0
    moved = judged(sticky_server(wander=True), {"sticky": 1}, requests=20)
    assert moved.sessions_moved_unexplained == moved.sessions_moved > 0


def test_moves_away_from_a_server_that_was_said_to_be_gone_have_a_known_reason() -> None:
    with server(sticky_server(wander=True)) as port:
        load = Load("127.0.0.1", port, {"sticky": 1}, requests_min=20, seconds_max=200, timeout=60).start()
        load.gone("a", "b")
        outcome = load.stop()
    assert outcome.sessions_moved > 0
    assert outcome.sessions_moved_unexplained == 0


def test_while_it_runs_a_load_tells_requests_servers_and_waits_for_more() -> None:
    with server(good) as port, Load("127.0.0.1", port, {"keep-alive": 1}, seconds_max=60) as load:
        assert load.wait(50)
        assert load.requests >= 50
        assert 0 <= load.servers["a"] <= load.elapsed
        outcome = load.stop()
    assert outcome.requests >= 50
    assert outcome.first_answer["a"] < outcome.last_answer["a"] <= outcome.seconds


def test_a_load_ends_by_itself_at_its_bound() -> None:
    with server(good) as port:
        load = Load("127.0.0.1", port, {"slow": 1}, requests_min=10**9, seconds_max=2, slow_pause=0.05).start()
        assert not load.wait(10**9, seconds=60)
        outcome = load.stop()
    assert 0 < outcome.requests < 1000


def test_a_bound_of_requests_a_second_is_kept() -> None:
    outcome = judged(good, {"keep-alive": 4, "close": 4}, requests=40, per_second=100)
    assert outcome.rate <= 130  # every client may ask once at the very beginning of its interval


@pytest.mark.parametrize("kinds", [{}, {"fast": 1}, {"close": 0}, {"close": -1, "slow": 2}, {"close": 10**6}])
def test_kinds_that_cannot_be_are_refused(kinds: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="clients"):
        Load("127.0.0.1", 1, kinds)


def test_the_command_prints_the_outcome_and_its_status_says_whether_any_failed(capsys: Any) -> None:
    with server(good) as port:
        assert main([f"127.0.0.1:{port}", "--requests", "50", "--kind", "close=2"]) == 0
        text = capsys.readouterr().out
        assert "0 failed" in text
        assert "95 % confidence" in text
        assert main([f"127.0.0.1:{port}", "--requests", "50", "--kind", "close=2", "-o", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["failed"] == 0
    with server(write(answer({}, status="503 X"))) as port:
        assert main([f"127.0.0.1:{port}", "--requests", "3", "--kind", "close=1"]) == 1
        assert "x status 503" in capsys.readouterr().out


def test_the_command_fails_when_fewer_requests_came_to_an_end_than_asked_for(capsys: Any) -> None:
    with server(good) as port:
        words = [f"127.0.0.1:{port}", "--requests", "1000000", "--seconds", "0.3", "--kind", "close=1"]
        assert main(words) == 1
    assert "of 1000000 requests" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["nowhere"], ["h:0"], ["h:x"], [":80"], ["h:80", "--kind", "x=1"], ["h:80", "--kind", "close"]]
)
def test_a_wrong_command_line_is_status_two(words: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
