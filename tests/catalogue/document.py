"""docs/guarantees.md as a text: the catalogue and how its tests came out. The same values give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from tests.catalogue.cases import HALVES, Case

FORMS = {"short": "", "engine": " (containers)", "long": " (long)"}
BEGIN = (
    "<!-- Made by `make guarantees` of tests/catalogue (cases.toml, opening.md, results.json). "
    "Changed by hand it fails tests/test_catalogue.py. -->"
)

HEAD = "| # | case | promise | shown by | elsewhere |\n| ---: | --- | --- | --- | --- |"


@dataclass(frozen=True)
class Result:
    """How a test came out for one case: `passed`, `skipped` or `failed`, and in which form it ran."""

    test: str
    outcome: str
    form: str


Results = Mapping[str, Mapping[str, object]]
"""results.json: a test -> `form`, and `cases`: number -> outcome."""


def by_case(results: Results) -> Mapping[int, tuple[Result, ...]]:
    """The results of each case, by the names of the tests."""
    found: dict[int, list[Result]] = {}
    for test, entry in sorted(results.items()):
        cases = entry["cases"]
        assert isinstance(cases, Mapping)
        for number, outcome in cases.items():
            found.setdefault(int(number), []).append(Result(test, str(outcome), str(entry["form"])))
    return {number: tuple(each) for number, each in found.items()}


def standing(case: Case, results: tuple[Result, ...]) -> str:
    """One word of a case: a test that did not pass takes away what the others show; what nobody ran shows nothing."""
    if case.not_kept:
        return "not kept"
    if results:
        return "shown" if all(result.outcome == "passed" for result in results) else "not shown"
    if case.later:
        return "later"
    return "left out" if case.reason else "not shown"


def document(opening: str, cases: Iterable[Case], results: Results) -> str:
    """The whole text."""
    cases, found = tuple(cases), by_case(results)
    parts = [opening.rstrip().replace("@COUNTS@", _counts(cases, found)), BEGIN]
    for group, members in groupby(cases, key=lambda case: case.group):
        rows = "\n".join(_row(case, found.get(case.number, ())) for case in members)
        parts.append(
            f"## {group}\n\n| # | case | promise | shown by | elsewhere |\n| ---: | --- | --- | --- | --- |\n{rows}"
        )
    return "\n\n".join(parts) + "\n"


def _counts(cases: tuple[Case, ...], found: Mapping[int, tuple[Result, ...]]) -> str:
    """How many cases stand how, in all and by part."""
    words = ("shown", "not shown", "not kept", "later", "left out")
    table = [f"| | {' | '.join(words)} |", f"| --- |{' ---: |' * len(words)}"]
    for half in (*HALVES, "all"):
        some = [standing(case, found.get(case.number, ())) for case in cases if half in (case.half, "all")]
        name = f"**{half}**: {HALVES[half]}" if half in HALVES else "all"
        table.append(f"| {name} | {' | '.join(str(some.count(word)) for word in words)} |")
    return "\n".join(table)


def _row(case: Case, results: tuple[Result, ...]) -> str:
    word = standing(case, results)
    promise = f"{case.promise} *({case.half})*" + (f". Residual: {case.residual}" if case.residual else "")
    why = case.not_kept or case.later or case.reason
    shown = [_link(result) for result in results]
    if word == "not shown" and not results:
        shown = ["**not shown**: no test of it has run"]
    elif word != "shown":
        shown = [f"**{word}**" + (f": {why}" if why else ""), *shown]
    return f"| {case.number} | {case.title} | {promise} | {'<br>'.join(shown)} | {case.peers} |"


def _link(result: Result) -> str:
    path, _, name = result.test.partition("::")
    sentence = name.removeprefix("test_").replace("_", " ")
    trouble = "" if result.outcome == "passed" else f" **{result.outcome}**"
    return f"[{sentence}](../{path}){FORMS[result.form]}{trouble}"
