"""Core: measures as the text that Prometheus reads (text format 0.0.4), and those that collect and view share: losses.

Written by hand: it is a few lines, and a library would keep counts of its own where the store has the truth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from logship.values import Loss

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REASONS_MAX = 32
"""Different reasons of losses that are told apart; the others are "other": a label must not grow without bound."""
REASON_CHARACTERS_MAX = 80
COUNTER, GAUGE = "counter", "gauge"
_SHIPPED_SEGMENTS = 4
_NUMBERS = re.compile(r"\d[\d,.]*")

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Family:
    """One measure: its values by labels. ``kind`` is COUNTER or GAUGE; a counter's name ends with ``_total``."""

    name: str
    kind: str
    help: str
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, value: float, **labels: str) -> None:
        """Add to the value with these labels."""
        key = tuple(labels.items())
        self.values[key] = self.values.get(key, 0) + value


def exposition(families: Iterable[Family]) -> bytes:
    """The text. A family without a value is left out."""
    lines: list[str] = []
    for family in families:
        assert (family.kind == COUNTER) is family.name.endswith("_total"), family.name
        if not family.values:
            continue
        lines += [f"# HELP {family.name} {_escaped(family.help)}", f"# TYPE {family.name} {family.kind}"]
        for labels, value in sorted(family.values.items()):
            lines.append(f"{family.name}{_labels(labels)} {_number(value)}")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def owner(path: str | None) -> dict[str, str]:
    """The labels ``service`` and ``program`` of a stream; of a foreign one the first segment of its path alone."""
    segments = (path or "").split("/")
    return {"service": segments[0], "program": segments[2] if len(segments) == _SHIPPED_SEGMENTS else ""}


def of_losses(losses: Iterable[Loss], forgotten: int) -> list[Family]:
    """What the ledger adds up to, by service, program and reason. It is a counter while the ledger forgets nothing."""
    records = Family("logship_loss_records_total", COUNTER, "Records in the ledger of losses.")
    lost_bytes = Family("logship_lost_bytes_total", COUNTER, "Bytes that are lost, as far as they are counted.")
    lost_units = Family("logship_lost_units_total", COUNTER, "What is lost and counted in other units, as lines.")
    unknown = Family("logship_losses_unknown_total", COUNTER, "Losses of which nobody knows how much was lost.")
    gone = Family("logship_losses_forgotten_total", COUNTER, "Records that the ledger keeps no more.")
    reasons: set[str] = set()
    for loss in losses:
        reason = _reason(loss.reason or "")
        if reason not in reasons and len(reasons) >= REASONS_MAX:
            reason = "other"
        reasons.add(reason)
        labels = {**owner(loss.stream), "reason": reason}
        records.add(1, **labels)
        if loss.bytes is not None:
            lost_bytes.add(loss.bytes, **labels)
        if loss.count is not None:
            lost_units.add(loss.count, **labels, unit=loss.unit or "units")
        if loss.bytes is None and loss.count is None:
            unknown.add(1, **labels)
    gone.add(forgotten)
    return [records, lost_bytes, lost_units, unknown, gone]


def _reason(said: str) -> str:
    """The beginning of a reason, without what differs from one loss to the next."""
    return _NUMBERS.sub("N", re.split(r"[:;(]", said)[0]).strip()[:REASON_CHARACTERS_MAX]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in labels) + "}"


def _escaped(text: str, *, quoted: bool = False) -> str:
    found = text.replace("\\", "\\\\").replace("\n", "\\n")
    return found.replace('"', '\\"') if quoted else found


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def gauges(prefix: str, values: Mapping[str, tuple[float, str]]) -> list[Family]:
    """Families of one value each: name -> (value, help)."""
    return [
        Family(prefix + name, COUNTER if name.endswith("_total") else GAUGE, text, {(): value})
        for name, (value, text) in values.items()
    ]
