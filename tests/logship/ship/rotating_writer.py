"""A program that writes lines into a file and rotates it as supervisord does; it knows nothing of the code under test.

``python rotating_writer.py FOLDER --bytes-per-second N --rotate-seconds S --backups N --seconds S`` writes
``FOLDER/x.log``: numbered lines of random length. Each rotation closes the file, renames ``.N-1`` to ``.N`` ... and the
file to ``.1``, and opens it anew, not for appending. Each generation is hashed as it is written; its length, digest and
first line's number go to standard output as one JSON object a line when it is complete.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import random
import sys
import time
from pathlib import Path

PIECE_BYTES = 256 * 1024
CATCH_UP_SECONDS = 10.0


class Lines:
    """Numbered lines, about half of each compressible, made of ready pieces: hashing them must cost more."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.number = 0
        self._chance = chance
        self._tails = [
            b" GET /a/path/that/comes/again?id=%s HTTP/1.1 200\n"
            % chance.randbytes(chance.randrange(4, 120)).hex().encode()
            for _ in range(4096)
        ]

    def piece(self) -> bytes:
        """Whole lines, at least PIECE_BYTES of them."""
        start = self._chance.randrange(len(self._tails))
        tails, parts, size, number = self._tails, [], 0, self.number
        while size < PIECE_BYTES:
            line = b"%012d" % number + tails[(start + number * 7) % len(tails)]
            parts.append(line)
            size += len(line)
            number += 1
        self.number = number
        return b"".join(parts)


def rotate(path: Path, backups: int) -> None:
    """As supervisord's RotatingFileHandler: the oldest is replaced."""
    for number in range(backups - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(f"{path.name}.{number}").rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def write(path: Path, options: argparse.Namespace) -> None:
    """Until the time is over."""
    lines = Lines(options.seed)
    begun = time.monotonic()
    end, due, generation = begun + options.seconds, begun, 0
    while time.monotonic() < end:
        digest, size, first = hashlib.blake2b(), 0, lines.number
        rotate_at = min(end, time.monotonic() + options.rotate_seconds)
        with path.open("wb", buffering=0) as file:
            while (now := time.monotonic()) < rotate_at:
                due = max(due, now - CATCH_UP_SECONDS)
                if due > now:
                    time.sleep(min(due, rotate_at) - now)
                    continue
                piece = lines.piece()
                assert file.write(piece) == len(piece)
                digest.update(piece)
                size += len(piece)
                due += len(piece) / options.bytes_per_second
        said = {"generation": generation, "bytes": size, "digest": digest.hexdigest(), "first": first}
        print(json.dumps(said), flush=True)
        generation += 1
        if time.monotonic() < end:
            rotate(path, options.backups)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--bytes-per-second", type=float, default=50e6)
    parser.add_argument("--rotate-seconds", type=float, default=2.0)
    parser.add_argument("--backups", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write(Path(options.folder) / "x.log", options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
