"""The catalogue of cases: whole, and each case with a test, an issue or a reason."""

from __future__ import annotations

from pathlib import Path

from tests.catalogue.cases import load, numbers
from tests.catalogue.marks import in_source, marks

TREE = Path(__file__).resolve().parent.parent


def test_every_case_is_in_the_catalogue_once_and_in_order() -> None:
    assert frozenset(case.number for case in load()) == numbers()


def test_every_mark_names_a_case_that_is_there() -> None:
    assert {name for name, shown in marks(TREE).items() if shown - numbers()} == set()


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
