"""Core: the settings of the declared programs that are commands of ``logship``, checked before anything starts.

Such a program with a setting it cannot take ends at once, again and again, and what all the others say is kept by
nobody; nor can it tell, since it is who tells. So it is a fault of the container, like one in supervise.toml.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields

from logship import config
from logship.ship import bounds as ship_bounds
from logship.spool import bounds as spool_bounds
from supervise.init.values import Program

BOUNDS = {"spool": spool_bounds.check, "ship": ship_bounds.check}


def check(programs: tuple[Program, ...], environment: Mapping[str, str]) -> None:
    """Raises Fault (status 2) that names the setting. One with ``env_files`` is left out: who knows what they say."""
    for program in programs:
        name, *words = program.command
        if name.rpartition("/")[2] == "logship" and words and not program.env_files:
            settings = config.load(_options(words[1:]), {**environment, **dict(program.environment)})
            if words[0] in BOUNDS:
                BOUNDS[words[0]](settings)


def _options(words: list[str]) -> argparse.Namespace:
    """Those words that are settings; what else there is concerns the command alone, and it says it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for item in fields(config.Settings):
        parser.add_argument(f"--{item.name.replace('_', '-')}", dest=item.name, nargs="?")
    try:
        return parser.parse_known_args(words)[0]
    except argparse.ArgumentError:
        return argparse.Namespace()
