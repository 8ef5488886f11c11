"""One source, its plain sender and a model of a foreign server, between which everything may go wrong, step by step.

Requests are carried out by the real ``carry``; sink, disk and source are models of memory.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from logship.ship.checkpoint import Checkpoint, parse_checkpoint
from logship.ship.held import Held
from logship.ship.http1 import Reply
from logship.ship.http_sink import Unanswered
from logship.ship.plain import PlainSender
from logship.ship.plain_courier import carry
from logship.ship.plain_states import Make, Note, PlainCommand, PlainCommands, PlainRequest, Push, Recall, Shut
from logship.ship.states import Acknowledged, Prove, Say
from logship.ship.talk import deliver
from logship.spool.ranges import Span, merged
from logship.values import Invalid
from logship.wire.fields import Headers, Pairs
from logship.wire.replies import parse_answer
from logship.wire.requests import Look
from tests.logship.ship.world import ORIGIN

CHUNK_BYTES = 700
KEY = ORIGIN.incarnation, ORIGIN.program


class Killed(Exception):
    """The shipper is gone at this very instant."""


@dataclass
class Stream:
    """A stream of the foreign server. Its offsets are no numbers."""

    data: bytearray = field(default_factory=bytearray)
    closed: bool = False
    producers: dict[str, tuple[int, int]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def end(self) -> str:
        """The opaque offset of its end."""
        return f"at-{len(self.data):08x}"


class ForeignServer:
    """The base protocol, as much of it as ship uses. ``producers`` off: their headers are ignored."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.producers = True
        self.closes = True
        self.refuses: int | None = None
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    def carry_out(self, method: str, target: str, fields: dict[str, str], body: bytes) -> tuple[int, Pairs]:
        """Status and header fields of the answer."""
        self.requests.append((method, target, fields))
        if self.refuses is not None:
            return self.refuses, []
        path = target.removeprefix("/v1/stream/")
        stream = self.streams.get(path)
        if method == "PUT":
            if stream is None:
                self.streams[path] = stream = Stream()
                return 201, [("Stream-Next-Offset", stream.end)]
            return (409, [("Stream-Closed", "true")]) if stream.closed else (200, [("Stream-Next-Offset", stream.end)])
        if stream is None:
            return 404, []
        if method == "HEAD":
            return 200, [("Stream-Next-Offset", stream.end), *([("Stream-Closed", "true")] if stream.closed else [])]
        if not body:
            if not self.closes:
                return 400, []
            stream.closed = True
            return 204, [("Stream-Next-Offset", stream.end), ("Stream-Closed", "true")]
        if stream.closed:
            return 409, [("Stream-Closed", "true"), ("Stream-Next-Offset", stream.end)]
        return self._append(stream, fields, body)

    def _append(self, stream: Stream, fields: dict[str, str], body: bytes) -> tuple[int, Pairs]:
        if not self.producers:
            stream.data += body
            stream.bodies.append(body)
            return 204, [("Stream-Next-Offset", stream.end)]
        name, epoch, sequence = fields["Producer-Id"], int(fields["Producer-Epoch"]), int(fields["Producer-Seq"])
        known_epoch, last = stream.producers.get(name, (epoch, -1))
        if epoch < known_epoch:
            return 403, [("Producer-Epoch", str(known_epoch))]
        if epoch > known_epoch:
            if sequence:
                return 400, []
            last = -1
        if sequence > last + 1:
            return 409, [("Producer-Expected-Seq", str(last + 1)), ("Producer-Received-Seq", str(sequence))]
        if sequence <= last:  # as the reference server does: without an offset
            return 204, [("Producer-Epoch", str(epoch)), ("Producer-Seq", str(last))]
        stream.data += body
        stream.bodies.append(body)
        stream.producers[name] = epoch, sequence
        pairs = [("Producer-Epoch", str(epoch)), ("Producer-Seq", str(sequence))]
        return 200, [("Stream-Next-Offset", stream.end), *pairs]


