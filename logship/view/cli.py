"""The command ``logship view``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from logship import config
from logship.commands import Command


def _configure(parser: argparse.ArgumentParser) -> None:
    config.add_options(parser, "store", "config")
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
    parser.epilog = "Reads the store of a `logship collect` on the same machine; ends with 0 on SIGTERM."


def _view(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    from logship.view.run import Plan, run  # here: `--help` need not load a web server

    settings = config.load(options, environment)
    hosts = [name.strip() for name in settings.view_hosts.split(",") if name.strip()]
    path = Path(settings.config) if settings.config else None
    return run(Plan(settings.store, settings.view_listen, hosts, path))


COMMANDS = {"view": Command(_configure, _view)}
