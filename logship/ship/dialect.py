"""Core: whether the server speaks our superset, told by one header of its answers (PROTOCOL.md 3 and 11).

It is asked once before anything is sent, and again when an answer says otherwise than the last one did. A refusal that
says only "later" proves nothing. Where plain mode cannot be (no folder for checkpoints), a server that did speak the
superset is not asked again: what is foreign is refused by each sender, as ever.

Left to others: asking (``talk``), what each way of speaking means (``sender``, ``plain``).
"""

from __future__ import annotations

from enum import StrEnum

from logship.wire.replies import Answer


class Speech(StrEnum):
    """How the server speaks."""

    UNKNOWN = "unknown"  # nobody has heard it yet
    SUPERSET = "superset"
    DOUBTED = "doubted"  # it did speak the superset, and an answer came that does not
    PLAIN = "plain"


class Heard(StrEnum):
    """What an answer shows. ``FOREIGN``: it is final, and has not the header."""

    OURS = "ours"
    FOREIGN = "foreign"
    LATER = "later"
    NOTHING = "nothing"  # no answer, or one that is none of ours: it may be another server from now on


_GRID = """
          unknown   superset  doubted   plain
ours      superset  superset  superset  superset
foreign   plain     doubted   plain     plain
later     unknown   superset  doubted   plain
nothing   unknown   doubted   doubted   plain
"""


def _table() -> dict[Heard, dict[Speech, Speech]]:
    head, *rows = [line.split() for line in _GRID.strip().splitlines()]
    states = [Speech(name) for name in head]
    return {Heard(name): dict(zip(states, map(Speech, found), strict=True)) for name, *found in rows}


SPEECH_TABLE = _table()
"""What is known after an answer to a request about a stream."""


def heard(answer: Answer) -> Heard:
    """What an answer to a request about a stream shows."""
    if answer.superset:
        return Heard.OURS
    if answer.status in (408, 425, 429) or (answer.status >= 500 and answer.status != 501):
        return Heard.LATER
    return Heard.FOREIGN
