"""The client that judges "0 failed requests": load on the balancer, every failure counted and kept with its reason.

Owns the thread of the load and its command line; a client's manners are in ``client.py``, what bytes mean in
``answer.py``, what counts mean in ``tally.py``.

A request failed when it was answered by anything but 2xx, when the connection was refused, reset or ended, when the
answer took over 5 s (connecting included), or when the body is not JSON with the expected keys. Send the load to the
address of the balancer's container: docker's own proxy on a published port accepts connections that nobody serves.

Kinds of clients: ``keep-alive``; ``close`` (``Connection: close`` at each request); ``slow`` (keep-alive, pauses 5 s
between requests, so its connections are idle when something changes); ``sticky`` (keeps its cookies; its session has
to stay on its server and its counter to grow by one; every 10th request it leaves its connection, after 200 requests
its session).

Strict by default: a connection that the server closed after a request was sent on it and before a byte of the answer
is a failed request, though RFC 9110 9.2.2 lets a client repeat a GET then: many clients do not. ``retry=True`` repeats
it once on a new connection and counts it as retried. A connection that ended while no request was on it harms
nobody; it is counted as ``closed_idle``. After ``Connection: close`` from the server the connection is not used again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Self

from supervise.evidence.client import Client, Manners
from supervise.evidence.tally import Outcome, Tally

TIMEOUT_SECONDS = 5.0
SLOW_PAUSE_SECONDS = 5.0
CLIENTS_MAX = 2_000
KINDS: Mapping[str, int] = MappingProxyType({"keep-alive": 8, "close": 8, "slow": 4, "sticky": 8})
KEYS = ("host", "counter")


class Load:
    """A load in a thread of its own, so that the caller can change the system meanwhile.

    ``kinds``: clients of each kind. ``requests_min``: ``stop`` waits for so many. ``seconds_max``: the load ends by
    itself then. ``per_second``: bound of the requests a second without the slow clients (0: as fast as answered).
    ``keys``: what the JSON body has to have. Raises ValueError for kinds or numbers of clients that cannot be.
    """

    def __init__(
        self,
        address: str,
        port: int = 80,
        kinds: Mapping[str, int] = KINDS,
        *,
        requests_min: int = 0,
        seconds_max: float = 120.0,
        per_second: float = 0.0,
        path: str = "/",
        keys: Sequence[str] = KEYS,
        retry: bool = False,
        timeout: float = TIMEOUT_SECONDS,
        slow_pause: float = SLOW_PAUSE_SECONDS,
    ) -> None:
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise ValueError(f"unknown kinds of clients: {', '.join(unknown)}; known: {', '.join(KINDS)}")
        if min(kinds.values(), default=0) < 0 or not 0 < sum(kinds.values()) <= CLIENTS_MAX:
            raise ValueError(f"1 to {CLIENTS_MAX} clients in all, not {dict(kinds)}")
        busy = sum(count for kind, count in kinds.items() if kind != "slow")
        interval = busy / per_second if per_second > 0 else 0.0
        self._manners = Manners(address, port, path, tuple(keys), retry, timeout, slow_pause, interval)
        self._kinds = dict(kinds)
        self._requests_min = requests_min
        self._seconds_max = seconds_max
        self._tally = Tally()
        self._gone: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="load", daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._began = self._ended = 0.0

    @property
    def requests(self) -> int:
        """Requests that came to an end so far, the failed ones included."""
        return self._tally.requests

    @property
    def failed(self) -> int:
        """Failed requests so far."""
        return self._tally.failed

    @property
    def servers(self) -> dict[str, float]:
        """Seconds from the beginning of the load to the first answer of each server."""
        return dict(self._tally.first_answer)

    @property
    def began(self) -> float:
        """Reading of the monotonic clock when the load began."""
        return self._began

    @property
    def elapsed(self) -> float:
        """Seconds since the load began; a place on the time axis of ``servers``."""
        return time.monotonic() - self._began

    def gone(self, *servers: str) -> None:
        """Say that these servers were taken away on purpose: sessions that leave them moved for a known reason."""
        self._gone.update(servers)

    def start(self) -> Self:
        """Begin; returns when the clients run."""
        self._thread.start()
        self._ready.wait()
        return self

    def wait(self, requests: int, seconds: float = 60.0) -> bool:
        """Wait until ``requests`` more came to an end; False when that took over ``seconds`` or the load ended."""
        wanted, deadline = self.requests + requests, time.monotonic() + seconds
        while self.requests < wanted:
            if time.monotonic() > deadline or not self._thread.is_alive():
                return False
            time.sleep(0.02)
        return True

    def stop(self) -> Outcome:
        """Wait for ``requests_min`` (at most until ``seconds_max``), let what is on its way end; the outcome.

        Raises what stopped the load before its time.
        """
        while self.requests < self._requests_min and self._thread.is_alive():
            time.sleep(0.02)
        self._end()
        self._thread.join(self._manners.timeout * 2 + 5)
        if self._error is not None:
            raise self._error
        assert not self._thread.is_alive(), "a client of the load outlived every bound"
        return self._tally.outcome(self._ended - self._began, self._gone)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop ended by itself just now
                self._loop.call_soon_threadsafe(self._ending.set)

    def _work(self) -> None:
        self._began = time.monotonic()
        try:
            asyncio.run(self._run())
        except BaseException as error:  # a thread has nobody to raise it to: stop() does
            self._error = error
        finally:
            self._ended = time.monotonic()
            self._ready.set()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._loop.call_later(self._seconds_max, self._ending.set)
        self._ready.set()
        async with asyncio.TaskGroup() as group:
            for kind, count in self._kinds.items():
                for number in range(count):
                    client = Client(self._manners, kind, number / count, self._tally, self._ending)
                    group.create_task(client.run(self._began))


def main(arguments: Sequence[str]) -> int:
    """The command line; exit status 1 when a request failed or fewer came to an end than asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m supervise.evidence.load", description="Load on a balancer, judged."
    )
    parser.add_argument("target", metavar="ADDRESS:PORT", help="the balancer's container, never a published port")
    parser.add_argument("--requests", type=int, default=20_000, help="at least so many (default 20000)")
    parser.add_argument("--seconds", type=float, default=300, help="at most so long (default 300)")
    parser.add_argument("--per-second", type=float, default=0, help="at most so many a second (default no bound)")
    parser.add_argument("--kind", action="append", default=[], metavar="KIND=N", help=f"clients: {', '.join(KINDS)}")
    parser.add_argument("--path", default="/", help="path to ask for (default /)")
    parser.add_argument("--retry", action="store_true", help="repeat a GET once when its connection ended unanswered")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    address, colon, port = options.target.rpartition(":")
    try:
        if not (colon and address and 0 < int(port) < 65_536):
            raise ValueError("ADDRESS:PORT expected")
        load = Load(
            address,
            int(port),
            {name: int(count) for name, _, count in (item.partition("=") for item in options.kind)} or KINDS,
            requests_min=options.requests,
            seconds_max=options.seconds,
            per_second=options.per_second,
            path=options.path,
            retry=options.retry,
        )
    except ValueError as error:
        parser.error(str(error))
    outcome = load.start().stop()
    print(json.dumps(outcome.as_json(), indent=2) if options.output == "json" else outcome)
    if outcome.requests < options.requests:
        print(f"only {outcome.requests} of {options.requests} requests in {options.seconds:g} s", file=sys.stderr)
    return 1 if outcome.failed or outcome.requests < options.requests else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
