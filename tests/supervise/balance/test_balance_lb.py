"""``supervise lb`` and ``supervise balance`` as commands: what they print, refuse and pass on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.errors import Fault
from supervise.balance import lb
from supervise.balance.generation import headline
from supervise.balance.haproxy import HaproxyDown
from supervise.balance.report import diff_text, history_table
from supervise.cli import main
from supervise.fleet.container import Container
from supervise.fleet.output import ExecResult
from tests.e2e.stack import eventually
from tests.supervise.balance.desk import TEMPLATE, Desk
from tests.supervise.balance.listings import record

NODES = ["4b1c0a-10-0-0-1", "4b2d0b-10-0-0-2", "9fff0c-10-0-0-3"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path)
    monkeypatch.setattr("supervise.balance.lb._look", lambda _: (desk.haproxy.look(), ""))
    desk.serve(*(record(name, number) for number, name in enumerate(NODES, start=1)))
    return desk


@pytest.fixture
def alive(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The same with its loop turning beside the test."""
    monkeypatch.setattr(lb, "APPLY_SECONDS", 60.0)
    stop = threading.Event()

    def turn() -> None:
        while not stop.wait(0.01):
            desk.steps()

    thread = threading.Thread(target=turn)
    thread.start()
    yield desk
    stop.set()
    thread.join(60)


def run(desk: Desk, *words: str) -> int:
    return main(["lb", "--local", *words], {"SUPERVISE_BALANCE_DIR": str(desk.folder / "balance")})


