"""The commands ``logship counters`` and ``logship audit``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from logship import config
from logship.audit.audit_life import HAPROXY
from logship.commands import Command
from logship.errors import USAGE, Fault

WINDOW_SECONDS = (1.0, 3600.0)


def _configure_counters(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "haproxy_admin", "haproxy_master", "spool", "fifo_dir", "window_seconds")
    parser.epilog = (
        "Runs beside HAProxy, a JSON line a window and worker on standard output; ends with 0 on SIGTERM. When HAProxy "
        "does not answer for 30 s, one line says so, with the socket and why; it is asked again each second."
    )


def _counters(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from logship.audit.counters_run import Plan, run

    settings = config.load(options, environment)
    if not WINDOW_SECONDS[0] <= settings.window_seconds <= WINDOW_SECONDS[1]:
        raise Fault(
            "take the setting",
            "--window-seconds",
            f"{settings.window_seconds} is out of range",
            "give 1 to 3600",
            USAGE,
        )
    folder, fifo = settings.spool / HAPROXY, settings.fifo_dir / HAPROXY
    return run(Plan(settings.haproxy_admin, settings.haproxy_master, folder, fifo, settings.window_seconds))


def _configure_audit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--once", action="store_true", help="judge all that is kept now, print it, and end; write nothing"
    )
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="with --once: how to print")
    config.add_options(parser, "store", "to")
    parser.epilog = (
        "Follows the store of a `logship collect` on the same machine until SIGTERM, and ends with 0. With --once: "
        "exit status 0 when no line is missing or unverified, 1 otherwise, 2 for usage or a "
        "store that is not there."
    )


def _audit(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from logship.audit.audit_run import Plan, once, run
    from logship.ship.given import parse_url

    settings = config.load(options, environment)
    if options.once:
        return once(settings.store, as_json=options.output == "json")
    return run(Plan(settings.store, parse_url(settings.to)))


COMMANDS = {"counters": Command(_configure_counters, _counters), "audit": Command(_configure_audit, _audit)}
