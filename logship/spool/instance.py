"""Edge: what this container is called among those of its service: the number compose gave it.

Compose names a container ``<project>_<service>_<number>`` (or with dashes), and the engine's DNS answers with that name
and the network's when it is asked for the address backwards. No engine socket is needed for it. Where nothing of that
kind answers within two seconds the container's id is its name. Both go into the source of every stream.

PID 1 asks first (``Question``), so that the number is noted in the spool folder before anything can kill the container.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import struct
import time
from collections.abc import Iterable
from pathlib import Path

WAIT_SECONDS = 2.0
_TRY_SECONDS = 0.5
ENGINE = "127.0.0.11"
"""Where the engine's own DNS answers in networks that compose makes."""
_ADDRESSES_MAX = 4
_PORT = 53
_PTR, _IN = 12, 1
_QUERY_FLAGS = 0x0100  # recursion desired
_NAME = re.compile(r"[A-Za-z0-9_.-]+?[-_]([1-9][0-9]{0,5})\.[A-Za-z0-9_.-]+")
_CONTAINER = re.compile(r"/containers/([0-9a-f]{64})/")
_ALLOWED = re.compile(r"[^A-Za-z0-9._~-]")


def container_id(host: str, mountinfo: Path = Path("/proc/self/mountinfo")) -> str:
    """The full id of this container, else ``host``, which the engine sets to the beginning of it."""
    with contextlib.suppress(OSError):
        if found := _CONTAINER.search(mountinfo.read_text(encoding="utf-8", errors="replace")):
            return found[1]
    return host


def instance_name(container: str, seconds: float = WAIT_SECONDS, etc: Path = Path("/etc"), port: int = _PORT) -> str:
    """The compose number of this container, else ``container``, as a segment of a stream's path."""
    deadline = time.monotonic() + seconds
    servers = _words_after(etc / "resolv.conf", "nameserver")
    for address in _own_addresses(etc / "hosts"):
        for server in servers[:2]:
            name = _ask(server, port, address, deadline)
            if name and (number := parse_name(name)):
                return number
    return part(container)


class Question:
    """The question for this container's number, put to the engine's DNS alone; asked at once, looked at later."""

    def __init__(self, etc: Path = Path("/etc"), server: str = ENGINE, port: int = _PORT) -> None:
        self._numbers: list[int] = []
        self._connection: socket.socket | None = None
        if server not in _words_after(etc / "resolv.conf", "nameserver"):
            return
        addresses = [*_own_addresses(etc / "hosts")][:_ADDRESSES_MAX]
        first = int.from_bytes(os.urandom(2), "big")
        with contextlib.suppress(OSError):
            self._connection = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._connection.connect((server, port))
            for at, address in enumerate(addresses):
                number = (first + at) % 65536
                self._connection.send(query(number, address))
                self._numbers.append(number)

    def answer(self, seconds: float) -> str | None:
        """The number, if it comes within so many seconds; then there is no more to ask."""
        connection, self._connection = self._connection, None
        if connection is None:
            return None
        deadline = time.monotonic() + seconds
        with connection, contextlib.suppress(OSError):
            while self._numbers:
                connection.settimeout(max(deadline - time.monotonic(), 0.0005))  # 0 would be an error, not no wait
                message = connection.recv(4096)
                number = next((one for one in self._numbers if message[:2] == one.to_bytes(2, "big")), None)
                if number is None:
                    continue
                self._numbers.remove(number)
                name = parse_answer(number, message)
                if name and (found := parse_name(name)):
                    return found
        return None


def part(name: str) -> str:
    """A name as one segment of a stream's path."""
    return _ALLOWED.sub("-", name)[:64].strip(".") or "unknown"


def parse_name(name: str) -> str | None:
    """The number in ``<project>_<service>_<number>.<network>``; None for a name of another kind."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None


def query(number: int, address: str) -> bytes:
    """A DNS question (RFC 1035) for the name of ``address``."""
    head = struct.pack("!HHHHHH", number, _QUERY_FLAGS, 1, 0, 0, 0)
    labels = ipaddress.ip_address(address).reverse_pointer.split(".")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return head + name + struct.pack("!HH", _PTR, _IN)


def parse_answer(number: int, message: bytes) -> str | None:
    """The first name in the answer to question ``number``; None when there is none."""
    try:
        found, flags, questions, answers = struct.unpack_from("!HHHH", message)
        if found != number or not flags & 0x8000 or flags & 0x000F:
            return None
        at = 12
        for _ in range(questions):
            at = _read_name(message, at)[1] + 4
        for _ in range(answers):
            at = _read_name(message, at)[1]
            kind, _, _, size = struct.unpack_from("!HHIH", message, at)
            at += 10
            if kind == _PTR:
                return _read_name(message, at)[0]
            at += size
    except (struct.error, IndexError, UnicodeDecodeError, RecursionError):
        return None
    return None


def _read_name(message: bytes, at: int, jumps: int = 0) -> tuple[str, int]:
    """A name and where it ends; names may point back to others, here at most eight times."""
    labels: list[str] = []
    while size := message[at]:
        if size & 0xC0:
            if jumps > 8:
                raise IndexError
            rest, _ = _read_name(message, struct.unpack_from("!H", message, at)[0] & 0x3FFF, jumps + 1)
            return ".".join([*labels, rest]), at + 2
        labels.append(message[at + 1 : at + 1 + size].decode("ascii"))
        at += 1 + size
    return ".".join(labels), at + 1


def _ask(server: str, port: int, address: str, deadline: float) -> str | None:
    """The name a DNS server has for ``address``; asked again each half second until ``deadline``."""
    number = int.from_bytes(os.urandom(2), "big")
    try:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.connect((server, port))
            while (left := deadline - time.monotonic()) > 0:
                connection.settimeout(min(left, _TRY_SECONDS))
                connection.send(query(number, address))
                with contextlib.suppress(TimeoutError):
                    return parse_answer(number, connection.recv(4096))
    except OSError:
        return None
    return None


def _own_addresses(hosts: Path) -> list[str]:
    """This container's addresses: the engine writes them into its hosts file, beside the host's name."""
    own = socket.gethostname()
    return [address for address, *names in _lines(hosts) if own in names and _is_outer(address)]


def _is_outer(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _words_after(path: Path, keyword: str) -> list[str]:
    return [words[1] for words in _lines(path) if words[0] == keyword and len(words) > 1]


def _lines(path: Path) -> Iterable[list[str]]:
    """The words of each line that has some; none where the file cannot be read."""
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if words := line.partition("#")[0].split():
                yield words
