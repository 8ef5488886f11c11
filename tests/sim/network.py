"""A network between simulated hosts.

Bytes arrive in order within a connection, cut into pieces anywhere, after chance latencies, so connections overtake
each other. A *fate* befalls a request by its number: its bytes or its answer's are cut after any byte, vanish or wait
on their way, it comes a second time (a proxy's retry), or a proxy hands on another body that is as valid. What a dead
process had sent still arrives.

Left to others: the ends of a connection (``sockets``).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from tests.sim.engine import Engine
from tests.sim.garble import garbled
from tests.sim.kernel import Os
from tests.sim.sockets import Listener, SimSocket, Transport
from tests.sim.wiretap import Asked, Wiretap

RETRANSMIT_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Fate:
    """What befalls a request: ``kind`` at byte ``at`` (a share of 0 to 1), for ``seconds``.

    cut-request, cut-answer: reset there. lose-request, lose-answer: nothing after it arrives. delay-request,
    delay-answer: what is after it comes so much later. again: the same request comes once more. garble: another body.
    die: who sent it is killed, and it comes so much later.
    """

    kind: str
    at: float = 0.0
    seconds: float = 0.0


class Flow:
    """One direction of a connection."""

    def __init__(self, network: Network, source: str, target: str, take: Callable[[bytes], None]) -> None:
        self.network = network
        self.source = source
        self.target = target
        self.take = take
        self.over = False
        self.void = False  # what is sent from now on vanishes
        self._last = 0.0
        self._held: deque[tuple[bytes, Callable[[], None] | None]] = deque()

    def send(self, data: bytes, delay: float = 0.0, then: Callable[[], None] | None = None) -> None:
        """Carry bytes over, in pieces; ``then`` follows them."""
        chance = self.network.random
        count = int(chance.random() * 5) - 2  # most come in one piece
        if count <= 0:
            self._later(data, delay, None)
        else:
            cuts = sorted({0, len(data), *(int(chance.random() * (len(data) + 1)) for _ in range(count))})
            for low, high in pairwise(cuts):
                self._later(data[low:high], delay, None)
        if then is not None:
            self._later(b"", delay, then)

    def _later(self, piece: bytes, delay: float, then: Callable[[], None] | None) -> None:
        if self.void or not (piece or then):
            return
        engine = self.network.engine
        self._last = max(self._last, engine.now + self.network.latency() + delay)
        self._held.append((piece, then))
        engine.at(self._last, self._arrive)

    def _arrive(self) -> None:
        if self.over or not self._held:
            return
        if (self.source, self.target) in self.network.blocked:
            self.network.held_up(self.source, self.target)
            self.network.engine.after(RETRANSMIT_SECONDS, self._arrive)
            return
        piece, then = self._held.popleft()
        if piece:
            self.take(piece)
        if then is not None:
            then()


class Wire:
    """One connection, from ``client`` to the listener at the other end."""

    def __init__(self, network: Network, client: SimSocket, listener: Listener, host: str) -> None:
        self.network = network
        self.client = client
        self.transport = Transport(self, listener)
        self.up = Flow(network, host, listener.process.host, self.transport.arrive)
        self.down = Flow(network, listener.process.host, host, client.arrive)
        self.fate: Fate | None = None
        self.asked: Asked | None = None
        self.arrived = False
        self.late = False  # what was sent waits for its moment
        listener.open[self.transport] = None

    def request(self, data: bytes) -> None:
        """The client sends; mostly a whole request."""
        fate, met = self.network.next_fate(data), self.network.met
        self.asked, self.arrived = self.network.tap.asked(data), False
        self.fate = None
        kind = fate.kind if fate else ""
        if fate is None or kind.endswith("answer"):
            self.fate = fate
            self.up.send(data)
            return
        at = int(fate.at * len(data))
        met[kind] += 1
        if kind == "cut-request":
            met[f"request cut at byte {at}"] += 1
            self.up.send(data[:at], then=self.reset)
        elif kind == "lose-request":
            self.up.send(data[:at])
            self.up.void = True
        elif kind == "delay-request":
            self.up.send(data[:at])
            self.up.send(data[at:], fate.seconds)
        elif kind == "die":
            self._die(data, fate)
        elif kind == "again":
            self.up.send(data)
            self.network.engine.after(fate.seconds, lambda: self.network.ghost(self, data))
        else:
            assert kind == "garble", kind
            self.up.send(garbled(data, self.network.random))

    def _die(self, data: bytes, fate: Fate) -> None:
        """What a process had sent comes after its end: at the worst moment, when its next life has asked for the end of
        the stream, or just so much later."""
        if fate.at < 0.5 or self.asked is None:
            self.up.send(data, fate.seconds)
        else:
            self.late = True
            self.network.expect(
                self.asked.path, fate.seconds + 2.0, lambda: self.up.send(data, 0.0, self.transport.eof)
            )
        self.client.process.kill()

    def answer(self, data: bytes) -> None:
        """The server sends, in one piece or several."""
        if self.asked is not None:
            self.network.tap.answered(self.asked, data)
            if self.asked.method == "HEAD":
                self.network.looked(self.asked.path)
            self.asked = None
        fate = self.fate
        if fate is None:
            self.down.send(data)
            return
        self.fate = None
        at, met = int(fate.at * len(data)), self.network.met
        met[fate.kind] += 1
        if fate.kind == "cut-answer":
            met[f"answer cut at byte {at}"] += 1
            self.down.send(data[:at], then=self.reset)
        elif fate.kind == "lose-answer":
            self.down.send(data[:at])
            self.down.void = True
        else:
            self.down.send(data[:at])
            self.down.send(data[at:], fate.seconds)

    def reset(self) -> None:
        """Both ends learn that it is broken."""
        self.up.over = self.down.over = True
        self.client.broken()
        self.transport.lost(ConnectionResetError())


class _Ghost:
    """The client's end of a request that a proxy sends again: nobody takes the answer."""

    def arrive(self, _data: bytes) -> None:
        """Dropped."""

    def finished(self) -> None:
        """Nobody cares."""

    def broken(self) -> None:
        """Nobody cares."""


