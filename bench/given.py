"""What the benchmarks are given on their command lines, refused where it cannot be; and their end by a signal."""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def at_least(least: int = 1) -> Callable[[str], int]:
    """For argparse: a whole number of at least this."""

    def parse(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if found < least:
            raise argparse.ArgumentTypeError(f"{text} is no whole number of at least {least:,}")
        return found

    return parse


def a_time(text: str) -> float:
    """For argparse: a time, perhaps none."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return found


def some_time(text: str) -> float:
    """For argparse: a time that is not none."""
    found = a_time(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} s is no time to measure in")
    return found


def a_folder(text: str) -> Path:
    """For argparse: a folder that is there, or is made, and takes files."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path):
            return path
    except OSError as error:
        raise argparse.ArgumentTypeError(f"nothing can be made in {text}: {error.strerror or error}") from None


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """A signal ends the block as an error would, so that what it made is removed, with the status of a shell.

    Only the first one does: one more, while that is under way, would leave the rest.
    """
    before = {number: signal.getsignal(number) for number in ENDING}

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:  # as nohup leaves it
                signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
