"""The runner of the public suite says what happened, and is not fooled by a list that is out of date."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.verdict import Excluded, judge, parse_excluded, pattern, report_lines

HERE = Path(__file__).parent
EXCLUDED = [Excluded("forks", ("Fork > *",)), Excluded("expiry", ("TTL > keeps (1.5 s)",))]


def report(**statuses: str) -> dict[str, object]:
    results = [
        {
            "ancestorTitles": name.split("/")[:-1],
            "title": name.split("/")[-1],
            "status": status,
            "failureMessages": ["why"],
        }
        for name, status in statuses.items()
    ]
    return {"testResults": [{"assertionResults": results}]}


def test_a_failure_that_is_not_left_out_fails_the_run() -> None:
    verdict = judge(report(**{"Read/a": "passed", "Read/b": "failed", "Fork/x": "failed"}), EXCLUDED[:1])
    assert not verdict.good
    assert verdict.failed == [("Read > b", "why")]
    assert report_lines(verdict)[-1] == "conformance: 1 passed, 1 failed, 1 left out, of 3"


def test_a_run_in_which_nothing_ran_is_no_success() -> None:
    assert not judge(report(), []).good
    assert not judge(report(**{"Read/a": "skipped", "Read/b": "passed"}), []).good


def test_an_entry_that_names_no_test_fails_the_run() -> None:
    verdict = judge(report(**{"Read/a": "passed", "Fork/x": "skipped"}), EXCLUDED)
    assert verdict.stale == ["TTL > keeps (1.5 s)"]
    assert not verdict.good


def test_the_left_out_ones_are_printed_by_name_with_their_reason() -> None:
    lines = report_lines(judge(report(**{"Read/a": "passed", "Fork/x": "skipped"}), EXCLUDED[:1]))
    assert lines[1:3] == ["  forks (1 tests)", "    - Fork > x"]


def test_the_pattern_takes_all_but_the_left_out_ones() -> None:
    taken = re.compile(pattern(EXCLUDED))
    assert not taken.search("Fork x")
    assert not taken.search("TTL keeps (1.5 s)")
    assert taken.search("TTL keeps (1.5 s) and more")
    assert taken.search("Read Fork x")


def test_every_exclusion_has_a_reason() -> None:
    found = parse_excluded((HERE / "excluded.json").read_text(encoding="utf-8"))
    assert found
    assert all(len(entry.reason) > 20 and entry.tests for entry in found)