class Network:
    """All of it. ``fates`` are by number of request; ``blocked`` are pairs of hosts, one way."""

    def __init__(self, os: Os, random: Random, fates: dict[int, Fate]) -> None:
        self.os = os
        self.engine: Engine = os.engine
        self.random = random
        self.fates = fates
        self.requests = 0
        self.met: Counter[str] = Counter()
        self.blocked: set[tuple[str, str]] = set()
        self.dark: set[str] = set()  # hosts that are off
        self.names: dict[tuple[str, str], SimSocket] = {}  # abstract ones, by host
        self._expected: dict[str, list[Callable[[], None]]] = {}
        self.listeners: dict[tuple[str, int], Listener] = {}
        self.latency_max = 0.005
        self.tap: Wiretap
        self.told: Callable[[int, Fate, bytes], None] = lambda _number, _fate, _data: None

    def latency(self) -> float:
        """Of one piece: mostly short."""
        chance = self.random.random()
        return 0.0001 + self.latency_max * chance * chance * chance

    def wire(self, client: SimSocket, listener: Listener, host: str) -> Wire:
        """A connection from ``host``."""
        return Wire(self, client, listener, host)

    def expect(self, path: str, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then`` when somebody was told where the stream ends, or after so long."""
        told = False

        def once() -> None:
            nonlocal told
            if not told:
                told = True
                then()

        self._expected.setdefault(path, []).append(once)
        self.engine.after(seconds, once)

    def looked(self, path: str) -> None:
        """Somebody is told where a stream ends."""
        for call in self._expected.pop(path, []):
            call()

    def unreachable(self, source: str, target: str) -> bool:
        """Whether no connection can be made."""
        if (source, target) in self.blocked or (target, source) in self.blocked:
            self.held_up(source, target)
            return True
        return target in self.dark

    def held_up(self, source: str, target: str) -> None:
        """A partition kept something from its way."""
        both = {(source, target), (target, source)} <= self.blocked
        self.met["partition" if both else "one-way partition"] += 1

    def next_fate(self, data: bytes) -> Fate | None:
        """What befalls the next request."""
        self.requests += 1
        fate = self.fates.get(self.requests)
        if fate is not None:
            self.told(self.requests, fate, data)
        return fate

    def ghost(self, wire: Wire, data: bytes) -> None:
        """The request once more, over a connection of its own."""
        host, name = wire.up.source, wire.up.target
        listener = next((each for (there, _), each in self.listeners.items() if there == name), None)
        if listener is not None and not listener.process.dead:
            ghost = Wire(self, _Ghost(), listener, host)  # type: ignore[arg-type]  # as much as a wire needs
            listener.loop.call_soon_threadsafe(ghost.transport.begin)
            ghost.asked = self.tap.asked(data)
            if ghost.asked is not None:
                ghost.asked.tail = None  # what the source held is what it held when it was sent first
            ghost.up.send(data)
            self.met["a request came twice"] += 1
