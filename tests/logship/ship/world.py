"""One source, its sender and a model collector between which everything may go wrong, step by step."""

from __future__ import annotations

import hashlib
import json
import random

from logship.ship.chain import Link, Origin, parse_list
from logship.ship.held import Held, Lost
from logship.ship.sender import Sender
from logship.ship.states import Acknowledged, Command, Commands, ListChain, Prove, Record, Request, Say, Send
from logship.spool.ranges import Span, merged, without
from logship.values import Invalid
from logship.wire.replies import Answer
from logship.wire.requests import Append, Create, Look
from tests.logship.ship.model import ModelCollector, answer_of

ORIGIN = Origin("webapp", "1", "serf", "20261123T201501Z-9f2c51aa", (("host", "3f2a9c"),))
CHUNK_BYTES = 700


class World:
    """Bytes of the source are told by their offset, so that nothing can stand at a wrong place unseen."""

    def __init__(self, seed: int = 0, collector: ModelCollector | None = None) -> None:
        self.noise = random.Random(seed).randbytes(1 << 20)
        self.collector = collector or ModelCollector()
        self.spans: list[Span] = []
        self.end = 0
        self.losses: list[Lost] = []
        self.deleted = 0
        self.ended = False
        self.any = False
        self.acked = 0
        self.said: list[Say] = []
        self.sent: Request | None = None  # the request that is out
        self.late: list[Request] = []  # requests that arrive after their sender gave them up
        self.now = 0.0
        self.changed: dict[int, int] = {}  # bytes of the source that are not what they were
        self.sender = Sender(ORIGIN)

    # the source

    def grow(self, size: int) -> None:
        """The program writes."""
        if size:
            self.spans = merged([*self.spans, Span(self.end, size)])
            self.end += size
            self.any = True
        self.look()

    def lose(self, size: int) -> None:
        """The disk refuses what the program writes."""
        self.losses.append(Lost(Span(self.end, size), "not stored: No space left on device"))
        self.end += size
        self.any = True  # spool makes an empty segment beyond the hole

    def delete(self, below: int) -> None:
        """Spool makes room, or deletes what is acknowledged."""
        self.deleted = max(self.deleted, min(below, self.end))
        cut = [Span(max(s.offset, below), s.end - max(s.offset, below)) for s in self.spans if s.end > below]
        self.spans = cut

    def bytes_at(self, offset: int, size: int) -> bytes:
        """What the source holds there."""
        data = bytearray(self.noise[offset : offset + size])
        for at, byte in self.changed.items():
            if offset <= at < offset + size:
                data[at - offset] = byte
        return bytes(data)

    def look(self) -> None:
        """The sender sees the source."""
        held = Held(tuple(self.spans), self.end, self.any, self.ended, (), tuple(self.losses))
        self.do(self.sender.looked(held, self.now, 0.5))

    # the sender

    def restart_sender(self) -> None:
        """Killed and started anew: it knows nothing."""
        if self.sent is not None:
            self.late.append(self.sent)
            self.sent = None
        self.sender = Sender(ORIGIN)
        self.look()

    def step(self) -> bool:
        """Let the sender talk once, if it wants to and nothing is out; whether it did."""
        self.do(self.sender.tick(self.now, 0.5))
        if self.sent is not None or not self.sender.want:
            return False
        self.do(self.sender.granted(CHUNK_BYTES, self.now, 0.5))
        assert self.sent is not None
        return True

    def do(self, commands: Commands) -> None:
        """Perform them."""
        for command in commands:
            self.perform(command)

    def perform(self, command: Command) -> None:
        """Perform one."""
        if isinstance(command, Say):
            self.said.append(command)
        elif isinstance(command, Acknowledged):
            self.acked = command.offset
        elif isinstance(command, Prove):
            data = self.bytes_at(command.span.offset, command.span.size)
            assert command.digest is not None, "only of a followed file"
            same = hashlib.sha256(data).digest() == command.digest.value
            self.do(self.sender.proved(same, self.now, 0.5))
        else:
            assert self.sent is None
            self.sent = command

    # the wire

    def deliver(self) -> None:
        """The request arrives, and its answer comes back."""
        if self.sent is None:
            return
        request, self.sent = self.sent, None
        answer, links, sent = self.carry_out(request)
        self.do(self.sender.answered(answer, self.now, 0.5, links, sent))

    def lose_answer(self) -> None:
        """The request arrives; its answer does not."""
        if self.sent is not None:
            request, self.sent = self.sent, None
            self.carry_out(request)
            self.do(self.sender.unanswered("reset", self.now, 0.5))

    def lose_request(self) -> None:
        """The request does not arrive, yet: it may do so later."""
        if self.sent is not None:
            self.late.append(self.sent)
            self.sent = None
            self.do(self.sender.unanswered("timed out", self.now, 0.5))

    def arrive_late(self) -> None:
        """A request that was given up arrives after all."""
        if self.late:
            self.carry_out(self.late.pop(0))

    def carry_out(self, request: Request) -> tuple[Answer, list[Link], int]:
        """What the collector does."""
        collector = self.collector
        if isinstance(request, ListChain):
            found = parse_list(collector.listing(request.incarnation))
            assert not isinstance(found, Invalid)
            return Answer(200), found.get(ORIGIN.program, []), 0
        if isinstance(request, Record):
            collector.record(request.loss)
            return Answer(204), [], 0
        if isinstance(request, Look):
            return answer_of(collector.look(request)), [], 0
        if isinstance(request, Create):
            return answer_of(collector.create(request)), [], 0
        if isinstance(request, Append):
            return answer_of(collector.append(request, b"")), [], 0
        assert isinstance(request, Send)
        data = self.bytes_at(request.offset, request.size)
        return answer_of(collector.append(request.append, data), collector.limits), [], len(data)

    def reconnect(self) -> None:
        """The collector was restarted: what was on its way is lost, and connections are made anew."""
        self.lose_request()
        self.late.clear()
        self.do(self.sender.doubted(self.now, 0.5))

    # the end

    def finish(self, steps_max: int = 2000) -> None:
        """No more faults: everything comes to rest."""
        self.late.clear()
        for _ in range(steps_max):
            self.look()
            self.now += 1
            if self.sent is not None or self.step():
                self.deliver()
            elif self.sender.settled:
                return
        raise AssertionError(f"no rest after {steps_max} steps: {self.sender.state} {self.sender.trouble}")

    def chain(self) -> list[tuple[int, bytes, dict[str, object]]]:
        """Base, bytes and source of each stream, in the order of the spool."""
        found = []
        for path, kept in self.collector.streams.items():
            name = path.rpartition("/")[2].removeprefix(ORIGIN.incarnation)
            found.append((int(name.split(".")[1]) if name else 0, bytes(kept.data), kept.source))
        return sorted(found, key=lambda each: (each[0], len(each[1])))

    def check(self) -> None:
        """Every byte stands where it belongs, once; what stands nowhere is recorded, exactly."""
        stored: list[Span] = []
        lost: list[Span] = []
        for base, data, source in self.chain():
            assert data == self.bytes_at(base, len(data))
            assert not [span for span in stored if base < span.end and base + len(data) > span.offset]
            if data:
                stored.append(Span(base, len(data)))
            size = source.get("lost_bytes", 0)
            assert isinstance(size, int)
            assert (size > 0) == bool(source.get("lost_reason")), json.dumps(source)
            if size:
                lost.append(Span(base - size, size))
        # A PUT that arrives after its sender's death may tell a part of a loss that its successor tells whole.
        lost = merged(lost)
        assert sum(span.size for span in without(lost, stored)) == sum(span.size for span in lost), (stored, lost)
        whole = merged([*stored, *lost])
        assert not whole or (len(whole) == 1 and whole[0].offset == 0), (stored, lost)
        records = [loss for loss in self.collector.losses.values() if loss.bytes]
        at_the_end = self.end - max((span.end for span in whole), default=0) if self.ended else 0
        assert sum(loss.bytes or 0 for loss in records) == at_the_end
        for span in self.spans:
            assert any(each.offset <= span.offset and span.end <= each.end for each in merged(stored)), (span, stored)