def test_status_is_a_line_for_the_balancer_and_one_a_server(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.haproxy.alive.discard("10.0.0.2")
    desk.lister.lists(
        record(NODES[0], 1), record(NODES[1], 2), record(NODES[2], 3, "failed"), record("evil", 9, port='"')
    )
    desk.steps(8)
    assert run(desk, "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("generation 1  ")
    assert lines[1].startswith("! refused evil: its tag port ")
    assert lines[2].split() == ["SERVER", "ADDRESS", "WEIGHT", "SERF", "STATE", "CHECK", "SESSIONS", "REQUESTS", "NOTE"]
    assert [line.split()[:5] for line in lines[3:]] == [
        [NODES[0], "10.0.0.1:3000", "100", "alive", "up"],
        [NODES[1], "10.0.0.2:3000", "100", "alive", "down"],
        [NODES[2], "10.0.0.3:3000", "100", "failed", "up"],
    ]
    assert lines[5].endswith("kept: Serf says failed, but HAProxy's check has not failed")


def test_status_as_json_is_one_object_a_line(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.haproxy.sessions = {("app", NODES[0]): 1}
    desk.lister.lists(record(NODES[0], 1, "left"), record(NODES[1], 2))
    desk.steps()
    assert run(desk, "-o", "json", "status") == run(desk, "status", "-o", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert [line["kind"] for line in lines[:4]] == ["balancer", "server", "server", "leaving"]
    assert lines[0]["generation"] == 2
    assert lines[3]["name"] == NODES[0]


def test_a_balancer_that_is_dead_and_a_haproxy_that_does_not_answer_are_said(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lb, "_look", lambda _: (None, "Connection refused"))
    monkeypatch.setattr("supervise.balance.store.Store.is_running", lambda _: False)
    assert run(desk, "status") == 0
    out = capsys.readouterr().out
    assert "! balance: it is not running; this is its last word" in out
    assert "! haproxy: Connection refused" in out
    assert " unknown " in out
    assert run(desk, "drain", NODES[0]) == 1
    assert "it will take the wish up when it starts" in capsys.readouterr().err


def test_history_has_a_line_a_generation_and_diff_shows_one(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.lister.lists(record(NODES[1], 2), record(NODES[0], 1, "leaving"), record(NODES[2], 3))
    desk.steps(8)
    assert run(desk, "history") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["N", "1", "2"]
    assert lines[2].endswith(f"leave {NODES[0]} (leaving)")
    assert run(desk, "history", "-n", "1", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["n"] == 2
    assert run(desk, "diff", "2") == run(desk, "diff") == 0
    out = capsys.readouterr().out
    assert out.count(f"-    server {NODES[0]} 10.0.0.1:3000") == 4
    assert out.startswith("generation 2  ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("diff", "77"), "kept are 1 to 1; near: 1"),
        (("drain", "9fff1c-10-0-0-3"), f"near: {NODES[2]}"),
        (("drain", "4b"), f"{NODES[0]}, {NODES[1]}"),
        (("ready", "zzz"), "servers: "),
        (("weight", NODES[0], "257"), "0 to 256"),
        (("history", "-n", "0"), "1 or more"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is_near(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert run(desk, *words) == 2
    assert said in capsys.readouterr().err
    assert not (desk.folder / "balance" / "wishes.json").exists()


def test_a_wish_is_answered_when_haproxy_has_it(alive: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(alive, "weight", "9fff", "7") == 0
    assert capsys.readouterr().out == f"{NODES[2]}: weight 7 (0 requests under way)\n"
    assert run(alive, "drain", NODES[2]) == 0
    assert alive.haproxy.entries["app", NODES[2]].weight == 0
    assert run(alive, "-o", "json", "ready", NODES[2]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["weight"] == 100
    assert json.loads((alive.folder / "balance" / "wishes.json").read_text()) == {"v": 1, "drain": [], "weight": {}}


def test_a_wish_that_is_not_done_in_time_is_a_failure(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lb, "APPLY_SECONDS", 0.1)
    assert run(desk, "drain", NODES[0]) == 1
    assert "the wish is kept" in capsys.readouterr().err


def test_wishes_for_servers_that_are_gone_are_forgotten_with_the_next_one(alive: Desk) -> None:
    assert run(alive, "drain", NODES[0]) == 0
    alive.lister.lists(record(NODES[0], 1, "left"), record(NODES[1], 2), record(NODES[2], 3))
    assert run(alive, "drain", NODES[1]) == 0
    eventually("the first one is out", lambda: NODES[0] not in alive.filed)
    assert run(alive, "drain", NODES[2]) == 0
    assert json.loads((alive.folder / "balance" / "wishes.json").read_text())["drain"] == NODES[1:]


class FakeEngine:
    """Containers of a project, and what was run in them."""

    def __init__(self, services: list[str]) -> None:
        self.ran: list[tuple[str, list[str]]] = []
        self._services = services

    def containers(self, project: str) -> list[Container]:
        assert project == "logship"
        numbers = dict.fromkeys(self._services, 0)
        found = []
        for service in self._services:
            numbers[service] += 1
            number = numbers[service]
            found.append(Container(f"{service}{number}" + "0" * 60, "n", service, number, "running", "", "i", (), 0))
        return found

    def exec(self, container: Container, argv: list[str], timeout_seconds: float) -> ExecResult:
        assert timeout_seconds > lb.APPLY_SECONDS
        self.ran.append((container.label, argv))
        return ExecResult(2 if "bad" in argv else 0, b"said\n", b"")


def on_the_host(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine, *words: str) -> int:
    monkeypatch.setattr("supervise.fleet.engine.Engine.connect", lambda _: engine)
    return main(["lb", *words], {"SUPERVISE_BALANCE_DIR": "/nonexistent"})


def test_on_the_host_it_runs_itself_in_the_balancers_container(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(["webapp", "ha", "webapp"])
    assert on_the_host(monkeypatch, engine, "status") == 0
    assert on_the_host(monkeypatch, engine, "weight", "webapp/2", "50", "-o", "json") == 0
    assert on_the_host(monkeypatch, engine, "history", "-n", "3") == on_the_host(monkeypatch, engine, "diff", "4") == 0
    assert on_the_host(monkeypatch, engine, "drain", "bad") == 2
    local = ["supervise", "lb", "--local", "-o"]
    assert engine.ran == [
        ("ha/1", [*local, "table", "status"]),
        ("ha/1", [*local, "json", "weight", "webapp200000", "50"]),
        ("ha/1", [*local, "table", "history", "-n", "3"]),
        ("ha/1", [*local, "table", "diff", "4"]),
        ("ha/1", [*local, "table", "drain", "bad"]),
    ]
    assert capsys.readouterr().out == "said\n" * 5


def test_several_balancers_are_all_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine(["ha", "ha"])
    assert on_the_host(monkeypatch, engine, "status") == 0
    assert capsys.readouterr().out == "ha/1\nsaid\nha/2\nsaid\n"


def test_no_balancer_and_an_unknown_container_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert on_the_host(monkeypatch, FakeEngine(["webapp"]), "status") == 4
    assert "cannot find service ha of project logship" in capsys.readouterr().err
    assert on_the_host(monkeypatch, FakeEngine(["ha", "webapp"]), "drain", "webapp/7") == 2
    assert "there are: ha/1, webapp/1" in capsys.readouterr().err


def test_the_empty_configuration_is_printed_for_the_image(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["balance", "--print-empty"], {"SUPERVISE_TEMPLATES": str(TEMPLATE.parent)}) == 0
    assert capsys.readouterr().out == (TEMPLATE.parents[1] / "tests" / "golden" / "haproxy-empty.cfg").read_text()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SUPERVISE_HAPROXY_THREADS", "0"),
        ("SUPERVISE_HAPROXY_MAXCONN", "99"),
        ("SUPERVISE_HAPROXY_MAXCONN", "many"),
        ("SUPERVISE_TEMPLATES", "/nonexistent"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(
    variable: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["balance", "--print-empty"], {variable: value}) in (1, 2)
    assert (variable if "HAPROXY" in variable else value) in capsys.readouterr().err


def test_a_haproxy_that_cannot_be_steered_is_refused_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers: list[Any] = [
        HaproxyDown("no socket"),
        HaproxyDown("no socket"),
        ["add server", "level admin (it is user)"],
    ]

    def lacking(_: object) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: list[str] = answer
        return found

    monkeypatch.setattr("supervise.balance.haproxy.Haproxy.missing", lacking)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    settings = {
        "SUPERVISE_BALANCE_DIR": str(tmp_path / "balance"),
        "SUPERVISE_NODES_DIR": str(tmp_path / "nodes"),
        "SUPERVISE_HAPROXY_CFG": str(tmp_path / "haproxy.cfg"),
        "SUPERVISE_POLL_MILLISECONDS": "50",
    }
    assert main(["balance"], settings) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["started", "haproxy-failing", "fault"]
    assert "it lacks add server, level admin (it is user)" in lines[-1]["reason"]
    assert sorted(path.name for path in (tmp_path / "balance").iterdir()) == [
        "cookie.key",
        "generations",
        "lock",
        "rejected",
    ]
    assert (tmp_path / "balance" / "cookie.key").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_used_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "balance").write_text("a file")
    from supervise.balance.store import Store

    with pytest.raises(Fault, match="cannot use"):
        Store(tmp_path / "balance", tmp_path / "x", tmp_path / "nodes", tmp_path).open()


REJECTED = {
    "n": 33,
    "time": "2026-11-30T13:00:00Z",
    "cause": ["unknown keyword 'balanse' in 'backend'"],
    "result": "rejected",
    "error": (
        "[NOTICE]   (3757) : haproxy version is 3.0.11\n"
        "[ALERT]    (3757) : unknown keyword 'balanse' in 'backend'\n"
        "[ALERT]    (3757) : Fatal errors found in configuration."
    ),
}


def test_a_rejected_file_is_told_by_its_first_alert_and_the_difference_shows_all_that_was_said() -> None:
    assert headline(str(REJECTED["error"])) == "unknown keyword 'balanse' in 'backend'"
    assert headline("no template\nline 3") == "no template"
    (_, row) = history_table([REJECTED])
    assert row.endswith("unknown keyword 'balanse' in 'backend'"), "said once, not as cause and error"
    told = diff_text(REJECTED, "")
    assert "! [ALERT]    (3757) : Fatal errors found in configuration." in told
    assert told[-1] == "(the file did not change)"
