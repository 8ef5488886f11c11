"""A bad file that one lint finds, a good one that passes, and what becomes of the bad one when told is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from logship.audit.doctor import Document, examine
from logship.audit.lints.kinds import Kind, kind_of
from logship.audit.lints.lint import Conditions, Deed, Finding
from logship.audit.lints.source import Source


@dataclass(frozen=True)
class Example:
    """``bad`` has the trap ``lint`` in ``line``, and no other; ``good`` has none. ``also``: files beside both."""

    lint: str
    kind: Kind
    bad: str
    line: int
    good: str
    conditions: Conditions = field(default_factory=Conditions)
    also: Sequence[tuple[Kind, str]] = ()

    def __str__(self) -> str:
        return self.lint

    def documents(self, text: str) -> list[Document]:
        """The text and what stands beside it."""
        beside = [Document(kind, (Source(f"also-{kind.value}", said),)) for kind, said in self.also]
        return [Document(self.kind, (Source("file", text),)), *beside]

    def findings(self, text: str) -> list[Finding]:
        """What doctor says of the text."""
        return examine(self.documents(text), self.conditions)


def done(text: str, finding: Finding) -> str:
    """The text after somebody did what the finding says."""
    lines = text.split("\n")
    at = finding.place.line - 1
    new = finding.write.split("\n") if finding.write else []
    if finding.deed is Deed.ADD:
        lines[at + 1 : at + 1] = new
    else:
        lines[at : at + 1] = new
        if finding.lint == "haproxy-last-line":
            lines.append("")
    return "\n".join(lines)


def check(example: Example) -> None:
    """Bad is found at its line and nowhere else; good passes; the bad one, mended as told, passes, too."""
    found = example.findings(example.bad)
    assert [(item.lint, item.place.line) for item in found] == [(example.lint, example.line)], found
    assert example.findings(example.good) == []
    mended = done(example.bad, found[0])
    assert example.findings(mended) == [], mended
    for text in (example.bad, example.good):
        assert kind_of(text) is example.kind
