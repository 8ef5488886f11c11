"""What a value in supervise.toml may look like: one small checker a shape.

A checker takes the value as tomllib gives it and returns it in the form of ``values.py``, or raises ``Wrong`` with
what is wrong and what to do. Which key has which shape is told in ``declaration.py``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

Shape = Callable[[Any], Any]

LIST_MAX = 1000
"""Words of a command, variables, files: more is a mistake."""
WORD_MAX = 65536
"""Characters of one word or value; execve(2) takes at most 128 KiB for one."""

LIMITS = (
    "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "sigpending", "stack",
)  # fmt: skip
SIGNALS = ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL")


class Wrong(Exception):
    """A value of the wrong shape: what is wrong, what to do."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause, hint)
        self.cause = cause
        self.hint = hint


def kind_of(value: Any) -> str:
    """The TOML word for a value's type, with its article."""
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "an array", dict: "a table"}
    return names.get(type(value), "a date or time")


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"is {kind_of(value)}", "write true or false")
    return value


def whole(low: int, high: int) -> Shape:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"is {kind_of(value)}", f"write a whole number, {low} to {high}")
        if not low <= value <= high:
            raise Wrong(f"is {value}", f"write a whole number, {low} to {high}")
        return value

    return check


def seconds(low: float, high: float) -> Shape:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(f"is {kind_of(value)}", f"write seconds as a number, {low:g} to {high:g}")
        if not low <= value <= high:
            raise Wrong(f"is {value}", f"write seconds, {low:g} to {high:g}")
        return float(value)

    return check


def text(pattern: str, meaning: str) -> Shape:
    """A string that matches ``pattern`` as a whole; ``meaning`` says what to write."""
    compiled = re.compile(pattern)

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise Wrong(f"is {kind_of(value)}", f"write {meaning}")
        if len(value) > WORD_MAX or "\0" in value or not compiled.fullmatch(value):
            raise Wrong(f"is {value[:80]!r}", f"write {meaning}")
        return value

    return check


ABSOLUTE = r"/[^\n]*"
absolute_path = text(ABSOLUTE, "a path that begins with /")
word = text(r"(?s).*", f"a string without NUL of at most {WORD_MAX} characters")


def list_of(item: Shape, meaning: str, least: int = 0) -> Shape:
    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Wrong(f"is {kind_of(value)}", f'write a list of {meaning}, like ["..."]')
        if not least <= len(value) <= LIST_MAX:
            raise Wrong(f"has {len(value)} items", f"write {least} to {LIST_MAX} {meaning}")
        found = []
        for number, one in enumerate(value, 1):
            try:
                found.append(item(one))
            except Wrong as wrong:
                raise Wrong(f"item {number} {wrong.cause}", wrong.hint) from None
        return tuple(found)

    return check


def command(value: Any) -> tuple[str, ...]:
    """A list of words; the first is an absolute path or a name that is searched for in PATH."""
    if isinstance(value, str):
        raise Wrong("is a string", 'write a list of words, like ["/usr/bin/tail", "-f", "/log"]; no shell reads it')
    words: tuple[str, ...] = list_of(word, "words", least=1)(value)
    if not re.fullmatch(r"/[^\n]*[^/\n]|[^/\n]+", words[0]):
        raise Wrong(f"begins with {words[0]!r}", "begin with an absolute path or the bare name of a program")
    return words


def environment(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise Wrong(f"is {kind_of(value)}", 'write a table, like { KEY = "value" }')
    if len(value) > LIST_MAX:
        raise Wrong(f"has {len(value)} variables", f"write at most {LIST_MAX}")
    for name, one in value.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Wrong(f"has a variable named {name!r}", "use letters, digits and _, not a digit first")
        try:
            word(one)
        except Wrong as wrong:
            raise Wrong(f"{name} {wrong.cause}", wrong.hint) from None
    return tuple(value.items())


def limits(value: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, dict):
        raise Wrong(f"is {kind_of(value)}", "write a table, like { nofile = 65536 }")
    found = []
    for name, one in value.items():
        if name not in LIMITS:
            raise Wrong(f"has an unknown limit {name!r}", f"use one of {', '.join(LIMITS)}")
        if one == "unlimited":
            found.append((name, -1))
            continue
        try:
            found.append((name, whole(0, 2**62)(one)))
        except Wrong as wrong:
            raise Wrong(f"{name} {wrong.cause}", 'write a whole number from 0, or "unlimited"') from None
    return tuple(found)


def address(value: Any) -> str:
    """``HOST:PORT`` where HOST needs no name server: PID 1 may not wait for one."""
    hint = 'write "ADDRESS:PORT" with an IP address (IPv6 in brackets) or localhost'
    if not isinstance(value, str):
        raise Wrong(f"is {kind_of(value)}", hint)
    host, _, port = value.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise Wrong(f"is {value!r}", hint)
    if host != "localhost":
        try:
            found = ipaddress.ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
        except ValueError:
            raise Wrong(f"is {value!r}", hint) from None
        if (found.version == 6) != host.startswith("["):
            raise Wrong(f"is {value!r}", hint)
    return value


def http_url(value: Any) -> str:
    """``http://HOST[:PORT]/path`` with a HOST as in ``address``, no spaces or control characters."""
    hint = 'write a URL like "http://127.0.0.1:3000/health", with an IP address or localhost'
    if not isinstance(value, str):
        raise Wrong(f"is {kind_of(value)}", hint)
    if not re.fullmatch(r"http://[^/\s@?#]+(/[!-~]*)?", value) or "#" in value:
        raise Wrong(f"is {value!r}", hint)
    place = urlsplit(value).netloc
    try:
        address(place if re.search(r":[0-9]+$", place) and not place.endswith("]") else f"{place}:80")
    except Wrong:
        raise Wrong(f"is {value!r}", hint) from None
    return value
