"""Core: one alert as a value: what it counts, when that is worth a warning, how it is told.

Left to others: reading it (``declaring``), what follows from it (``evaluation``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from logship.values import Invalid
from logship.view.language import Node
from logship.view.pipes import Key
from logship.view.select import Identity

PROGRAM = "alerts"
"""The program in the path of the stream that alerts are told in."""
DAY_MS = 86_400_000
DURATION_MS_MAX = 31 * DAY_MS
OF_ALL = {"webhook": "", "url": "http://127.0.0.1:8080", "group_wait": "10s", "quiet": "1m", "repeat": "4h",
          "give_up": "1h"}  # fmt: skip
"""What ``[alerts]`` says where it says nothing."""
_DURATION = re.compile(r"(?=\d)(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?")


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert. It is ``above`` or ``below`` so many lines in ``window_ms``, or ``absent``: there is none.

    ``clear``: it is over when there are no more than (below: no fewer than) so many. ``query`` is written out.
    """

    name: str
    query: str
    node: Node | None = field(compare=False)
    window_ms: int
    every_ms: int
    above: int | None = None
    below: int | None = None
    absent: bool = False
    clear: int = 0
    for_ms: int = 0
    resolve_ms: int = 0
    by: tuple[Key, ...] = ()
    snapshots: bool = False
    forget_ms: int = DAY_MS
    webhook: str = ""
    group_wait_ms: int = 10_000
    quiet_ms: int = 60_000
    repeat_ms: int = 4 * 3_600_000
    labels: tuple[tuple[str, str], ...] = ()
    summary: str = ""

    @property
    def slots(self) -> int:
        """How many slices of time the window has."""
        return self.window_ms // self.every_ms

    @property
    def wants_lines(self) -> bool:
        """Whether it is about lines that are missing: then a window that was not seen whole says nothing."""
        return self.above is None

    @property
    def condition(self) -> str:
        """For people: ``more than 10 lines in 5m``."""
        window = said_duration(self.window_ms)
        if self.absent:
            return f"no line in {window}"
        many = f"more than {self.above:,}" if self.above is not None else f"fewer than {self.below:,}"
        return f"{many} line{'' if (self.above, self.below) in ((1, None), (None, 1)) else 's'} in {window}"

    def holds(self, value: int, firing: bool) -> bool:
        """Whether so many lines are what it warns of; of one that fires already, whether it is not over."""
        if self.absent:
            return value == 0
        if self.above is not None:
            return value > (self.clear if firing else self.above)
        assert self.below is not None
        return value < (self.clear if firing else self.below)


@dataclass(frozen=True, slots=True)
class OfAll:
    """What ``[alerts]`` says: defaults of alerts, where the viewer is reached, when a webhook is given up."""

    said: Mapping[str, str]

    @property
    def url(self) -> str:
        """Where people reach the viewer."""
        return self.said["url"].rstrip("/")

    @property
    def give_up_ms(self) -> int:
        """How long a notification is tried."""
        return sure_ms(self.said["give_up"])


def duration_ms(text: str) -> int | Invalid:
    """``1h30m``, ``15s``, ``2d``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return Invalid(f"{text[:40]!r} is no span of time")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    found = days * DAY_MS + hours * 3_600_000 + minutes * 60_000 + seconds * 1000
    return found if found <= DURATION_MS_MAX else Invalid(f"{text} is longer than 31 days")


def said_duration(ms: int) -> str:
    """The shortest way to say it: ``1h30m``."""
    parts, left = [], ms // 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return "".join(parts) or "0s"


def sure_ms(text: str) -> int:
    """The same of a text that was checked."""
    found = duration_ms(text)
    assert isinstance(found, int), "it was checked before"
    return found


def is_own(identity: Identity) -> bool:
    """Whether a stream is what alerts are told in."""
    return identity.program == PROGRAM and identity.kind == "events"
