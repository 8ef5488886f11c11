"""The command ``logship view``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from logship import config
from logship.commands import Command
from logship.ship.given import parse_url


def _configure(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "store", "config", "to", "instance")
    parser.add_argument(
        "--listen",
        dest="view_listen",
        metavar="HOST:PORT",
        help="where to listen (LOGSHIP_VIEW_LISTEN, 127.0.0.1:8080)",
    )
    parser.add_argument(
        "--hosts",
        dest="view_hosts",
        metavar="NAMES",
        help="by which names, with commas between, a browser may call it, besides the local ones (LOGSHIP_VIEW_HOSTS)",
    )
    parser.epilog = (
        "Reads the store of a `logship collect` on the same machine; ends with 0 on SIGTERM. With --config it knows "
        "queries by their names and evaluates alerts, whose lines go to the collector at --to: docs/alerts.md."
    )


def _view(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from logship.view.alerts.telling import Plan as AlertsPlan  # here: `--help` need not load a web server
    from logship.view.run import Plan, run

    settings = config.load(options, environment)
    hosts = [name.strip() for name in settings.view_hosts.split(",") if name.strip()]
    path = Path(settings.config) if settings.config else None
    alerts = AlertsPlan(settings.store, parse_url(settings.to), settings.instance) if path else None
    return run(Plan(settings.store, settings.view_listen, hosts, path, alerts))


COMMANDS = {"view": Command(_configure, _view)}
