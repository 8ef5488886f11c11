"""Core: what a report of the public suite says, given the tests that are left out.

Left to others: running it (``run``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

JOIN = " > "


@dataclass(frozen=True)
class Excluded:
    """Tests that are left out: full names, or ``Group > *``; and why."""

    reason: str
    tests: tuple[str, ...]

    def matching(self, name: str) -> str | None:
        """The entry that names the test, if one does."""
        for entry in self.tests:
            if name == entry or (entry.endswith("*") and name.startswith(entry.removesuffix("*"))):
                return entry
        return None


@dataclass
class Verdict:
    """Names of tests by what became of them; ``excluded`` with reasons; ``stale`` entries that name no test."""

    passed: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    excluded: list[tuple[str, str]] = field(default_factory=list)
    excluded_passed: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything that is not left out passed, and the list of what is left out is true."""
        return bool(self.passed) and not (self.failed or self.not_run or self.stale)


def parse_excluded(text: str) -> list[Excluded]:
    """The file ``excluded.json``."""
    return [Excluded(entry["reason"], tuple(entry["tests"])) for entry in json.loads(text)]


def pattern(excluded: Sequence[Excluded]) -> str:
    """A JavaScript regular expression for the full names (joined by spaces) of what is not left out."""
    names = [name for entry in excluded for name in entry.tests]
    alternatives = [
        re.sub(r"([^\w\s])", r"\\\1", name.removesuffix("*").replace(JOIN, " ")) + ("" if name.endswith("*") else "$")
        for name in names
    ]
    return f"^(?!\\s*(?:{'|'.join(alternatives)}))"


def judge(report: Mapping[str, Any], excluded: Sequence[Excluded]) -> Verdict:
    """Sort the tests of vitest's JSON report."""
    verdict, used = Verdict(), set()
    for result in (test for file in report["testResults"] for test in file["assertionResults"]):
        name = JOIN.join([*(title for title in result["ancestorTitles"] if title), result["title"]])
        reasons = [(entry.reason, match) for entry in excluded if (match := entry.matching(name)) is not None]
        if reasons:
            used.add(reasons[0][1])
            verdict.excluded.append((name, reasons[0][0]))
            if result["status"] == "passed":
                verdict.excluded_passed.append(name)
        elif result["status"] == "passed":
            verdict.passed.append(name)
        elif result["status"] == "failed":
            verdict.failed.append((name, (result.get("failureMessages") or [""])[0].strip()))
        else:
            verdict.not_run.append(name)
    verdict.stale = sorted({name for entry in excluded for name in entry.tests} - used)
    return verdict


def report_lines(verdict: Verdict) -> list[str]:
    """What the runner prints."""
    lines = ["left out, by reason:"]
    for reason in dict.fromkeys(reason for _, reason in verdict.excluded):
        names = [name for name, why in verdict.excluded if why == reason]
        lines += [f"  {reason} ({len(names)} tests)", *(f"    - {name}" for name in names)]
    lines += [f"passes though it is left out: {name}" for name in verdict.excluded_passed]
    lines += [f"named in excluded.json, but not in the suite: {name}" for name in verdict.stale]
    lines += [f"NOT RUN: {name}" for name in verdict.not_run]
    for name, message in verdict.failed:
        lines += [f"FAILED: {name}", *(f"    {line}" for line in message.splitlines()[:8])]
    counts = f"{len(verdict.passed)} passed, {len(verdict.failed)} failed, {len(verdict.excluded)} left out"
    total = len(verdict.passed) + len(verdict.failed) + len(verdict.not_run) + len(verdict.excluded)
    return [*lines, f"conformance: {counts}, of {total}"]
