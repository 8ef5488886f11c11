"""Edge: the lines of a log file that lies here, handed to a pipe as the viewer hands it those of the store."""

from __future__ import annotations

import gzip
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from logship.errors import USAGE, Fault
from logship.view.language import Node
from logship.view.moment import said_ms
from logship.view.pipes_result import Making, Report
from logship.view.select import Identity, Slow
from logship.view.where import Subject, Where

LINE_BYTES_MAX = 1 << 20
"""What is longer is looked at in parts, as in the store."""


def feed(
    names: Sequence[str],
    making: Making | Report,
    node: Node | None,
    since_ms: int | None,
    until_ms: int | None,
    tell: Callable[[int], None],
) -> int:
    """Take the lines of files that match, ``-`` is standard input; how many were looked at. Raises Fault.

    A line that says no time is left out when there is a range of it.
    """
    count = 0
    now_ms = time.time_ns() // 1_000_000
    for name in names:
        identity = Identity(name, None, None, None, "haproxy")
        test = True if node is None else Where(node).test(identity)
        try:
            with _opened(name) as file:
                for data in _lines(file):
                    count += 1
                    if count % 10_000 == 0:
                        tell(count)
                    subject = Subject(identity.kind, data)
                    if not (test is True or (test and test(subject))):
                        continue
                    time_ms = 0
                    if since_ms is not None or until_ms is not None:
                        said = said_ms(data, now_ms)
                        if said is None or said < (since_ms or 0) or (until_ms is not None and said >= until_ms):
                            continue
                        time_ms = said
                    making.add(time_ms, identity, subject.get)
        except (OSError, EOFError) as error:
            raise Fault("read", name, getattr(error, "strerror", None) or str(error), status=USAGE) from None
        except Slow as slow:
            raise Fault("search", name, str(slow), status=USAGE) from None
    return count


def _opened(name: str) -> BinaryIO | gzip.GzipFile:
    path = Path(f"/dev/fd/{sys.stdin.fileno()}" if name == "-" else name)
    return gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb")


def _lines(file: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while data := file.readline(LINE_BYTES_MAX):
        yield data.removesuffix(b"\n").removesuffix(b"\r")
