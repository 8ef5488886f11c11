"""Core: files and what is known of a container -> findings.

Owns the list of all lints, what is read before they look, and the allowances that take findings back. What a lint
looks for is its own (``lints/``); reading files and the container is ``doctor_files.py`` and ``doctor_inside.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from logship.audit.lints import (
    compose,
    container,
    declaration,
    haproxy_lines,
    haproxy_targets,
    logrotate,
    supervisord_logs,
    supervisord_programs,
    together,
)
from logship.audit.lints.compose_json import Compose
from logship.audit.lints.haproxy_cfg import Haproxy
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions, Deed, Finding, Flaw, Lint, Severity, lint
from logship.audit.lints.logrotate_conf import Logrotate
from logship.audit.lints.source import Source, Unreadable
from logship.audit.lints.supervise_toml import Declaration
from logship.audit.lints.supervisord_conf import Supervisord


@dataclass(frozen=True)
class Document:
    """A file of a kind, and the files that it includes."""

    kind: Kind
    sources: tuple[Source, ...]


@lint(
    "doctor-allow",
    Severity.RISK,
    "an allowance that names no lint or gives no reason",
    "a finding that is taken back without a reason is taken back for ever, also when the reason is gone.",
)
def allowances(source: Source, _: Conditions) -> Iterator[Flaw]:
    for item in source.allowances:
        if item.lint not in IDS:
            yield Flaw(item.place, f"there is no lint {item.lint!r} (`logship doctor --list` has all)", Deed.REMOVE)
        elif not item.reasoned:
            write = f"{source.line(item.place.line).rstrip()} REASON"
            yield Flaw(item.place, f"{item.lint} is allowed without a reason", Deed.REPLACE, write)


SUPERVISORD = supervisord_logs.LINTS + supervisord_programs.LINTS
HAPROXY = haproxy_targets.LINTS + haproxy_lines.LINTS
ALL: tuple[Lint[Any], ...] = (
    *HAPROXY,
    *SUPERVISORD,
    *logrotate.LINTS,
    *declaration.LINTS,
    *compose.LINTS,
    *together.LINTS,
    *container.LINTS,
    allowances,
)
"""Every lint, in the order in which people are told of them."""

IDS = frozenset(item.id for item in ALL)


def examine(
    documents: Sequence[Document],
    conditions: Conditions,
    found: container.Container | None = None,
    left_out: Collection[str] = (),
) -> list[Finding]:
    """All findings in the order of their places; ``left_out`` names lints nobody wants. Raises Unreadable."""
    conditions = replace(conditions, composed=any(document.kind is Kind.COMPOSE for document in documents))
    findings = [finding for document in documents for finding in _alone(document, conditions)]
    findings += _each(together.LINTS, _files(documents, conditions), conditions)
    if found is not None:
        findings += _each(container.LINTS, found, conditions)
    sources = {source.name: source for document in documents for source in document.sources}
    kept = {
        finding
        for finding in findings
        if finding.lint not in left_out
        and not (finding.place.file in sources and sources[finding.place.file].allows(finding.lint, finding.place.line))
    }
    return sorted(kept, key=lambda finding: (finding.place, finding.lint, finding.what))


def refuse_stranger(document: Document) -> None:
    """Raises Unreadable for a document without anything of its kind, of which no lint could say that it is good."""
    match next(iter(_read(document, Conditions())[0]), None):
        case Supervisord(sections=sections) | Haproxy(sections=sections) if not sections:
            cause = "no section of it stands there"
        case Logrotate(known=False):
            cause = "neither a block nor a known directive stands there"
        case Declaration(container=table, programs=[]) if not table:
            cause = "neither [container] nor a program stands there"
        case Compose(services=[]):
            cause = "no service stands there"
        case _:
            return
    raise Unreadable(document.sources[0].place(0), f"it is no file of kind {document.kind.value}: {cause}")


def _each(lints: Sequence[Lint[Any]], subject: object, conditions: Conditions) -> list[Finding]:
    return [finding for item in lints for finding in item.findings(subject, conditions)]


def _alone(document: Document, conditions: Conditions) -> list[Finding]:
    findings = [finding for source in document.sources for finding in allowances.findings(source, conditions)]
    subjects, lints = _read(document, conditions)
    return findings + [finding for subject in subjects for finding in _each(lints, subject, conditions)]


def _read(document: Document, conditions: Conditions) -> tuple[list[object], Sequence[Lint[Any]]]:
    """What is looked at, and the lints that look."""
    sources = document.sources
    match document.kind:
        case Kind.SUPERVISORD:
            return [Supervisord(sources, conditions.environment)], SUPERVISORD
        case Kind.HAPROXY:
            return [Haproxy(source, conditions.environment) for source in sources], HAPROXY
        case Kind.LOGROTATE:
            return [Logrotate(sources)], logrotate.LINTS
        case Kind.DECLARATION:
            return [Declaration(source) for source in sources], declaration.LINTS
        case Kind.COMPOSE:
            return [Compose(source) for source in sources], compose.LINTS


def _files(documents: Sequence[Document], conditions: Conditions) -> together.Files:
    read = [subject for document in documents for subject in _read(document, conditions)[0]]
    return together.Files(
        tuple(item for item in read if isinstance(item, Supervisord)),
        tuple(item for item in read if isinstance(item, Logrotate)),
        tuple(item for item in read if isinstance(item, Declaration)),
        tuple(item for item in read if isinstance(item, Compose)),
    )
