"""Verbs, looks and tails over several containers: what is asked of them, what is shown, and the exit status."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from logship.errors import Fault
from supervise.fleet import ctl, ps
from supervise.fleet.container import Container
from supervise.fleet.ctl import Manner
from supervise.fleet.fleet import Fleet
from supervise.fleet.output import ExecResult
from supervise.fleet.result import Result
from supervise.fleet.screen import Screen
from tests.supervise.fleet.places import NOW, FolderEngine, container, ended, program, state

STATE = "/run/supervise/state.json"
WEB = (program("spool"), program("webapp", pid=41), program("serf", pid=42))

Answer = Callable[[Container, Sequence[str]], ExecResult]


class Scripted(FolderEngine):
    """An engine whose containers answer commands as ``answer`` says."""

    answer: Answer

    def exec(self, container: Container, argv: Sequence[str], timeout_seconds: float) -> ExecResult:
        self._reach(container)
        assert timeout_seconds > 60
        self.commands.append((container.label, list(argv)))
        return self.answer(container, argv)


def programs_of(argv: Sequence[str]) -> tuple[str, list[str]]:
    words = list(argv[argv.index("--run-dir") + 2 : argv.index("-o")])
    return words[0], words[1:]


def all_done(_item: Container, argv: Sequence[str]) -> ExecResult:
    verb, names = programs_of(argv)
    lines = [line(name, verb) for name in names]
    return ExecResult(0, "".join(json.dumps(one) + "\n" for one in lines).encode(), b"")


def line(name: str, verb: str, result: str = "done", reason: str = "") -> dict[str, Any]:
    said = Result("0123456789ab", name, verb, result, reason, "RUNNING", 50, 2.1)
    return said.line()


@pytest.fixture
def engine(tmp_path: Path) -> Scripted:
    """ha/1 and webapp/1..3; webapp/3 has stopped."""
    made = Scripted(tmp_path)
    made.answer = all_done
    made.add(container("ha", 1), {STATE: state(program("spool"), program("haproxy"), program("serf"))})
    made.add(container("webapp", 1), {STATE: state(*WEB)})
    made.add(container("webapp", 2), {STATE: state(*WEB)})
    made.add(container("webapp", 3, state="exited"))
    return made


@pytest.fixture
def fleet(engine: Scripted) -> Fleet:
    return Fleet(engine, "logship", PurePosixPath("/run/supervise"), lambda: NOW)


def screen(terminal: bool = False) -> Screen:
    return Screen(io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True), terminal)


def shown(where: Screen) -> str:
    where.out.flush()
    assert isinstance(where.out, io.TextIOWrapper)
    raw = where.out.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


YES = Manner(yes=True)


def test_a_verb_is_one_command_a_container_with_the_programs_it_selects(fleet: Fleet, engine: Scripted) -> None:
    out = screen()
    assert ctl.verb(fleet, "restart", ["webapp/1:webapp"], out, Manner(timeout_seconds=50)) == 0
    ((label, argv),) = engine.commands
    assert label == "webapp/1"
    assert " ".join(argv) == "supervise ctl --local --run-dir /run/supervise restart webapp -o json --timeout 50"
    assert shown(out).splitlines()[1] == "   webapp/1   webapp   restarted  2.1      -"


def test_logships_own_programs_are_spared_unless_named(fleet: Fleet, engine: Scripted) -> None:
    ctl.verb(fleet, "restart", ["webapp/1"], screen(), Manner())
    ctl.verb(fleet, "restart", ["webapp/2:spool"], screen(), Manner(wait=False))
    assert [(label, programs_of(argv)[1]) for label, argv in engine.commands] == [
        ("webapp/1", ["webapp", "serf"]),
        ("webapp/2", ["spool"]),
    ]
    assert engine.commands[1][1][-1] == "--no-wait"


def test_nothing_is_done_when_one_of_several_targets_is_unknown(fleet: Fleet, engine: Scripted) -> None:
    with pytest.raises(Fault, match="webapp/9") as caught:
        ctl.verb(fleet, "stop", ["webapp/1:webapp", "webapp/9:webapp"], screen(), YES)
    assert caught.value.status == 2
    assert engine.commands == []


def test_a_script_has_to_say_yes_to_several_containers(fleet: Fleet, engine: Scripted) -> None:
    with pytest.raises(Fault, match="nobody to ask") as caught:
        ctl.verb(fleet, "restart", ["*:serf"], screen(), Manner())
    assert caught.value.status == 2
    assert engine.commands == []
    assert ctl.verb(fleet, "restart", ["ha:serf", "webapp/1:serf"], screen(), YES) == 0
    assert len(engine.commands) == 2


def test_a_person_is_asked_before_several_containers_are_touched(
    fleet: Fleet, engine: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(Fault, match="not confirmed, nothing was done") as caught:
        ctl.verb(fleet, "stop", ["webapp/1", "webapp/2:serf"], screen(), Manner(ask=no))
    assert caught.value.status == 1
    assert asked == ["Stop 3 programs of 2 containers? [y/N] "]
    assert "webapp/1: webapp serf" in capsys.readouterr().err
    assert engine.commands == []
    ctl.verb(fleet, "stop", ["webapp/1"], screen(), Manner(ask=no))
    assert ctl.verb(fleet, "stop", ["ha", "webapp/1"], screen(), Manner(ask=lambda _: True)) == 0


def test_a_dry_run_shows_what_would_be_touched_and_touches_nothing(fleet: Fleet, engine: Scripted) -> None:
    out = screen()
    assert ctl.verb(fleet, "stop", ["ha", "webapp/1:*"], out, Manner(dry_run=True)) == 0
    assert [row.split() for row in shown(out).splitlines()[1:]] == [
        ["ha/1", "haproxy", "would", "stop", "-", "-"],
        ["ha/1", "serf", "would", "stop", "-", "-"],
        ["webapp/1", "webapp", "would", "stop", "-", "-"],
        ["webapp/1", "serf", "would", "stop", "-", "-"],
    ]
    assert engine.commands == []


def test_a_stopped_container_is_told_and_does_not_hold_up_the_others(fleet: Fleet) -> None:
    out = screen()
    assert ctl.verb(fleet, "restart", ["webapp:serf"], out, YES) == 4
    assert [row.split()[:3] for row in shown(out).splitlines()[1:]] == [
        ["webapp/1", "serf", "restarted"],
        ["webapp/2", "serf", "restarted"],
        ["!", "webapp/3", "serf"],
    ]
    assert "unreachable  -        the container is not running: exited (137) 3 minutes ago" in shown(out)


def test_a_container_that_cannot_be_reached_is_status_4_and_one_that_hangs_5(fleet: Fleet, engine: Scripted) -> None:
    def half(item: Container, argv: Sequence[str]) -> ExecResult:
        if item.number == 2:
            raise Fault("run", "it", "it took longer than 75 s", status=5)
        return all_done(item, argv)

    engine.answer = half
    assert ctl.verb(fleet, "restart", ["webapp/1", "webapp/2"], screen(), YES) == 5

    def broken(_item: Container, _argv: Sequence[str]) -> ExecResult:
        raise Fault("run", "it", "the connection to the engine broke", status=4)

    engine.answer = broken
    out = screen()
    assert ctl.verb(fleet, "restart", ["webapp/1"], out, YES) == 4
    assert "the connection to the engine broke" in shown(out)


def test_an_interrupt_says_that_the_containers_go_on(
    fleet: Fleet, engine: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_item: Container, _argv: Sequence[str]) -> ExecResult:
        raise KeyboardInterrupt

    engine.answer = interrupted
    with pytest.raises(KeyboardInterrupt):
        ctl.verb(fleet, "restart", ["webapp/1"], screen(), Manner())
    assert capsys.readouterr().err == "interrupted: the restart goes on in the containers\n"


def test_failures_come_back_with_their_reason(fleet: Fleet, engine: Scripted) -> None:
    def fails(_item: Container, _argv: Sequence[str]) -> ExecResult:
        said = [line("webapp", "start", "failed", "it was given up: exit status 1"), line("serf", "start")]
        return ExecResult(1, "".join(json.dumps(one) + "\n" for one in said).encode(), b"")

    engine.answer = fails
    out = screen()
    assert ctl.verb(fleet, "start", ["webapp/1"], out, Manner(as_json=True)) == 1
    lines = [json.loads(text) for text in shown(out).splitlines()]
    assert [(one["container"], one["program"], one["result"], one["reason"]) for one in lines] == [
        ("webapp/1", "webapp", "failed", "it was given up: exit status 1"),
        ("webapp/1", "serf", "done", ""),
    ]


@pytest.mark.parametrize(
    ("answer", "status", "why"),
    [
        (ExecResult(126, b'OCI runtime exec failed: "supervise": not found\r\n', b""), 4, "not found"),
        (ExecResult(4, b"", b"supervise ctl: cannot ask supervisord: refused\n  hint: x\n"), 4, "supervisord: refused"),
        (ExecResult(2, b"", b"supervise ctl: cannot find webapp: nothing was done\n"), 1, "cannot find webapp"),
        (ExecResult(137, b"", b""), 4, "ended with status 137"),
        (ExecResult(0, b"[1]\n", b""), 4, "[1]"),
        (ExecResult(0, b'{"v": 9}\n', b""), 4, '{"v": 9}'),
    ],
)
def test_whatever_a_container_answers_there_is_a_row_for_every_program(
    fleet: Fleet, engine: Scripted, answer: ExecResult, status: int, why: str
) -> None:
    engine.answer = lambda _item, _argv: answer
    out = screen()
    assert ctl.verb(fleet, "restart", ["webapp/1"], out, Manner()) == status
    rows = shown(out).splitlines()[1:]
    assert [row.split()[2] for row in rows] == ["webapp", "serf"]
    assert all(why in row for row in rows)


def test_a_container_without_state_json_can_still_be_commanded_by_name(fleet: Fleet, engine: Scripted) -> None:
    (engine.folder / "logship_webapp_1" / STATE.lstrip("/")).unlink()
    assert ctl.verb(fleet, "restart", ["webapp/1:webapp"], screen(), Manner()) == 0
    with pytest.raises(Fault, match="does not say which programs it has") as caught:
        ctl.verb(fleet, "restart", ["webapp/1"], screen(), Manner())
    assert caught.value.status == 4


def test_a_container_with_nothing_but_logships_own_programs_is_a_usage_fault(fleet: Fleet, engine: Scripted) -> None:
    engine.add(container("collector", 1), {STATE: state(program("spool"))})
    with pytest.raises(Fault, match="no other programs than logship's") as caught:
        ctl.verb(fleet, "restart", ["collector"], screen(), Manner())
    assert caught.value.status == 2


def test_a_project_without_containers_says_which_projects_have_some(tmp_path: Path) -> None:
    empty = Fleet(FolderEngine(tmp_path), "other", PurePosixPath("/run/supervise"), lambda: NOW)
    acts: list[Callable[[], int]] = [
        lambda: ctl.status(empty, [], screen(), False, True),
        lambda: ctl.verb(empty, "stop", ["all"], screen(), YES),
        lambda: ctl.tail(empty, ["all"], screen(), "5", False),
        lambda: ctl.pids(empty, ["all"], screen()),
        lambda: ps.once(empty, [], screen(), False),
    ]
    for act in acts:
        with pytest.raises(Fault, match="the compose project other: it has no containers") as caught:
            act()
        assert caught.value.status == 1


def test_status_of_all_shows_every_container_and_check_says_3_unless_all_is_well(fleet: Fleet) -> None:
    out = screen()
    assert ctl.status(fleet, [], out, as_json=False, check=False) == 0
    assert [row[3:].split()[0] for row in shown(out).splitlines()[1:]] == ["ha/1"] * 3 + ["webapp/1"] * 3 + [
        "webapp/2"
    ] * 3 + ["webapp/3"]
    assert ctl.status(fleet, ["all"], screen(), as_json=False, check=True) == 3
    assert ctl.status(fleet, ["ha", "webapp/1", "webapp/2"], screen(), as_json=True, check=True) == 0


def test_check_looks_only_at_the_programs_that_were_asked_for(fleet: Fleet, engine: Scripted) -> None:
    text = state(program("webapp", "FATAL", last_exit=ended("exit status 1")), program("serf"))
    (engine.folder / "logship_webapp_1" / STATE.lstrip("/")).write_bytes(text)
    assert ctl.status(fleet, ["webapp/1:serf"], screen(), as_json=False, check=True) == 0
    assert ctl.status(fleet, ["webapp/1:webapp"], screen(), as_json=False, check=True) == 3


def test_a_container_that_fails_to_answer_is_a_row_with_the_reason(fleet: Fleet, engine: Scripted) -> None:
    engine.faults["logship_webapp_2"] = Fault("read", "it", "the engine did not answer within 10 s", status=4)
    out = screen()
    ctl.status(fleet, [], out, as_json=False, check=False)
    assert "cannot be asked: the engine did not answer within 10 s" in shown(out)


def test_pids_are_those_of_the_selected_programs_that_run(fleet: Fleet) -> None:
    out = screen()
    assert ctl.pids(fleet, ["webapp/1", "webapp/2:serf"], out) == 0
    assert shown(out).splitlines() == [
        "webapp/1:spool 40",
        "webapp/1:webapp 41",
        "webapp/1:serf 42",
        "webapp/2:serf 42",
    ]
