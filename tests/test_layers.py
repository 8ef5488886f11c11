"""Cores decide, edges act: a core imports nothing that does IO, tells the time or rolls dice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parent.parent

CORES = {
    "supervise/init": ["declaration", "render", "order", "restart", "events", "outlets", "stuck"],
    "supervise/exec": ["plan"],
    "supervise/balance": [
        "generation", "membership", "patience", "picture", "policy", "reconcile", "render", "report", "runtime",
        "server", "wishes",
    ],
    "supervise/fleet": [
        "container", "lines", "matrix", "pursuit", "report", "result", "select", "snapshot", "table",
    ],
    "supervise/evidence": ["answer", "report", "tally", "tasks", "values"],
    "supervise/up": ["plan", "progress", "request", "values"],
    "logship/audit": [
        "audit_book", "audit_life", "audit_losses", "audit_numbers", "audit_report", "audit_scan", "counters", "doctor",
        "doctor_output", "judge", "verdict",
    ],
    "logship/audit/lints": [
        "compose", "compose_json", "container", "declaration", "haproxy_cfg", "haproxy_lines", "haproxy_targets",
        "kinds", "lint", "logrotate", "logrotate_conf", "source", "supervise_toml", "supervisord_conf",
        "supervisord_logs", "supervisord_programs", "together",
    ],
    "logship": ["metrics", "values", "zstd"],
    "logship/collect": [
        "admission", "damage", "draft", "findings", "index", "journal", "ledger", "metrics", "payload", "receipt",
        "recovery", "retention", "sealed", "sse", "state", "stream",
    ],
    "logship/lake": [
        "batch", "columns", "filters", "grouping", "keep", "manifest", "merging", "plan", "re2", "regular", "selection",
        "sql", "tokens", "unended", "views",
    ],
    "logship/ship": [
        "adoption", "backoff", "bounds", "chain", "checkpoint", "dialect", "held", "http1", "identity",
        "inquiry", "lag", "lately", "missing", "outcome", "plain", "plain_standing", "plain_states", "plain_steps",
        "resting", "schedule", "sender", "states", "standing", "steps", "stream", "tailer",
    ],
    "logship/wire": ["fields", "parsing", "refusal", "replies", "requests"],
    "logship/reading": [
        "alerts", "cells", "chain", "columns", "explain", "losses", "output", "proof", "sound", "sources", "stats",
        "tables",
    ],
    "logship/view": [
        "blocks", "fields", "items", "language", "ledger", "lines", "losses", "merge", "moment", "newest", "openapi",
        "pipes", "pipes_cells", "pipes_groups", "pipes_haproxy", "pipes_keys", "pipes_result", "pipes_shapes", "query",
        "recent", "records", "reports", "select", "shown", "sought", "standing", "when", "where",
        "certain", "certain_pattern", "digests", "events", "glance", "grouped", "older_starts", "saved", "timed",
        "bounds",
    ],
    "logship/view/alerts": [
        "book", "counts", "declaring", "evaluation", "listing", "notices", "outbox", "payload", "rule", "standing",
    ],
    "logship/spool": ["bounds", "layout", "lines", "ranges"],
}  # fmt: skip

FORBIDDEN = {
    "asyncio", "docker", "glob", "http", "httptools", "io", "loguru", "os", "random", "secrets", "select", "selectors",
    "shutil", "signal", "socket", "subprocess", "supervisor", "tempfile", "threading", "time", "urllib", "uvicorn",
}  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    """Every module that the file imports, by full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def core_paths() -> list[Path]:
    return [TREE / folder / f"{name}.py" for folder, names in CORES.items() for name in names]


@pytest.mark.parametrize("path", core_paths(), ids=lambda path: str(path.relative_to(TREE)))
def test_a_core_imports_no_io(path: Path) -> None:
    assert {name.partition(".")[0] for name in imported(path)} & FORBIDDEN == set()


@pytest.mark.parametrize("path", core_paths(), ids=lambda path: str(path.relative_to(TREE)))
def test_a_core_never_asks_for_the_present_time(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not [call for call in ("datetime.now(", "datetime.utcnow(", "date.today(") if call in text]


def test_every_core_that_says_so_is_held_to_it() -> None:
    """A module whose docstring calls it a core stands in the table above."""
    listed = set(core_paths())
    for package in ("supervise", "logship"):
        for path in (TREE / package).rglob("*.py"):
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            if docstring.lower().startswith("core:") or "(core)" in docstring.lower():
                assert path in listed, path


def test_only_the_engine_edge_imports_the_docker_sdk() -> None:
    users = {
        str(path.relative_to(TREE))
        for path in (TREE / "supervise").rglob("*.py")
        if any(name.partition(".")[0] == "docker" for name in imported(path))
    }
    assert users == {"supervise/fleet/engine.py"}


def test_logship_imports_nothing_from_supervise() -> None:
    for path in (TREE / "logship").rglob("*.py"):
        assert not [name for name in imported(path) if name.partition(".")[0] == "supervise"], path


def test_supervise_meets_logship_only_where_the_architecture_says() -> None:
    allowed = {
        "logship", "logship.commands", "logship.errors", "logship.places", "logship.settings",
        "logship.spool", "logship.spool.layout", "logship.spool.segment", "logship.spool.reader",
        "logship.spool.standin", "logship.spool.instance",
        "logship.config", "logship.ship", "logship.ship.bounds", "logship.spool.bounds",
    }  # fmt: skip
    for path in (TREE / "supervise").rglob("*.py"):
        found = {name for name in imported(path) if name.partition(".")[0] == "logship"}
        assert found <= allowed, f"{path.relative_to(TREE)}: {found - allowed}"


def test_no_module_is_called_by_a_word_that_means_nothing() -> None:
    hollow = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
    found = [
        path for package in ("supervise", "logship") for path in (TREE / package).rglob("*.py") if path.stem in hollow
    ]
    assert found == []
