"""What a person asked for: the variables of ``make``, checked before anything is touched (core)."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from logship.errors import USAGE, Fault

NODES_MAX = 200
"""More web nodes than one machine serves; beyond it a typing mistake is more likely than a wish."""

PORTS: Mapping[str, int] = {"HTTP_PORT": 80, "STATS_PORT": 1936, "ADMIN_PORT": 9999, "VIEWER_PORT": 8080}
"""The variables that move the published ports, and where the ports are without them."""

VARIABLES = frozenset(
    {
        "NODES", "PROJECT", "BASE_IMAGE", "MIRROR", "VOLUMES", "PLAN", "PYTHON", "ARGS", "DIR", "LONG",
        "SEED", "SEEDS", "MUTATION", "LINES", *PORTS,
    }
)  # fmt: skip
"""Every variable that a ``make`` command line may set."""

NEEDS: Mapping[str, frozenset[str]] = {
    "up": frozenset({"engine", "commands", "ports", "images", "stack"}),
    "images": frozenset({"engine", "images"}),
    "scale": frozenset({"running engine"}),
    "down": frozenset({"running engine"}),
    "tools": frozenset({"commands", "dev"}),
    "lint": frozenset({"commands", "dev"}),
    "unit": frozenset({"commands", "dev"}),
    "e2e": frozenset({"engine", "commands", "dev", "images", "load"}),
    "long": frozenset({"engine", "commands", "dev", "images", "load"}),
    "test": frozenset({"engine", "commands", "dev", "images", "load"}),
}
"""What has to be there before a command does its work."""


@dataclass(frozen=True)
class Request:
    """One command with its variables, all within their bounds."""

    command: str
    nodes: int = 2
    ports: Mapping[str, int] = field(default_factory=lambda: dict(PORTS))
    project: str = "logship"
    base_image: str = ""
    mirror: str = ""
    volumes: bool = False
    plan: bool = False
    arguments: tuple[str, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """What has to be there before the command does its work."""
        return NEEDS[self.command]


def request_of(command: str, environment: Mapping[str, str], *, plan: bool = False) -> Request:
    """The request in the variables of ``environment``. Raises Fault (status 2) for the first that makes no sense."""
    _refuse_unknown(environment.get("MAKEFLAGS", ""))
    if command == "scale" and not environment.get("NODES"):
        raise _wrong("NODES", "", "scale needs a number of web nodes", "make scale NODES=5")
    ports = {name: _whole(environment, name, default, 1, 65535) for name, default in PORTS.items()}
    for name, port in ports.items():
        for other, taken in ports.items():
            if name < other and port == taken:
                raise _wrong(name, str(port), f"{other} is {taken}, too", "give each a port of its own")
    return Request(
        command=command,
        nodes=_whole(environment, "NODES", 2, 1, NODES_MAX),
        ports=ports,
        project=_word(environment, "PROJECT", "logship", r"[a-z0-9][a-z0-9_-]{0,62}", "small letters, digits, - and _"),
        base_image=_word(environment, "BASE_IMAGE", "", r"[\w][\w./:@-]{0,254}", "the name of an image"),
        mirror=_word(environment, "MIRROR", "", r"(https?|file|copy)://[^\s'\"]{1,255}", "an address, http://..."),
        volumes=_yes(environment, "VOLUMES"),
        plan=plan or _yes(environment, "PLAN"),
        arguments=_words(environment, "ARGS"),
    )


def _refuse_unknown(makeflags: str) -> None:
    """``make up NODE=3`` is a slip that make itself takes without a word; MAKEFLAGS tells what its line set."""
    _, separator, settings = f" {makeflags}".partition(" -- ")
    if not separator:
        return
    for name in re.findall(r"(?:^|(?<=[^\\]) )([A-Za-z_]\w*)=", settings):
        if name in VARIABLES:
            continue
        close = difflib.get_close_matches(name.upper(), sorted(VARIABLES), n=1)
        hint = f"did you mean {close[0]}=?" if close else f"there are {', '.join(sorted(VARIABLES))}"
        raise Fault("take the variable", f"{name}=", "there is none of this name", hint, USAGE)


def _whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    raise _wrong(name, text, f"it is not a whole number from {least} to {most}", f"{name}={default} is the default")


def _yes(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "")
    if text not in ("", "0", "1"):
        raise _wrong(name, text, "it is neither 0 nor 1", f"say {name}=1 or leave it out")
    return text == "1"


def _word(environment: Mapping[str, str], name: str, default: str, pattern: str, meaning: str) -> str:
    text = environment.get(name, "") or default
    if text and not re.fullmatch(pattern, text):
        raise _wrong(name, text, f"it is not {meaning}", "correct it or leave it out")
    return text


def _words(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = environment.get(name, "")
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise _wrong(name, text, str(error), "close the quotation mark") from None


def _wrong(name: str, text: str, cause: str, hint: str) -> Fault:
    return Fault("take", f"{name}={text}", cause, hint, USAGE)
