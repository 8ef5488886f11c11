"""How a command line with subcommands is run; both ``supervise`` and ``logship`` are such tables of rooms.

A room (a folder of a package) offers ``COMMANDS: dict[str, Command]`` in the module its table names. Only the room
that is asked for is imported, so a command costs what it uses.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from logship import __version__
from logship.errors import Fault


@dataclass(frozen=True)
class Command:
    """A subcommand: ``configure`` adds its options, ``run`` does it and returns the exit status.

    ``run`` takes the parsed options and the environment, which is read once, in ``__main__.py``.
    """

    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Mapping[str, str]], int]


def dispatch(
    program: str,
    description: str,
    rooms: Mapping[str, tuple[str, str]],
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> int:
    """Run one subcommand of ``program`` and return its exit status: 0 done, 1 failed, 2 usage, else as its help says.

    ``rooms`` maps a subcommand to the module that offers it and its line of help.
    """
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command: Command | None = None
    for name, (module, text) in rooms.items():
        subparser = subparsers.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if list(arguments[:1]) == [name]:
            command = importlib.import_module(module).COMMANDS[name]
            command.configure(subparser)
    options = parser.parse_args(arguments)
    assert command is not None, "argparse accepted a subcommand that is not in the table"
    try:
        status = command.run(options, environment)
        sys.stdout.flush()
        return status
    except Fault as fault:
        print(f"{program} {options.command}: {fault}", file=sys.stderr)
        return fault.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # What is left in the buffer goes nowhere: flushed at exit, it would change the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
