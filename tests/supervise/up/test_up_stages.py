"""The stages of make test: all are run, each failure is told, and no tests at all is one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from logship.errors import Fault
from supervise.up import stages, venv
from supervise.up.request import request_of
from supervise.up.run import Machine
from supervise.up.shell import Shell


def machine(tree: Path, command: str, statuses: dict[str, int]) -> Machine:
    """A checkout whose tools are scripts that say their words and end with these statuses."""
    folder = tree / ".venv" / "bin"
    folder.mkdir(parents=True)
    (tree / "pyproject.toml").touch()
    for name in ("python", *venv.COMMANDS, "ruff", "mypy", "pytest"):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "{name} said $* $LOGSHIP_TEST_RUN"\nexit {statuses.get(name, 0)}\n')
        script.chmod(0o755)
    digest = venv.digest_of(b"", f"{sys.base_prefix} {sys.version}", str(tree))
    (tree / ".venv" / venv.STAMP).write_text(json.dumps({"digest": digest, "dev": True}))
    environment = {"PATH": os.environ["PATH"], "ARGS": "-k 'two words'"}
    return Machine(request_of(command, environment), Shell(environment), tree)


def test_stages_that_pass_end_with_what_the_last_one_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stages.run(machine(tmp_path, "lint", {})) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("== ") and ": ok in " in line] == lines[3::3]
    assert len(lines[3::3]) == 3


def test_every_stage_runs_even_after_one_has_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Fault) as caught:
        stages.run(machine(tmp_path, "lint", {"ruff": 1}))
    assert caught.value.status == 1
    assert "ruff check, ruff format" in caught.value.cause
    assert "mypy said" in capfd.readouterr().out


def test_a_run_that_finds_no_test_has_failed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Fault, match="failed: unit"):
        stages.run(machine(tmp_path, "unit", {"pytest": stages.NO_TESTS}))
    assert "no test was found, which counts as failed" in capfd.readouterr().out


def test_words_for_pytest_arrive_as_they_were_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stages.run(machine(tmp_path, "unit", {})) == 0
    assert " -m not engine and not long -k two words " in capfd.readouterr().out.partition("pytest said")[2]
