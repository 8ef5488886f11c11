"""``supervise ctl tail``: the streams of chosen programs of many containers, merged as they arrive.

One command a container reads all its streams there (``follow``), so following fifty containers is fifty connections.
Spool streams carry no times: lines of different programs stand in the order in which they came here.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO

from logship.errors import Fault
from supervise.fleet.fleet import Asked, Stream
from supervise.fleet.lines import Frames, Lines
from supervise.fleet.result import DONE, FAILED, UNREACHABLE
from supervise.fleet.select import Choice
from supervise.fleet.table import harmless

PIECES_MAX = 64
"""Pieces read but not yet printed; then the readers wait, and behind them the commands in the containers."""

_COLOURS = (36, 33, 32, 35, 34, 31)

Piece = tuple[Choice, int, bytes | Fault | None]
"""Of a container: stream 1 or 2 and bytes, or how its reading failed, or None at its end."""


class Tail:
    """Prints the streams of ``choices`` to ``out``; what is not data goes to stderr."""

    def __init__(self, engine: Asked, choices: Sequence[Choice], out: BinaryIO, terminal: bool, colour: bool) -> None:
        self._engine, self._choices, self._out, self._terminal = engine, choices, out, terminal
        names = [self._name(choice, program) for choice in choices for program in choice.programs]
        width = max(map(len, names), default=0)
        self._single = len(names) == 1
        self._frames = {choice.container.id: Frames() for choice in choices}
        self._lines: dict[str, Lines] = {}
        for number, name in enumerate(names):
            prefix = f"{name:{width}} | "
            if colour:
                prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{prefix}\x1b[0m"
            self._lines[name] = Lines("" if self._single else prefix, terminal)
        self._pieces: queue.Queue[Piece] = queue.Queue(PIECES_MAX)
        self._streams: list[Stream] = []

    def run(self, argv: Sequence[str], follow: bool) -> int:
        """Run until every stream has ended; returns the exit status. ``argv`` is the command, without the programs."""
        for choice in self._choices:
            threading.Thread(target=self._read, args=(choice, argv), daemon=True).start()
        status, left = DONE, len(self._choices)
        try:
            while left:
                choice, number, piece = self._pieces.get()
                if isinstance(piece, bytes):
                    self._print(choice, number, piece)
                    continue
                left -= 1
                if piece is not None:
                    status = max(status, piece.status)
                    print(f"{choice.container.label}: {piece}", file=sys.stderr)
                elif follow:
                    status = max(status, UNREACHABLE)
                    print(f"{choice.container.label}: its stream ended", file=sys.stderr)
            for lines in self._lines.values():
                self._write(b"" if self._raw else lines.end())
            return status
        finally:
            for stream in self._streams:
                stream.close()

    @property
    def _raw(self) -> bool:
        """A single stream into a pipe or file is given byte for byte."""
        return self._single and not self._terminal

    def _read(self, choice: Choice, argv: Sequence[str]) -> None:
        try:
            stream = self._engine.exec_stream(choice.container, [*argv, *choice.programs])
            self._streams.append(stream)
            for number, data in stream:
                self._pieces.put((choice, number, data))
            if stream.status() not in (DONE, 130):
                raise Fault("read the streams of", choice.container.label, "its side failed", status=FAILED)
        except Fault as fault:
            self._pieces.put((choice, 0, fault))
        else:
            self._pieces.put((choice, 0, None))

    def _print(self, choice: Choice, number: int, data: bytes) -> None:
        if number == 2:
            text = harmless(data.decode(errors="replace")).rstrip("\n")
            print(f"{choice.container.label}: {text}", file=sys.stderr)
            return
        try:
            pieces = self._frames[choice.container.id].feed(data)
        except ValueError:
            print(f"{choice.container.label}: {harmless(data[:200].decode(errors='replace'))}", file=sys.stderr)
            return
        for program, piece in pieces:
            lines = self._lines[self._name(choice, program)]
            self._write(piece if self._raw else lines.feed(piece))

    def _write(self, data: bytes) -> None:
        if data:
            self._out.write(data)
            self._out.flush()

    @staticmethod
    def _name(choice: Choice, program: str) -> str:
        return f"{choice.container.label}:{program}"
