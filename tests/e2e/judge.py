"""The judge of byte identity: a program that writes a stream on its standard output and hashes what it wrote.

    judge.py FOLDER NAME SEED SECONDS

It waits for FOLDER/go, writes for so many seconds what its NAME stands for, says in FOLDER/NAME.json how much it wrote
and with which SHA-256, and stays. It is mounted into the web node and run by PID 1 like any other program; it imports
nothing of this tree, so that it shares no mistake with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MEBIBYTE = 1024 * 1024


def lines(chance: random.Random) -> Iterator[bytes]:
    """Short lines with every sort of end, none, NULs, and nothing in them; half a MB/s."""
    ends = [b"\n", b"\n", b"\r\n", b"\r", b"\n\n\n", b"\n\r", b"\0", b"\0\n", b"\r\r\n", b" \t\n"]
    while True:
        yield b"".join(b"%d %s" % (chance.getrandbits(64), chance.choice(ends)) for _ in range(400))


def noise(chance: random.Random) -> Iterator[bytes]:
    """Random bytes in pieces of random size, from one byte to more than a pipe holds; 1.5 MB/s."""
    while True:
        yield chance.randbytes(chance.choice([1, 2, 4095, 4096, 4097, 65536, 65537, 200_000]))


def encodings(chance: random.Random) -> Iterator[bytes]:
    """What is text in no encoding, or in several: broken UTF-8, Latin-1, UTF-16 with its mark, escapes; 0.3 MB/s."""
    pieces = [
        b"\xff\xfe", "größer €\n".encode(), "größer".encode("latin-1"), "größer\r\n".encode("utf-16"), b"\xc3", b"\n",
        b"\xed\xa0\x80\n", b"\xf0\x9f\x92", b"\xf4\x90\x80\x80", b"\x1b[31mred\x1b[0m\n", b"\x85\x0b\x0c",
        b"\xef\xbb\xbf", bytes(range(256)), b"{\"time\": \"\x00\"}\n", "\u2028\u2029".encode(),
    ]  # fmt: skip
    while True:
        yield b"".join(chance.choices(pieces, k=500))


def long_lines(chance: random.Random) -> Iterator[bytes]:
    """Lines of 20 MB and of 1 MiB in turn, and just beside 1 MiB; about 3 MB/s."""
    while True:
        for size in (20_000_000, MEBIBYTE, MEBIBYTE - 1, MEBIBYTE + 1):
            block = chance.randbytes(50_000).replace(b"\n", b"\r")
            for start in range(0, size, len(block)):
                yield block[: size - start]
            yield b"\n"


def drops(chance: random.Random) -> Iterator[bytes]:
    """A byte or a few at a time, as an unbuffered program writes them; slow, but in many writes."""
    while True:
        yield chance.choice([b"\n", b"\r", b"\0", b"x", b"ab", b"\xc3", b"\xa4"])


STREAMS: dict[str, tuple[Callable[[random.Random], Iterator[bytes]], float]] = {
    "lines": (lines, 5e5),
    "noise": (noise, 1.5e6),
    "encodings": (encodings, 3e5),
    "longlines": (long_lines, 3e6),
    "drops": (drops, 1e3),
}
"""What each name stands for: the pieces, and how many bytes a second at most."""
LAST = b"the last line has no end"


def write(piece: bytes) -> None:
    """All of it, however little the pipe takes at once."""
    while piece:
        piece = piece[os.write(1, piece) :]


def main() -> None:
    """Write, tell, stay."""
    folder, name, seed, seconds = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
    make, rate = STREAMS[name]
    while not (folder / "go").exists():
        time.sleep(0.05)
    digest, count = hashlib.sha256(), 0
    begun = time.monotonic()
    for piece in make(random.Random(f"{seed} {name}")):
        write(piece)
        digest.update(piece)
        count += len(piece)
        passed = time.monotonic() - begun
        if passed > seconds:
            break
        time.sleep(max(0.0, min(0.2, count / rate - passed)))
    write(LAST)
    digest.update(LAST)
    said = {"bytes": count + len(LAST), "sha256": digest.hexdigest()}
    (folder / f".{name}").write_text(json.dumps(said))
    (folder / f".{name}").rename(folder / f"{name}.json")
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
