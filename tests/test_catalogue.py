"""The catalogue of cases: whole, each with a test, an issue or a reason; and its document no better than the tests."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.catalogue import guarantees
from tests.catalogue.cases import Case, load, numbers, read
from tests.catalogue.document import Result, document, standing
from tests.catalogue.marks import in_source, marks

TREE = Path(__file__).resolve().parent.parent
AGAIN = "make guarantees (ARGS=PATH runs one file alone) brings results.json and the document up to date"
CASE = Case(number=1, title="a case", promise="a promise", half="capture", group="Group")
PASSED, FAILED = Result("tests/x.py::test_a", "passed", "short"), Result("tests/x.py::test_b", "failed", "short")


def test_every_case_is_in_the_catalogue_once_and_in_order() -> None:
    assert frozenset(case.number for case in load()) == numbers()


def test_every_mark_names_a_case_that_is_there() -> None:
    assert {name for name, shown in marks(TREE).items() if shown - numbers()} == set()


def test_every_case_has_a_test_or_says_why_not_and_none_that_waits_has_one() -> None:
    tested = frozenset(number for shown in marks(TREE).values() for number in shown)
    assert [case.number for case in load() if case.number not in tested and not case.excused] == []
    assert [case.number for case in load() if case.number in tested and (case.later or case.reason)] == []


def test_no_result_is_of_a_test_that_has_gone_or_lost_its_mark() -> None:
    marked = marks(TREE)
    stale = [
        (test, number)
        for test, entry in guarantees.kept().items()
        for number in entry["cases"]  # type: ignore[attr-defined]  # a dict, as the document holds it to be
        if int(number) not in marked.get(test, frozenset())
    ]
    assert stale == [], AGAIN


def test_the_document_is_what_the_results_make() -> None:
    assert guarantees.DOCUMENT.read_text(encoding="utf-8") == guarantees.text(guarantees.kept()), AGAIN


def test_one_test_that_did_not_pass_takes_the_case_away_from_those_that_did() -> None:
    assert standing(CASE, (PASSED,)) == "shown"
    assert standing(CASE, (PASSED, FAILED)) == "not shown"
    assert standing(CASE, (PASSED, replace(PASSED, outcome="skipped"))) == "not shown"
    assert standing(CASE, ()) == "not shown", "what nobody ran shows nothing"
    assert standing(replace(CASE, not_kept="it does not hold"), (PASSED,)) == "not kept"
    assert standing(replace(CASE, later="issue: x"), ()) == "later"
    assert standing(replace(CASE, reason="none of ours"), ()) == "left out"


def test_the_document_says_which_test_failed_and_counts_it() -> None:
    results = {
        "tests/x.py::test_a": {"form": "short", "cases": {"1": "passed", "2": "passed"}},
        "tests/x.py::test_b": {"form": "long", "cases": {"1": "failed"}},
    }
    text = document("# Head\n\n@COUNTS@", (CASE, replace(CASE, number=2)), results)
    assert "| **not shown**<br>[a](../tests/x.py)<br>[b](../tests/x.py) (long) **failed** |" in text
    assert "| all | 1 | 1 | 0 | 0 | 0 |" in text


def test_a_case_breaks_no_rule_unnoticed() -> None:
    good = guarantees.HERE.joinpath("cases.toml").read_text(encoding="utf-8")
    for old, new, said in (
        ("number = 2\n", "number = 3\n", "numbers are 1 to 134"),
        ('half = "capture"', 'half = "catching"', "half is one of"),
        ("number = 1\n", 'number = 1\nlater = "soon"\n', "names an issue"),
        ("number = 1\n", 'number = 1\nlater = "issue: x"\nreason = "y"\n', "more than one excuse"),
        ("number = 1\n", 'number = 1\nnotes = "x"\n', "no key is called"),
    ):
        with pytest.raises(AssertionError, match=said):
            read(good.replace(old, new, 1))


def test_marks_are_read_from_decorators_and_from_single_parameters() -> None:
    text = """
import pytest

@pytest.mark.long
@pytest.mark.case(3, 4)
def test_one() -> None: ...

@pytest.mark.parametrize("kind", ["a", pytest.param("b", marks=pytest.mark.case(7))])
async def test_two(kind: str) -> None: ...

def test_three() -> None: ...
"""
    assert dict(in_source(text)) == {"test_one": {3, 4}, "test_two": {7}}


RUN = """
import pytest

@pytest.mark.case(3)
@pytest.mark.parametrize("good", [True, False])
def test_one(good): assert good

@pytest.mark.long
@pytest.mark.case(3, 4)
def test_two(): pass

@pytest.mark.case(5)
def test_three(): pytest.skip("not here")

@pytest.fixture
def broken(): raise RuntimeError

@pytest.mark.case(6)
def test_four(broken): pass

def test_five(): assert False
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_a_run_records_the_worst_of_each_marked_test_also_from_workers(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "test_some.py").write_text(RUN)
    assert run(tmp_path, *options) == 1
    assert json.loads((tmp_path / "results.json").read_text()) == {
        "test_some.py::test_one": {"form": "short", "cases": {"3": "failed"}},
        "test_some.py::test_two": {"form": "long", "cases": {"3": "passed", "4": "passed"}},
        "test_some.py::test_three": {"form": "short", "cases": {"5": "skipped"}},
        "test_some.py::test_four": {"form": "short", "cases": {"6": "failed"}},
    }


def test_a_mark_that_names_no_case_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(RUN.replace("case(5)", "case(135)"))
    assert run(tmp_path) == 4


def run(folder: Path, *options: str) -> int:
    """pytest over the tests in ``folder``, with this tree's part of it; its exit status."""
    words = ["-q", "-p", "tests.catalogue.recording", "--rootdir", str(folder), "-o", "markers=case\nlong", *options]
    command = [sys.executable, "-m", "pytest", *words, "--cases-to", str(folder / "results.json"), str(folder)]
    return subprocess.run(command, cwd=TREE, check=False, capture_output=True).returncode


def test_what_was_not_run_keeps_its_result_and_what_lost_its_mark_has_none() -> None:
    old = {
        "a": {"form": "short", "cases": {"1": "passed", "2": "passed"}},
        "b": {"form": "short", "cases": {"1": "failed"}},
        "gone": {"form": "short", "cases": {"9": "passed"}},
    }
    new = {"b": {"form": "short", "cases": {"1": "passed"}}}
    assert guarantees.joined(old, new, {"a": frozenset({1}), "b": frozenset({1})}) == {
        "a": {"form": "short", "cases": {"1": "passed"}},
        "b": {"form": "short", "cases": {"1": "passed"}},
    }
