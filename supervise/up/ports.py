"""Edge: who holds a port of this machine: the container that publishes it, else the process that listens.

Read from /proc/net/tcp and the descriptors of /proc/<pid>/fd; a process of another user stays nameless to all but
root. Where there is no /proc, a connection to the port tells that somebody holds it.
"""

from __future__ import annotations

import http.client
import re
import socket
from pathlib import Path

LISTEN = "0A"
ANSWER_SECONDS = 3
LOOPBACK_OR_ANY = ("0100007F", "00000000", "0" * 32, "0" * 24 + "01000000", "0000000000000000FFFF00000100007F")
"""Addresses as /proc/net/tcp and tcp6 write them: those that our own listening on the port would collide with."""


def inodes_of(table: str) -> dict[int, str]:
    """Port -> inode of the socket that listens on it, from the text of /proc/net/tcp or tcp6."""
    found = {}
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 10 or words[3] != LISTEN:
            continue
        address, _, port = words[1].partition(":")
        if address in LOOPBACK_OR_ANY:
            found[int(port, 16)] = words[9]
    return found


def published(text: str) -> set[int]:
    """Ports of the host in a line of ``docker ps``: ``0.0.0.0:80->80/tcp, 127.0.0.1:8000-8001->8000-8001/tcp``."""
    ports: set[int] = set()
    for first, last in re.findall(r":(\d+)(?:-(\d+))?->[\d-]+/tcp", text):
        ports.update(range(int(first), int(last or first) + 1))
    return ports


def listener(port: int, proc: Path = Path("/proc")) -> str:
    """Who listens on the port, as ``nginx (pid 123)``; empty when nobody does."""
    tables = [path.read_text() for path in (proc / "net/tcp", proc / "net/tcp6") if path.exists()]
    if not tables:
        return "a process" if _answers(port) else ""
    for table in tables:
        inode = inodes_of(table).get(port)
        if inode is not None:
            return _process_of(inode, proc) or "a process of another user"
    return ""


def _process_of(inode: str, proc: Path) -> str:
    wanted = f"socket:[{inode}]"
    for folder in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            for descriptor in (folder / "fd").iterdir():
                if str(descriptor.readlink()) == wanted:
                    return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
        except OSError:  # gone in the meantime, or another user's
            continue
    return ""


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def serves(address: str) -> bool:
    """Whether ``http://host:port`` answers: docker's proxy takes connections for programs that are not there."""
    host, _, port = address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port or 80), timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        return bool(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
