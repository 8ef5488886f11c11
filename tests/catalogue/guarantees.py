"""``make guarantees``: run the tests that are marked with a case, keep how they came out, write docs/guarantees.md.

What is named on the command line goes to pytest and narrows the run: `make guarantees ARGS="tests/logship/ship"`. What
was not run keeps its result; of a test that has gone, or has lost its mark, nothing is kept. Exit status 1: one failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.catalogue.cases import load
from tests.catalogue.document import Results, document
from tests.catalogue.marks import marks

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
RESULTS = HERE / "results.json"
OPENING = HERE / "opening.md"
DOCUMENT = TREE / "docs" / "guarantees.md"
NO_TESTS = 5
RUNS = {
    "without containers": ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", "-m", "case and not engine"),
    "with containers": ("-n", "2", "--dist", "loadfile", "-m", "case and engine"),
}
"""As `make unit` and `make e2e` run them (supervise/up/stages.py)."""


def kept() -> Results:
    """The results of the tree."""
    found: Results = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def text(results: Results) -> str:
    """The document that these results make."""
    return document(OPENING.read_text(encoding="utf-8"), load(), results)


def joined(old: Results, new: Results, marked: dict[str, frozenset[int]]) -> Results:
    """The new ones, the old ones of tests that did not run, and nothing of what is not marked any more."""
    found: dict[str, dict[str, object]] = {}
    for test, entry in {**old, **new}.items():
        cases = entry["cases"]
        assert isinstance(cases, dict)
        still = {number: outcome for number, outcome in cases.items() if int(number) in marked.get(test, frozenset())}
        if still:
            found[test] = {"form": entry["form"], "cases": still}
    return found


def run(words: list[str]) -> tuple[int, Results]:
    """The marked tests, and pytest's exit status where it is one of trouble."""
    worst, found = 0, dict[str, dict[str, object]]()
    for name, options in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "results.json"
            command = [sys.executable, "-m", "pytest", "-q", *options, "--cases-to", str(target), *words]
            print(f"== {name}: {' '.join(command[2:])}", flush=True)
            status = subprocess.run(command, cwd=TREE, env={**os.environ, "LONG": "1"}, check=False).returncode
            if target.exists():
                found.update(json.loads(target.read_text(encoding="utf-8")))
            worst = max(worst, 0 if status == NO_TESTS else status)
    return worst, found


def main(words: list[str]) -> int:
    """Run, join, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.catalogue.guarantees", description=__doc__)
    parser.add_argument("--no-run", action="store_true", help="write the document of the results there are")
    options, rest = parser.parse_known_args(words)
    status, new = (0, {}) if options.no_run else run(rest)
    results = joined(kept() if RESULTS.exists() else {}, new, dict(marks(TREE)))
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    DOCUMENT.write_text(text(results), encoding="utf-8")
    print(f"{len(new)} tests were run; docs/guarantees.md is written", flush=True)
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
