"""The part of it that lives in pytest: with ``--cases-to FILE`` the outcome of every test that is marked with a case.

A mark that names no case of cases.toml stops the run. The file is JSON: a test's name without its parameters, its
form (`short`, `engine`: on real containers, `long`), and for each case it shows the worst that came out of it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.catalogue.cases import numbers

RANK = ("passed", "skipped", "failed")
"""A test with parameters is as good as the worst of them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one option."""
    parser.addoption("--cases-to", metavar="FILE", help="write there how the tests of the catalogue came out")


def pytest_configure(config: pytest.Config) -> None:
    """Record only where somebody asked, and once: with workers, their reports come together here."""
    target = config.getoption("--cases-to")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(target)), "case-recorder")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each report say which cases its test shows, and whether it is a long one."""
    known = numbers()
    for item in items:
        shown = sorted({number for mark in item.iter_markers("case") for number in mark.args})
        if not shown:
            continue
        unknown = [number for number in shown if number not in known]
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: tests/catalogue/cases.toml has no case {unknown}")
        form = "long" if item.get_closest_marker("long") else "engine" if item.get_closest_marker("engine") else "short"
        item.user_properties.append(("cases", {"form": form, "cases": shown}))


class Recorder:
    """What came out, and at the end the file."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._found: dict[str, dict[str, object]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test counts by its call; a set-up that fails or skips, and a tear-down that fails, count as well."""
        about = dict(report.user_properties).get("cases")
        if not isinstance(about, dict) or (report.when != "call" and report.passed):
            return
        entry = self._found.setdefault(report.nodeid.partition("[")[0], {"form": about["form"], "cases": {}})
        outcomes = entry["cases"]
        assert isinstance(outcomes, dict)
        for number in about["cases"]:
            outcomes[str(number)] = max(outcomes.get(str(number), "passed"), report.outcome, key=RANK.index)

    def pytest_sessionfinish(self) -> None:
        """Write it down."""
        self._target.write_text(json.dumps(self._found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
