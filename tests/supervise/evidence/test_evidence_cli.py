"""`supervise evidence`: wrong use is told before anything is touched; the exit status says what the report says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from supervise import cli as program
from supervise.evidence import cli
from supervise.fleet.engine import Engine
from tests.supervise.evidence.fake_stack import FakeStack, browser, running


class _Engine:
    """An engine that is only connected to and closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> _Engine:
    fake = _Engine()
    monkeypatch.setattr(Engine, "connect", lambda _: fake)
    return fake


def on(stack: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command find this stack."""
    monkeypatch.setattr(cli, "Stack", lambda *_: stack)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nodes-max", "2"], "--nodes-max 2"),
        (["--nodes-max", "1000"], "--nodes-max 1000"),
        (["--requests", "1"], "--requests 1"),
        (["--per-second", "-1"], "--per-second -1"),
        (["--per-second", "nan"], "--per-second nan"),
    ],
)
def test_a_number_out_of_its_bounds_is_status_two_and_makes_no_folder(
    tmp_path: Path, words: list[str], said: str, capsys: Any
) -> None:
    assert program.main(["evidence", str(tmp_path / "out"), *words], {}) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("engine")
def test_a_folder_with_something_else_in_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with running(FakeStack(2)) as stack:
        on(stack, monkeypatch)
        assert program.main(["evidence", str(tmp_path)], {}) == 2
        assert stack.deeds == []
    assert "it holds mine.txt" in capsys.readouterr().err


def test_an_engine_that_does_not_answer_is_one_clear_error(tmp_path: Path, capsys: Any) -> None:
    environment = {"DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    assert program.main(["evidence", str(tmp_path / "out")], environment) != 0
    said = capsys.readouterr().err
    assert "Docker engine" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("failing", [False, True])
def test_the_exit_status_says_whether_all_was_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, engine: _Engine, failing: bool
) -> None:
    stack = FakeStack(3)
    stack.failing = failing
    monkeypatch.setattr("supervise.evidence.deeds.SERVING_SECONDS", 1.0)
    with running(stack):
        on(stack, monkeypatch)
        words = ["evidence", str(tmp_path / "out"), "--requests", "100", "--per-second", "0"]
        status = program.main(words, browser(tmp_path / "bin"))
    said = capsys.readouterr().out
    assert status == (1 if failing else 0), said
    assert ("problem: " in said) == failing
    assert f"report: {tmp_path / 'out' / 'report.md'}" in said
    assert (tmp_path / "out" / "report.md").is_file()
    assert engine.closed
