"""The command ``logship ship``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from logship import config
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.ship.http_sink import Place
from logship.ship.run import Plan, Ship
from logship.values import Invalid, parse_stream_path

PORT = 4437
CHUNK_BYTES = (4096, 8 * 1024 * 1024)
SECONDS_MAX = 3600.0
SERVICE = re.compile(r"[a-z0-9-]{1,32}")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spool", dest="spools", metavar="DIR", nargs="+", type=Path,
        help="folders of incarnations, or links to them (LOGSHIP_SPOOL, default /run/supervise/spool)",
    )  # fmt: skip
    parser.add_argument(
        "--adopt", dest="places", metavar="DIR", nargs="+", type=Path,
        help="folders in which incarnations lie, or folders of such: what containers left there is shipped and removed;"
        " without --spool nothing else is (LOGSHIP_ADOPT, with : between, default none)",
    )  # fmt: skip
    parser.add_argument(
        "--follow", dest="patterns", metavar="GLOB", nargs="+",
        help="files that programs write themselves, with what rotation makes of them; without --spool and --adopt"
        " nothing else is shipped (LOGSHIP_FOLLOW, with : between, default none)",
    )  # fmt: skip
    parser.add_argument(
        "--once",
        action="store_true",
        help="ship all there is now, then end: 0 when all of it is acknowledged, 1 with what is left",
    )
    config.add_options(parser, "to", "instance", "service", "chunk_bytes_max", "drain_seconds", "patience_seconds")
    parser.epilog = "Works until SIGTERM, then sends what it can within --drain-seconds, and ends with 0."


def _ship(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    if not CHUNK_BYTES[0] <= settings.chunk_bytes_max <= CHUNK_BYTES[1]:
        wanted = f"give {CHUNK_BYTES[0]} to {CHUNK_BYTES[1]}"
        raise Fault(
            "take the setting", "--chunk-bytes-max", f"{settings.chunk_bytes_max} is out of range", wanted, USAGE
        )
    for name, seconds in (("drain", settings.drain_seconds), ("patience", settings.patience_seconds)):
        if not 0 <= seconds <= SECONDS_MAX:
            raise Fault("take the setting", f"--{name}-seconds", f"{seconds} is out of range", "give 0 to 3600", USAGE)
    if settings.instance and ("/" in settings.instance or isinstance(parse_stream_path(settings.instance), Invalid)):
        hint = "give letters, digits and . _ ~ -"
        raise Fault("take the setting", "--instance", f"{settings.instance!r} cannot be part of a path", hint, USAGE)
    adopt = tuple(options.places or [Path(place) for place in settings.adopt.split(":") if place])
    spools = options.spools or ([] if options.places or options.patterns else [settings.spool])
    for place in adopt if options.once else ():
        if not place.is_dir():
            raise Fault("adopt from", str(place), "it is no folder", "give the folder that holds incarnations", USAGE)
    follow = _follow(settings, options.patterns)
    plan = Plan(
        parse_url(settings.to),
        tuple(spools),
        adopt,
        settings.instance,
        options.once,
        settings.drain_seconds,
        settings.patience_seconds,
        settings.chunk_bytes_max,
        {
            "program": settings.spool_bytes_max,
            "container": settings.spool_container_bytes_max,
            "volume": settings.spool_volume_bytes_max,
        },
        follow,
        settings.service,
    )
    return Ship(plan).run()


def _follow(settings: config.Settings, patterns: list[str] | None) -> tuple[str, ...]:
    """The patterns to follow. Raises Fault (status 2), also for a service that cannot be one."""
    if settings.service and not SERVICE.fullmatch(settings.service):
        hint = "give 1 to 32 of a-z, 0-9 and -"
        raise Fault("take the setting", "--service", f"{settings.service!r} is no service's name", hint, USAGE)
    found = patterns or [pattern for pattern in settings.follow.split(":") if pattern]
    for pattern in found:
        if not pattern.startswith("/"):
            hint = "give a path that begins with /"
            raise Fault("follow", pattern, "it depends on the folder ship is started in", hint, USAGE)
    return tuple(found)


def parse_url(url: str) -> Place:
    """Where a collector's URL leads; without a port to 4437. Raises Fault (status 2)."""
    hint = "give something like http://collector:4437"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Fault("ship to", url, str(error), hint, USAGE) from None
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise Fault("ship to", url, "it is no plain http URL of a host", hint, USAGE)
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Fault("ship to", url, "it has characters that a URL must escape", hint, USAGE)
    return Place(parts.hostname, port or PORT, parts.path.rstrip("/"))


COMMANDS = {"ship": Command(_configure, _ship)}
