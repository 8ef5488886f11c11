"""Core: the language of HAProxy's Runtime API: what its listings say, and what its replies mean.

Every reply text here was seen on HAProxy 3.0.11; tests/e2e/test_balance_edge.py asks the real one again. A text that is
not here counts as a failure: HAProxy has no status codes, and a guess would hide one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LOOK = "show info;show servers state;show stat -1 4 -1"
"""One line that asks for all of ``Actual``; the statistics come last, for they end in two blank lines."""

NEEDED = (
    "add server", "del server", "enable health", "enable server", "set server", "show info", "show servers state",
    "show stat",
)  # fmt: skip
"""Commands without which the balancer cannot be steered."""

DONE, LATER, FAILED = "done", "later", "failed"

_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20  # forced, inherited, configured, by resolution
_DRAIN = 0x08 | 0x10
_RUNNING = 2
_STOPPED = 0
_CHECK_FAILED, _CHECK_PASSED = 2, 3
_CHECK_ENABLED = 0x04

_BUSY = "Server still has connections attached to it, cannot remove it."
_MOVED = re.compile(r"(nothing changed|(IP|port) changed from .* by 'stats socket command')\Z")


class BadAnswer(ValueError):
    """HAProxy's answer cannot be read."""


@dataclass(frozen=True)
class Entry:
    """A server as HAProxy has it. ``weight`` is what was set, not what traffic makes of it; ``sessions`` are under way
    now; ``status`` and ``check`` are HAProxy's own words for people."""

    backend: str
    name: str
    address: str
    port: int
    weight: int
    cookie: str = ""
    admin: int = 0
    operating: int = _RUNNING
    check_result: int = 0
    check_state: int = 0
    sessions: int = 0
    status: str = ""
    check: str = ""
    requests: int = 0

    @property
    def in_maintenance(self) -> bool:
        return bool(self.admin & _MAINTENANCE)

    @property
    def in_drain(self) -> bool:
        return bool(self.admin & _DRAIN)

    @property
    def is_checked(self) -> bool:
        """Whether checks of it are switched on: ``add server`` leaves them off."""
        return bool(self.check_state & _CHECK_ENABLED)

    @property
    def has_passed(self) -> bool:
        """Up, and by a check: a server is ``stopped`` until one passes, for we set its health down when it enters."""
        return not self.in_maintenance and self.operating == _RUNNING and self.check_result == _CHECK_PASSED

    @property
    def has_failed(self) -> bool:
        """Down, and by a check."""
        return not self.in_maintenance and self.operating == _STOPPED and self.check_result == _CHECK_FAILED


@dataclass(frozen=True)
class Actual:
    """What HAProxy has now. ``pid`` and ``started`` (seconds since 1970) name the process, ``fingerprint`` the file it
    was started on."""

    pid: int
    started: int
    version: str
    fingerprint: str
    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)


def read_actual(answer: str) -> Actual:
    """The Actual that the answer to LOOK describes. Raises BadAnswer."""
    parts = [part for part in re.split(r"\n{2,}", answer.strip("\n")) if part]
    if len(parts) != 3:
        raise BadAnswer(f"expected three listings, got {len(parts)}: {answer[:200]!r}")
    info = dict(line.split(": ", 1) for line in parts[0].splitlines() if ": " in line)
    try:
        statistics = _statistics(parts[2])
        return Actual(
            pid=int(info["Pid"]),
            started=int(info.get("Start_time_sec", "0")),
            version=info["Version"],
            fingerprint=info.get("description", ""),
            entries={
                (entry.backend, entry.name): entry for entry in (_entry(row, statistics) for row in _states(parts[1]))
            },
        )
    except (KeyError, ValueError, IndexError) as error:
        raise BadAnswer(f"{type(error).__name__}: {error}") from None


def _states(text: str) -> list[dict[str, str]]:
    version, header, *rows = text.splitlines()
    if version != "1" or not header.startswith("# "):
        raise ValueError(f"servers state of version {version!r}")
    names = header[2:].split(" ")
    return [dict(zip(names, row.split(" "), strict=True)) for row in rows]


def _statistics(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """The columns that we read, by backend and server."""
    header, *rows = csv.reader(text.removeprefix("# ").splitlines())
    wanted = [(name, header.index(name)) for name in ("scur", "stot", "status", "check_status", "cookie")]
    first, second = header.index("pxname"), header.index("svname")
    return {(row[first], row[second]): {name: row[place] for name, place in wanted} for row in rows}


def _entry(row: Mapping[str, str], statistics: Mapping[tuple[str, str], Mapping[str, str]]) -> Entry:
    backend, name = row["be_name"], row["srv_name"]
    counted = statistics.get((backend, name), {})
    return Entry(
        backend=backend,
        name=name,
        address=row["srv_addr"],
        port=int(row["srv_port"]),
        weight=int(row["srv_uweight"]),
        cookie=counted.get("cookie", ""),
        admin=int(row["srv_admin_state"]),
        operating=int(row["srv_op_state"]),
        check_result=int(row["srv_check_result"]),
        check_state=int(row["srv_check_state"]),
        sessions=int(counted.get("scur") or 0),
        status=counted.get("status", ""),
        check=counted.get("check_status", ""),
        requests=int(counted.get("stot") or 0),
    )


def read_replies(answer: str, count: int) -> list[str]:
    """The replies to ``count`` commands sent on one line: each ends with a blank line. A missing one reads as a text
    that no table knows."""
    replies: list[str] = []
    lines: list[str] = []
    for line in answer.split("\n")[:-1]:
        if line:
            lines.append(line)
        else:
            replies.append("\n".join(lines))
            lines = []
    if lines or len(replies) > count:
        return [f"unreadable answer {answer[:200]!r}"] * count
    return replies + ["no reply"] * (count - len(replies))


def outcome(command: str, reply: str) -> str:
    """DONE, LATER (it will be possible once requests under way have ended) or FAILED."""
    if command.startswith("add server "):
        return DONE if reply == "New server registered." else FAILED
    if command.startswith("del server "):
        return LATER if reply == _BUSY else DONE if reply in ("Server deleted.", "No such server.") else FAILED
    if command.startswith("set server ") and " addr " in command:
        return DONE if _MOVED.match(reply) else FAILED
    return DONE if reply == "" else FAILED


def missing(help_text: str, level: str) -> list[str]:
    """What the socket lacks: commands, or the level to use them."""
    offered = {line.strip() for line in help_text.splitlines()}
    lacking = [command for command in NEEDED if not any(line.startswith(command) for line in offered)]
    return lacking + ([] if level.strip() == "admin" else [f"level admin (it is {level.strip() or 'unknown'})"])
