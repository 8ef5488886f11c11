"""The two ends of a simulated connection: what stands for ``socket``, and a transport for asyncio's protocols.

Left to others: what is between them (``network``).
"""

from __future__ import annotations

import socket as real
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.sim.engine import Task
from tests.sim.kernel import Os
from tests.sim.process import Process

if TYPE_CHECKING:
    from tests.sim.network import Network, Wire


class Transport:
    """asyncio's transport at the server's end."""

    def __init__(self, wire: Wire, listener: Listener) -> None:
        self._wire = wire
        self._listener = listener
        self._closing = False
        self._gone = False
        self._paused = False
        self._waiting: deque[bytes] = deque()
        self._protocol: Any = None

    def begin(self) -> None:
        """The connection is made."""
        self._protocol = self._listener.factory()
        self._protocol.connection_made(self)

    def arrive(self, data: bytes) -> None:
        """Bytes from the client, in the hub."""
        if not self._listener.process.dead:
            self._waiting.append(data)
            self._listener.loop.call_soon_threadsafe(self._feed)

    def eof(self) -> None:
        """The client has closed."""
        self.lost(None)

    def lost(self, error: Exception | None) -> None:
        """The connection is over, in the hub."""
        if not self._listener.process.dead and not self._gone:
            self._listener.loop.call_soon_threadsafe(self._end, error)

    def _feed(self) -> None:
        if self._wire.asked is not None and not self._wire.arrived:
            self._wire.arrived = True
            self._wire.network.tap.arrived(self._wire.asked)
        while self._waiting and not self._paused and not self._gone and self._protocol is not None:
            self._protocol.data_received(self._waiting.popleft())

    def _end(self, error: Exception | None) -> None:
        if not self._gone:
            self._gone = self._closing = True
            self._listener.open.pop(self, None)
            if self._protocol is not None:
                self._protocol.connection_lost(error)

    # What protocols call.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._gone and not self._listener.process.dead:
            self._wire.answer(bytes(data))

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._wire.down.send(b"", then=self._wire.client.finished)
            self._listener.loop.call_soon(self._end, None)

    def abort(self) -> None:
        self._closing = True
        self._wire.down.send(b"", then=self._wire.client.broken)
        self._listener.loop.call_soon(self._end, None)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._listener.loop.call_soon(self._feed)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._wire.down.send(b"", then=self._wire.client.finished)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("10.0.0.1", 40000), "sockname": ("10.0.0.2", 4437)}.get(name, default)


class Listener:
    """A server: a bound socket, its loop and what makes protocols. It ends with its process."""

    def __init__(self, sock: SimSocket, loop: Any, factory: Callable[[], Any], process: Process) -> None:
        self.loop = loop
        self.factory = factory
        self.process = process
        self.open: dict[Transport, None] = {}
        self.wires: list[Wire] = []
        self._network = sock.network
        self._place = sock.place
        self._network.listeners[self._place] = self
        process.ends.append(self._died)

    def close(self) -> None:
        """Accept no more."""
        if self._network.listeners.get(self._place) is self:
            del self._network.listeners[self._place]

    def _died(self) -> None:
        self.close()
        for wire in self.wires:
            wire.down.send(b"", then=wire.client.broken)
            wire.up.over = True


