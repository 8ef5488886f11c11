"""The command ``logship ship``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from logship import config, memory
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.ship import bounds
from logship.ship.given import Given, check_patterns, parse_url, read
from logship.ship.plan import Plan
from logship.ship.run import Ship
from logship.values import Invalid, parse_stream_path

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
        " nothing else is shipped (LOGSHIP_FOLLOW, with : between, default none), and those of --config",
    )  # fmt: skip
    parser.add_argument(
        "--once",
        action="store_true",
        help="ship all there is now, then end: 0 when all of it is acknowledged, 1 with what is left",
    )
    parser.add_argument(
        "--state", metavar="DIR", type=Path,
        help="where ship keeps its checkpoints when the server is not a logship collector but any other Durable Streams"
        " server (plain mode: docs/shipping.md); such a server is refused without it (LOGSHIP_STATE, default none)",
    )  # fmt: skip
    config.add_options(
        parser, "to", "instance", "service", "config", "chunk_bytes_max", "drain_seconds", "patience_seconds"
    )
    parser.epilog = (
        "Works until SIGTERM, then sends what it can within --drain-seconds, and ends with 0. SIGHUP: --config is read "
        "again; a fault in it is said, and what was read before stays."
    )


def _ship(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    bounds.check(settings)
    if settings.instance and ("/" in settings.instance or isinstance(parse_stream_path(settings.instance), Invalid)):
        hint = "give letters, digits and . _ ~ -"
        raise Fault("take the setting", "--instance", f"{settings.instance!r} cannot be part of a path", hint, USAGE)
    adopt = tuple(options.places or [Path(place) for place in settings.adopt.split(":") if place])
    if settings.service and not SERVICE.fullmatch(settings.service):
        hint = "give 1 to 32 of a-z, 0-9 and -"
        raise Fault("take the setting", "--service", f"{settings.service!r} is no service's name", hint, USAGE)
    given = partial(_given, settings, options, environment)
    first = given()
    alone = options.places or options.patterns or (options.config and first.follow)
    spools = options.spools or ([] if alone else [settings.spool])
    for place in adopt if options.once else ():
        if not place.is_dir():
            raise Fault("adopt from", str(place), "it is no folder", "give the folder that holds incarnations", USAGE)
    plan = Plan(
        first.place,
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
        first.follow,
        settings.service,
        given if settings.config else None,
        Path(settings.state) if settings.state else None,
    )
    memory.keep()
    return Ship(plan).run()


def _given(settings: config.Settings, options: argparse.Namespace, environment: Mapping[str, str]) -> Given:
    """Options, else environment, else the file, else the default; patterns of the file beside the others. Or Fault."""
    found = tuple(options.patterns or [pattern for pattern in settings.follow.split(":") if pattern])
    check_patterns(found)
    said = read(Path(settings.config)) if settings.config else Given()
    chosen = options.to is not None or bool(environment.get("LOGSHIP_TO"))
    to = settings.to if chosen or not said.to else said.to
    parse_url(to)
    return Given(to, tuple(dict.fromkeys([*found, *said.follow])))


COMMANDS = {"ship": Command(_configure, _ship)}
