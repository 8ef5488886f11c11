"""The wire of PROTOCOL.md, both sides, as values: what a request asks, what an answer says.

Core all through, in h11's manner: header fields in, values out, and back. ``fields`` reads and writes single header
fields, ``requests`` (read by ``parsing``) and ``replies`` are the two directions, ``refusal`` holds the one table of
what is refused how. The collector and its clients use the same values, so what one side writes the other reads.
Left to others: sockets, bodies and time (``logship.collect.http``, ``logship.ship.http_sink``).
"""

from logship.wire.fields import Digest, Headers, Limits, Start
from logship.wire.parsing import parse_append, parse_create, parse_delete, parse_look, parse_read
from logship.wire.refusal import Code, Refusal
from logship.wire.replies import Answer, Appended, Created, Deleted, Found, Listed, Seen, next_cursor, parse_answer
from logship.wire.requests import Append, Create, Delete, Encoding, Live, Look, Mark, Read

__all__ = [
    "Answer",
    "Append",
    "Appended",
    "Code",
    "Create",
    "Created",
    "Delete",
    "Deleted",
    "Digest",
    "Encoding",
    "Found",
    "Headers",
    "Limits",
    "Listed",
    "Live",
    "Look",
    "Mark",
    "Read",
    "Refusal",
    "Seen",
    "Start",
    "next_cursor",
    "parse_answer",
    "parse_append",
    "parse_create",
    "parse_delete",
    "parse_look",
    "parse_read",
]
