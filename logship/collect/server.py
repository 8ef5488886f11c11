"""Run: listening, the connections, and their end. uvicorn's protocol without uvicorn's own server: its signals, its
logging and its waiting are ours (``run``)."""

from __future__ import annotations

import asyncio
import socket
from email.utils import formatdate

import uvicorn
from uvicorn.server import ServerState

from logship.collect.connection import Connection
from logship.collect.gate import Gate
from logship.collect.http import App
from logship.errors import USAGE, Fault
from logship.wire import Limits

BACKLOG = 1024
SWEEP_SECONDS = 1.0


class Server:
    """Serves ``app`` on ``sockets`` from ``start`` to ``stop``."""

    def __init__(
        self,
        app: App,
        gate: Gate,
        limits: Limits,
        sockets: list[socket.socket],
        *,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self._app = app
        self._gate = gate
        self._limits = limits
        self._sockets = sockets
        self._sweep_seconds = sweep_seconds
        self._state = ServerState()
        self._config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(gate.bounds.idle_seconds),
        )
        self._config.load()
        self._servers: list[asyncio.AbstractServer] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._date()
        for listener in self._sockets:
            self._servers.append(await loop.create_server(self._connect, sock=listener, backlog=BACKLOG))
        self._sweeper = loop.create_task(self._sweep())

    async def stop(self, seconds: float) -> bool:
        """Refuse what is new, let what runs be answered, for so long at most; whether all of it was."""
        self._app.stopping = True
        for server in self._servers:
            server.close()
        self._gate.wake_all()
        for connection in list(self._state.connections):
            connection.shutdown()
        running = [*self._state.tasks]
        if running:
            await asyncio.wait(running, timeout=seconds)
        late = [task for task in running if not task.done()]
        for task in late:
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        return not late

    def _connect(self) -> Connection:
        return Connection(self._config, self._state, self._gate, self._limits)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._sweep_seconds)
            self._date()
            self._gate.sweep(loop.time())

    def _date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


def listen(address: str) -> tuple[list[socket.socket], str]:
    """Sockets bound to HOST:PORT (IPv6 as [::1]:4437; port 0: a free one), and the address as it came to be."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise Fault("listen on", address, "it is no HOST:PORT", "give one like 127.0.0.1:4437 or [::]:4437", USAGE)
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.setblocking(False)
    except OSError as error:
        hint = "stop what listens there already, or give another address"
        raise Fault("listen on", address, str(error), hint) from None
    return [listener], f"{address.rpartition(':')[0]}:{listener.getsockname()[1]}"
