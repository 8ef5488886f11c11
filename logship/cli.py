"""The ``logship`` command: which subcommand lives in which room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from logship.commands import dispatch

ROOMS: dict[str, tuple[str, str]] = {
    "collect": ("logship.collect.cli", "take appends over HTTP, make them durable, and serve them"),
    "ship": ("logship.ship.cli", "bring what the spool keeps to the collector, each byte once"),
    "spool": ("logship.spool.cli", "take what programs write from their pipes and keep it in files"),
}


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one subcommand and return its exit status."""
    return dispatch(
        "logship", "Log forwarding for containers: exactly once, byte for byte.", ROOMS, arguments, environment
    )
