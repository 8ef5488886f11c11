"""What is sent: log lines that compress as those of a web server do, or noise that does not; and spools full of it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

BODY_BYTES = 1024 * 1024
SEGMENT_BODIES = 8
SEGMENT_BYTES = SEGMENT_BODIES * BODY_BYTES
"""Of a segment of the spool: as in the images."""


def lines(seed: int) -> bytes:
    """1 MiB of lines as HAProxy's."""
    chance, found, size = random.Random(seed), [], 0
    while size < BODY_BYTES:
        number = [chance.randrange(bound) for bound in (256, 65536, 60, 1000, 9, 999, 99999, 9999)]
        client = f"10.1.{number[0]}.{number[0] ^ 85}:{number[1]} [23/Nov/2026:20:15:{number[2]:02}.{number[3]:03}]"
        timers = f"0/0/{number[4]}/{number[5]}/{number[5] + number[4]} 200 {number[6]} - - ----"
        identity = f"id={chance.getrandbits(128):032x} pid=31 lc={number[6]}"
        found.append(f'{client} http app/web-{number[4]} {timers} "GET /item/{number[7]} HTTP/1.1" {identity}\n')
        size += len(found[-1])
    return "".join(found).encode()[:BODY_BYTES]


def noise(seed: int) -> bytes:
    """1 MiB that does not compress."""
    return random.Random(seed).randbytes(BODY_BYTES)


class Content:
    """Bodies of 1 MiB, repeated in a circle; ``count`` of them are one stream."""

    def __init__(self, bodies: Sequence[bytes], count: int) -> None:
        assert count % SEGMENT_BODIES == 0
        self.bodies = bodies
        self.count = count
        digest = hashlib.sha256()
        for body in self:
            digest.update(body)
        self.digest = digest.hexdigest()
        """What a stream must have when it is stored whole."""

    def __iter__(self) -> Iterator[bytes]:
        return (self.bodies[number % len(self.bodies)] for number in range(self.count))

    def begin_spool(self, folder: Path, programs: int) -> None:
        """A spool folder in which each of so many programs has said the first segment of it.

        The incarnation is not over (there is no ``alive`` that could be locked), so its streams are not closed.
        """
        folder.mkdir(parents=True)
        words = {"v": 1, "incarnation": folder.name, "service": "bench", "host": "bench", "programs": []}
        (folder / "identity.json").write_text(json.dumps({**words, "created": "2026-11-23T20:15:01.123Z"}))
        block = b"".join(self.bodies)
        for number in range(programs):
            (folder / f"p{number}").mkdir()
            (folder / f"p{number}" / f"{0:020}").write_bytes(block)

    def end_spool(self, folder: Path) -> None:
        """Every program there says the rest, at once: the segments are one file under many names."""
        for program in folder.glob("p[0-9]"):
            for offset in range(SEGMENT_BYTES, self.count * BODY_BYTES, SEGMENT_BYTES):
                (program / f"{offset:020}").hardlink_to(program / f"{0:020}")


def contents(make_count: int, *, compressible: bool) -> Content:
    """Eight different bodies of one sort, and so many of them a stream."""
    make = lines if compressible else noise
    return Content([make(seed) for seed in range(SEGMENT_BODIES)], make_count)