class SimSocket:
    """``socket.socket``: a client's connection, or what a server binds."""

    network: Network

    def __init__(self, _family: int = 0, _kind: int = 0, _protocol: int = 0) -> None:
        self.process: Process = self.network.os.process
        self._timeout: float | None = None
        self._wire: Wire | None = None
        self._data = bytearray()
        self._error: OSError | None = None
        self._eof = False
        self._reader: Task | None = None
        self.place: tuple[str, int] = ("", 0)
        self._name: tuple[str, str] | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def setblocking(self, _flag: bool) -> None:
        """Nothing depends on it here."""

    def setsockopt(self, *_: object) -> None:
        """Nothing depends on it here."""

    def bind(self, place: tuple[str, int] | str) -> None:
        """A place of the network, or an abstract name of the host: that is had by one socket at a time."""
        self.process.enter()
        if isinstance(place, tuple):
            self.place = place
            return
        key = self.process.host, place
        if key in self.network.names:
            raise OSError(98, "Address already in use")
        self.network.names[key] = self
        self._name = key
        self.process.ends.append(self._unname)

    def _unname(self) -> None:
        if self._name is not None:
            self.network.names.pop(self._name, None)
            self._name = None

    def getsockname(self) -> tuple[str, int]:
        return self.place

    def connect(self, place: tuple[str, int]) -> None:
        self.process.enter()
        network, engine = self.network, self.network.engine
        engine.block(network.latency() + network.latency())
        if network.unreachable(self.process.host, place[0]):
            engine.block(self._timeout)
            raise TimeoutError
        listener = network.listeners.get(place)
        if listener is None or listener.process.dead:
            raise ConnectionRefusedError(111, "Connection refused")
        self._wire = wire = network.wire(self, listener, self.process.host)
        listener.wires = [each for each in listener.wires if each.transport in listener.open]
        listener.wires.append(wire)
        listener.loop.call_soon_threadsafe(wire.transport.begin)
        self.process.ends.append(self._died)

    def sendall(self, data: bytes) -> None:
        self.process.enter()
        if self._error is not None:
            raise BrokenPipeError(32, "Broken pipe")
        assert self._wire is not None
        self._wire.request(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.process.enter()
        engine = self.network.engine
        deadline = None if self._timeout is None else engine.now + self._timeout
        while not self._data and not self._eof and self._error is None:
            if flags & Sockets.MSG_DONTWAIT and self._timeout is None:  # with a time-out Python waits all the same
                raise BlockingIOError(11, "Resource temporarily unavailable")
            self._reader = engine.current
            if not engine.block(None if deadline is None else deadline - engine.now):
                raise TimeoutError
        if self._data:
            data = bytes(self._data[:size])
            if not flags & Sockets.MSG_PEEK:
                del self._data[:size]
            return data
        if self._error is not None:
            raise self._error
        return b""

    def close(self) -> None:
        if not self.process.dead:
            self._unname()
        wire, self._wire = self._wire, None
        if wire is not None and not self.process.dead:
            wire.up.send(b"", then=wire.transport.eof)
            wire.down.over = True

    def arrive(self, data: bytes) -> None:
        """Bytes from the server."""
        self._data += data
        self._wake()

    def finished(self) -> None:
        """The server has closed."""
        self._eof = True
        self._wake()

    def broken(self) -> None:
        """The connection was reset."""
        self._error = ConnectionResetError(104, "Connection reset by peer")
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None:
            self.network.engine.wake(self._reader)

    def _died(self) -> None:
        if self._wire is not None:
            if not self._wire.late:
                self._wire.up.send(b"", then=self._wire.transport.eof)
            self._wire.down.over = True


class Sockets:
    """``socket``."""

    SOCK_STREAM, SOCK_DGRAM, SOCK_CLOEXEC = real.SOCK_STREAM, real.SOCK_DGRAM, real.SOCK_CLOEXEC
    AF_UNIX = real.AF_UNIX
    IPPROTO_TCP, TCP_NODELAY = real.IPPROTO_TCP, real.TCP_NODELAY
    SOL_SOCKET, SO_REUSEADDR = real.SOL_SOCKET, real.SO_REUSEADDR
    MSG_PEEK, MSG_DONTWAIT = int(real.MSG_PEEK), int(real.MSG_DONTWAIT)  # numbers are quicker than flags
    socket = SimSocket

    def __init__(self, os: Os) -> None:
        self._os = os

    def gethostname(self) -> str:
        """Of the container the process runs in."""
        return self._os.process.host

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        """Names are addresses here."""
        return [(2, 1, 6, "", (host, port))]
