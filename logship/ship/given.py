"""Edge: where to ship and what to follow, as people say it: options, environment, and a file that is read again.

The file is TOML with a table ``[ship]`` of which ``to`` and ``follow`` are read; its other tables are others'. At
SIGHUP it is read as a whole, and taken as a whole or not at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from logship.errors import USAGE, Fault
from logship.places import Places
from logship.ship.http_sink import Place

PORT = 4437
FILE_BYTES_MAX = 1024 * 1024
PATTERNS_MAX = 1000


@dataclass(frozen=True)
class Given:
    """What ship is to do, as far as it may change while it runs. ``to`` is empty where nobody said one."""

    to: str = ""
    follow: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where the collector listens."""
        return parse_url(self.to)


def read(path: Path) -> Given:
    """What the file says. Raises Fault (status 2) that names the line."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise _fault(path, f"it is larger than {FILE_BYTES_MAX} bytes", "is it the right file?")
        text = data.decode()
        table = tomllib.loads(text).get("ship", {})
    except OSError as error:
        raise _fault(path, str(error.strerror), "give a file that can be read") from None
    except ValueError as error:  # no TOML, no UTF-8
        raise _fault(path, str(error), "correct it") from None
    places = Places(text)
    if not isinstance(table, dict):
        raise _fault(f"{path}:{places.line(['ship'])}", "ship is no table", "write [ship]")
    for key, value in table.items():
        _check(f"{path}:{places.line(['ship', key])}", key, value)
    return Given(table.get("to", ""), tuple(dict.fromkeys(table.get("follow", ()))))


def _check(where: str, key: str, value: object) -> None:
    if key == "to":
        if not isinstance(value, str):
            raise _fault(where, "to is no text", 'give something like to = "http://collector:4437"')
        parse_url(value, where)
    elif key == "follow":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _fault(where, "follow is no list of texts", 'give something like follow = ["/var/log/*.log"]')
        if len(value) > PATTERNS_MAX:
            raise _fault(where, f"follow has more than {PATTERNS_MAX} patterns", "use patterns that stand for more")
        check_patterns(value, where)
    else:
        raise _fault(where, f"there is no {key} in [ship]", "to and follow are")


def check_patterns(patterns: Sequence[str], where: str = "") -> None:
    """Raises Fault (status 2) for one that depends on where ship was started."""
    for pattern in patterns:
        if not pattern.startswith("/") or "\0" in pattern:
            hint = "give a path that begins with /"
            raise Fault(
                "follow", repr(pattern)[1:-1], f"{_at(where)}it depends on the folder ship is started in", hint, USAGE
            )


def parse_url(url: str, where: str = "") -> Place:
    """Where a collector's URL leads; without a port to 4437. Raises Fault (status 2)."""
    hint = "give something like http://collector:4437"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Fault("ship to", url, f"{_at(where)}{error}", hint, USAGE) from None
    if parts.scheme != "http" or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise Fault("ship to", url, f"{_at(where)}it is no plain http URL of a host", hint, USAGE)
    if not url.isascii() or not url.isprintable() or " " in url:
        raise Fault("ship to", url, f"{_at(where)}it has characters that a URL must escape", hint, USAGE)
    return Place(parts.hostname, port or PORT, parts.path.rstrip("/"))


def _at(where: str) -> str:
    return f"{where}: " if where else ""


def _fault(where: object, cause: str, hint: str) -> Fault:
    return Fault("take the settings of", str(where), cause, hint, USAGE)
