"""The ``logship`` command: which subcommand lives in which room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from logship.commands import dispatch

ROOMS: dict[str, tuple[str, str]] = {
    "collect": ("logship.collect.cli", "take appends over HTTP, make them durable, and serve them"),
    "doctor": ("logship.audit.doctor_cli", "find what loses lines in a container's set-up, or in given files"),
    "audit": ("logship.audit.audit_cli", "prove that what HAProxy logged is what is stored, or say what is not"),
    "counters": ("logship.audit.audit_cli", "say how many lines HAProxy wrote and dropped, for `logship audit`"),
    "fsck": ("logship.collect.cli", "check every byte of a store and say what is damaged"),
    "seal": ("logship.lake.cli", "make Parquet files of what the collector keeps, for any engine to read"),
    "ship": ("logship.ship.cli", "bring what the spool keeps to the collector, each byte once"),
    "spool": ("logship.spool.cli", "take what programs write from their pipes and keep it in files"),
    "view": ("logship.view.cli", "show what the collector keeps: web page and API for readers"),
    "logs": ("logship.reading.cli", "print log lines of all containers, merged by time; follow them"),
    "query": ("logship.reading.query_cli", "count and group lines: 'status:5xx | count by server'"),
    "stats": ("logship.reading.stats_cli", "tell what HAProxy's lines say: servers, states, times, as halog does"),
    "alerts": ("logship.reading.alerts_cli", "list alerts: which of them fire, since when, with how many lines"),
    "losses": ("logship.reading.cli", "list what is known to be lost: when, of which source, how much, why"),
    "sources": ("logship.reading.cli", "list what is kept, a row a stream"),
    "verify": ("logship.reading.verify_cli", "prove that what a source wrote is what is stored, byte for byte"),
    "export": (
        "logship.reading.export_cli",
        "write streams as their exact bytes, or lines as JSON, CSV or Parquet, to files",
    ),
    "explain": ("logship.reading.explain_cli", "say what a HAProxy line, its state or a field of it means"),
}


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one subcommand and return its exit status."""
    return dispatch(
        "logship", "Log forwarding for containers: exactly once, byte for byte.", ROOMS, arguments, environment
    )
