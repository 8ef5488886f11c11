"""Run: ``logship view``: read collect's store and show it, until told to stop.

Runs at low priority: whatever somebody searches for, intake comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import cast

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from logship.errors import USAGE, Fault
from logship.view.alerts.run import Alerts
from logship.view.alerts.telling import Plan as AlertsPlan
from logship.view.answers import Refused, answer_refused
from logship.view.api import Api
from logship.view.back_door import BackDoor
from logship.view.declared import Declaration
from logship.view.gate import Gate
from logship.view.journal_reader import Damage, Journal
from logship.view.lists import Lists
from logship.view.page import Page
from logship.view.segments import NoStore
from logship.view.sql import Sql
from logship.view.stored import Stored
from logship.view.tables import Tables

NICENESS = 10
STOP_SECONDS = 1
CONNECTIONS_MAX = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: which store, where to listen, by which names besides the local ones it may be called.

    ``config``: the file that queries have their names in, and alerts. ``alerts``: where those are told.
    """

    store: Path
    listen: str
    hosts: Sequence[str] = ()
    config: Path | None = None
    alerts: AlertsPlan | None = None


class _Server(uvicorn.Server):
    """uvicorn, but that an ordered end is one: it would end itself by the signal once more. Followers end first."""

    def __init__(self, config: uvicorn.Config, api: Api, store: Path) -> None:
        super().__init__(config)
        self._api = api
        self._door = BackDoor(store, self._answer_on)
        self._keeping: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._keeping = asyncio.get_running_loop().create_task(self._door.keep())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        await super().shutdown(sockets)

    async def _answer_on(self, listener: socket.socket) -> asyncio.AbstractServer:
        """Answer on a further socket as on the first one."""
        how = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        kind = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return await asyncio.get_running_loop().create_unix_server(partial(kind, **how), sock=listener)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._api.follower.growth.stopped = True
        super().handle_exit(sig, frame)


def application(plan: Plan, api: Api) -> Gate:
    """The whole of it as an ASGI application."""
    page, lists, stored, tables = Page(api), Lists(api), Stored(api), Tables(api)
    routes = [
        Route("/", page.root),
        Route("/logs", page.logs),
        Route("/static/{name}", page.static),
        Route("/api/logs", api.logs),
        Route("/api/logs/live", api.live),
        Route("/api/query", tables.query),
        Route("/api/queries", lists.queries),
        Route("/api/alerts", lists.alerts),
        Route("/api/sql", Sql(api).sql),
        Route("/api/losses", lists.ledger),
        Route("/api/sources", lists.sources),
        Route("/api/digest", stored.digest),
        Route("/api/bytes", stored.content),
        Route("/v1/streams", lists.streams),
        Route("/v1/losses", lists.losses),
        Route("/metrics", lists.metrics),
        Route("/openapi.json", lists.openapi),
        Route("/healthz", lists.health),
    ]
    handlers = {Refused: answer_refused, NoStore: answer_refused, Damage: answer_refused}
    return Gate(Starlette(routes=routes, exception_handlers=handlers), plan.hosts)


def server(plan: Plan, api: Api) -> uvicorn.Server:
    """What answers with it, where it is told to listen and to collect."""
    config = uvicorn.Config(
        application(plan, api),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=CONNECTIONS_MAX,
        h11_max_incomplete_event_size=16_384,
    )
    return _Server(config, api, plan.store)


def run(plan: Plan) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. Raises Fault for an address that cannot be had."""
    declaration = Declaration(plan.config)
    signal.signal(signal.SIGHUP, lambda *_: declaration.hang_up())
    with listening(plan.listen) as listener:
        with contextlib.suppress(OSError):
            os.nice(NICENESS)
        host, port = listener.getsockname()[:2]
        print(f"logship view: http://{f'[{host}]' if ':' in host else host}:{port}, store {plan.store}", flush=True)
        api = Api(Journal(plan.store), declaration)
        api.warm()
        if plan.alerts is not None:
            api.alerts = Alerts(plan.alerts, declaration, api.history)
            api.alerts.start()
        server(plan, api).run(sockets=[listener])
        if api.alerts is not None:
            api.alerts.stop()
    return 0


@contextlib.contextmanager
def listening(address: str) -> Iterator[socket.socket]:
    """A socket that listens at HOST:PORT. Raises Fault."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise Fault("listen at", address, "it is no HOST:PORT", "say it as 127.0.0.1:8080 or [::1]:8080", USAGE)
    bare = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in bare else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((bare, int(port)))
        listener.listen(128)
    except OSError as error:
        hint = "is another `logship view` running? give another address by --listen"
        raise Fault("listen at", address, error.strerror or str(error), hint) from None
    try:
        yield listener
    finally:
        listener.close()
