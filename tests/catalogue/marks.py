"""Which test says of itself that it shows a case: ``@pytest.mark.case(17, 18)``, read from the source, nothing run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


def marks(tree: Path) -> Mapping[str, frozenset[int]]:
    """`tests/x/test_y.py::test_z` -> the cases it is marked with, also where one of its parameters alone is."""
    found: dict[str, frozenset[int]] = {}
    for path in sorted((tree / "tests").rglob("test_*.py")):
        for name, numbers in in_source(path.read_text(encoding="utf-8")):
            found[f"{path.relative_to(tree).as_posix()}::{name}"] = numbers
    return found


def in_source(text: str) -> Iterator[tuple[str, frozenset[int]]]:
    """The marked test functions of one module."""
    for node in ast.parse(text).body:
        if isinstance(node, Function):
            numbers = frozenset(number for line in node.decorator_list for number in _numbers(line))
            if numbers:
                yield node.name, numbers


def _numbers(decorator: ast.expr) -> Iterator[int]:
    for node in ast.walk(decorator):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.case":
            for argument in node.args:
                number = ast.literal_eval(argument)
                assert isinstance(number, int), f"line {node.lineno}: a case is a number"
                yield number