class World:
    """Everything there is. ``mishaps`` are words taken one after the other at the places where things go wrong."""

    def __init__(self, seed: int = 0) -> None:
        self.noise = random.Random(seed).randbytes(1 << 17)
        self.server = ForeignServer()
        self.disk: dict[tuple[str, str], bytes] = {}
        self.spans: list[Span] = []
        self.end = self.acked = 0
        self.ended = False
        self.gone = 0  # of a file's former contents
        self.path: str | None = None
        self.copy: bytes | None = None  # of a file that was emptied
        self.said: list[Say] = []
        self.now = 0.0
        self.fate = ""
        self.late: list[tuple[str, str, dict[str, str], bytes]] = []
        self.sender = PlainSender(ORIGIN)

    # the source

    def grow(self, size: int) -> None:
        """The program writes."""
        self.spans = merged([*self.spans, Span(self.end, size)])
        self.end += size
        self.look()

    def delete(self, below: int) -> None:
        """Spool makes room, or deletes what is acknowledged."""
        self.spans = [
            Span(max(span.offset, below), span.end - max(span.offset, below)) for span in self.spans if span.end > below
        ]
        self.look()

    def look(self) -> None:
        """The sender sees the source."""
        self.do(self.sender.looked(self.held(), self.now, 0.5))

    def held(self) -> Held:
        """What a look shows."""
        known = self.end > 0 or self.gone > 0
        return Held(tuple(self.spans), self.end, known, self.ended, (), (), self.gone, self.path)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the source."""
        room = next((span.end - offset for span in self.spans if span.offset <= offset < span.end), 0)
        return self.noise[offset : offset + min(size, room)]

    # the disk

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep it, as the book does."""
        self._strike("killed before writing")
        if self.fate == "disk full":
            self.fate = ""
            raise OSError(28, "No space left on device")
        self.disk[checkpoint.incarnation, checkpoint.program] = checkpoint.text()
        self._strike("killed after writing")

    def recall(self, incarnation: str, program: str) -> Checkpoint | None:
        """As the book does."""
        content = self.disk.get((incarnation, program))
        found = None if content is None else parse_checkpoint(content)
        assert not isinstance(found, Invalid), found
        return found

    @property
    def checkpoint(self) -> Checkpoint:
        """What is on disk."""
        found = self.recall(*KEY)
        assert found is not None
        return found

    # the wire

    def exchange(
        self, method: str, target: str, fields: Iterable[tuple[str, str]], body: bytes | None, _seconds: float
    ) -> Reply:
        """As the sink does."""
        words = dict(fields)
        self._strike("killed before sending")
        if self.fate == "request lost":
            self.fate = ""
            raise Unanswered("cut")
        if self.fate == "request late":
            self.fate = ""
            self.late.append((method, target, words, body or b""))
            raise Unanswered("no answer in time", slow=True)
        if self.fate == "busy":
            self.fate = ""
            return Reply(503, Headers([]), b"", True)
        status, pairs = self.server.carry_out(method, target, words, body or b"")
        self._strike("killed before the answer")
        if self.fate == "answer lost":
            self.fate = ""
            raise Unanswered("cut")
        return Reply(status, Headers(pairs), b"", True)

    def arrive(self) -> None:
        """What was late arrives."""
        while self.late:
            self.server.carry_out(*self.late.pop(0))

    def _strike(self, fate: str) -> None:
        if self.fate == fate:
            self.fate = ""
            raise Killed

    # the sender

    def restart(self) -> None:
        """A new process: it knows what is on disk."""
        self.sender = PlainSender(ORIGIN)
        self.look()

    def step(self, seconds: float = 0.0) -> bool:
        """Let time pass, and the sender do one thing if it wants to; whether it did."""
        self.now += seconds
        self.do(self.sender.tick(self.now, 0.5))
        if not self.sender.want:
            return False
        try:
            self.do(self.sender.granted(CHUNK_BYTES, self.now, 0.5))
        except Killed:
            self.restart()
        return True

    def finish(self, steps: int = 2000) -> None:
        """Go on until nothing is left to do."""
        for _ in range(steps):
            self.step(2.0)
            if self.sender.finished if self.ended else self.sender.settled:
                return
        raise AssertionError(f"not done: {self.sender.state}")

    def do(self, commands: PlainCommands) -> None:
        """Perform them."""
        for command in commands:
            self._perform(command)

    def _perform(self, command: PlainCommand) -> None:
        if isinstance(command, Say):
            self.said.append(command)
        elif isinstance(command, Acknowledged):
            self.acked = command.offset
        elif isinstance(command, Prove):
            same, held = self._proves(command)
            self.do(self.sender.proved(same, self.now, 0.5, held))
        elif isinstance(command, Look):
            try:
                reply = self.exchange("HEAD", f"/v1/stream/{command.path}", [], None, 1.0)
            except Unanswered as failure:
                self.do(self.sender.unanswered(failure.cause, self.now, 0.5))
                return
            self.do(self.sender.answered(parse_answer(reply.status, reply.headers), self.now, 0.5))
        else:
            self._carry(command)

    def _proves(self, command: Prove) -> tuple[bool | None, Held | None]:
        """As the folder of a spool does, or as the followed files do, which know copies."""
        span, digest = command.span, command.digest
        if self.gone != self.sender.gone:
            if self.copy is None or (
                digest and hashlib.sha256(self.copy[span.offset : span.end]).digest() != digest.value
            ):
                return False, self.held()
            self.noise, self.copy, self.gone = self.copy, None, self.sender.gone
            self.end, self.spans = len(self.noise), [Span(0, len(self.noise))]
            return True, self.held()
        assert digest is not None
        data = self.read(span.offset, span.size)
        return (None if len(data) < span.size else hashlib.sha256(data).digest() == digest.value), None

    def _carry(self, request: PlainRequest) -> None:
        assert isinstance(request, Recall | Make | Push | Shut | Note)
        try:
            carried = carry(self, Disk(self), request, self, 1.0)
        except OSError as error:
            self.do(self.sender.unread(str(error.strerror), self.now, 0.5))
            return
        self.do(deliver(self.sender, carried, self.now, 0.5))


class Disk:
    """The book of a world: ``read`` is another word there."""

    def __init__(self, world: World) -> None:
        self._world = world

    def read(self, incarnation: str, program: str) -> Checkpoint | None:
        """What is kept of a source."""
        return self._world.recall(incarnation, program)

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep it."""
        self._world.write(checkpoint)
