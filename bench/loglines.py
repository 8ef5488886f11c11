"""Files of log lines as HAProxy writes them here: about 250 bytes, no two alike, each with the name of who wrote it."""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Iterator

BLOCK_BYTES = 4 * 1024 * 1024
"""So much is made at random; a longer file repeats it, which no peer notices: none looks back farther than 1 MiB."""
WRITER_BYTES = 4
"""The name of the writer, with a space behind it, at the beginning of each line."""

_PATHS = (
    "/", "/cart", "/checkout", "/static/app.js", "/static/site.css", "/api/v2/items/%d", "/api/v2/orders/%d/lines",
    "/search?q=%d&page=2", "/img/%d.webp", "/login",
)  # fmt: skip
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1)",
    "curl/8.11.0",
    "okhttp/4.12.0",
)
_STATES = ("----", "----", "----", "----", "----", "----", "--NI", "cD--", "SC--", "sH--")
_STATUSES = (200, 200, 200, 200, 200, 200, 200, 204, 301, 304, 404, 500, 503)


def writer_name(number: int) -> str:
    """Of the writer of one file: lines of several that came into one file can be told apart again."""
    return f"w{number:02}"


def some_lines(writer: str, seed: int, size: int) -> bytes:
    """Whole lines, of ``size`` bytes in all; the last one is as long as it takes."""
    chance, found, total = random.Random(f"{writer} {seed}"), [], 0
    for number in itertools.count(1):
        line = _line(writer, chance, number)
        total += len(line)
        if total + 600 > size:
            break
        found.append(line)
    text = "".join(found)
    return f"{text}{writer} {'x' * (size - len(text) - WRITER_BYTES - 1)}\n".encode()


def _line(writer: str, chance: random.Random, number: int) -> str:
    rare, bits = chance.getrandbits(62), chance.getrandbits(62)
    client = f"{rare & 255}.{rare >> 8 & 255}.{rare >> 16 & 255}.{rare >> 24 & 255}:{1024 + (rare >> 32 & 32767)}"
    when = f"[30/Nov/2026:12:{number // 60000 % 60:02}:{number // 1000 % 60:02}.{number % 1000:03}]"
    server = bits % 7
    wait, answer = bits >> 3 & 3, bits >> 5 & 1023
    timers = f"0/{wait}/{wait & 1}/{answer}/{wait + answer + (bits >> 15 & 63)}"
    status, state = _STATUSES[(bits >> 21) % len(_STATUSES)], _STATES[(bits >> 25) % len(_STATES)]
    path = _PATHS[(bits >> 30) % len(_PATHS)]
    if "%d" in path:
        path %= bits >> 34 & 65535
    agent = _AGENTS[(bits >> 50) % len(_AGENTS)]
    load = f"{rare >> 47 & 127}/{rare >> 50 & 63}/{rare >> 53 & 31}/{rare >> 55 & 15}/0 0/0"
    size = bits >> 8 & 131071
    return (
        f"{writer} {client} {when} http app/webapp-{server}-10-0-0-{10 + server} {timers} {status} {size} - - "
        f'{state} {load} {{{agent}|shop.example.org}} "GET {path} HTTP/1.1" id={chance.getrandbits(128):032x} '
        f"pid=31 lc={number} tt={answer}\n"
    )


class Lines:
    """What one writer writes: ``size`` bytes in lines, a whole number of blocks."""

    def __init__(self, number: int, size: int, block_bytes: int = BLOCK_BYTES) -> None:
        assert size % block_bytes == 0
        self.writer = writer_name(number)
        self.size = size
        self._block = some_lines(self.writer, number, block_bytes)

    def part(self, size: int) -> Lines:
        """The first ``size`` bytes, a whole number of blocks."""
        found = copy.copy(self)
        found.size = size
        return found

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(self._block, self.size // len(self._block))
