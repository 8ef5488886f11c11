"""Core: findings -> lines for people, JSON for programs, and the table of lints for the document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from logship.audit.lints.lint import Deed, Finding, Lint, Severity
from logship.audit.lints.source import Source

_DEEDS = {Deed.REPLACE: "write", Deed.ADD: "add below", Deed.REMOVE: "do"}
_WIDTH = max(len(word) for word in _DEEDS.values()) + 1


def text(findings: Iterable[Finding], sources: Mapping[str, Source]) -> Iterable[str]:
    """A paragraph a finding: place, what, why, the line as it stands, what to write."""
    for finding in findings:
        yield f"{finding.place}: {finding.severity.value}: {finding.what} [{finding.lint}]"
        yield _labelled("why", finding.why)
        now = _now(finding, sources)
        if now:
            yield _labelled("now", now)
        write = "remove this line" if finding.deed is Deed.REMOVE else finding.write
        for number, line in enumerate(write.split("\n")):
            yield _labelled(_DEEDS[finding.deed] if number == 0 else "", line.strip() if number == 0 else line)


def _labelled(label: str, said: str) -> str:
    return f"    {(label + ':') if label else '':{_WIDTH}} {said}".rstrip()


def _now(finding: Finding, sources: Mapping[str, Source]) -> str:
    source = sources.get(finding.place.file)
    return source.line(finding.place.line).strip() if source else ""


def record(finding: Finding, sources: Mapping[str, Source]) -> str:
    """One JSON line."""
    found: dict[str, Any] = {
        "file": finding.place.file,
        "line": finding.place.line or None,
        "lint": finding.lint,
        "severity": finding.severity.value,
        "what": finding.what,
        "why": finding.why,
        "now": _now(finding, sources) or None,
        "do": finding.deed.value,
        "write": finding.write or None,
    }
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def summary(findings: Sequence[Finding], places: Sequence[str]) -> str:
    """What was looked at, and how much was found: ``3 findings (2 loss, 1 risk) in a.cfg, b.conf``."""
    where = ", ".join(places)
    if not findings:
        return f"nothing found in {where}"
    counts = [(sum(finding.severity is one for finding in findings), one.value) for one in Severity]
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{len(findings)} finding{'' if len(findings) == 1 else 's'} ({told}) in {where}"


def table(lints: Iterable[Lint[Any]]) -> list[str]:
    """The lints as a table of a document (Markdown)."""
    rows = [f"| `{one.id}` | {one.severity.value} | {_cell(one.title)} | {_cell(one.why)} |" for one in lints]
    return ["| lint | | what is wrong | why |", "| --- | --- | --- | --- |", *rows]


def _cell(said: str) -> str:
    return said.replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")
