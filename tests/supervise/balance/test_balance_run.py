"""The loop: members come and go, and HAProxy, the file and the record agree in the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.supervise.balance.desk import Desk
from tests.supervise.balance.listings import record


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_member_joins_is_admitted_and_written_down(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    assert desk.taking == desk.filed == ["w1"]
    generation = desk.events("generation")[0]
    assert generation["cause"] == ["join w1 (alive)"]
    assert (generation["n"], generation["method"], generation["result"], generation["error"]) == (
        1,
        "runtime",
        "applied",
        "",
    )
    assert set(generation["milliseconds"]) == {"detect", "apply", "verify", "render", "check", "publish"}
    assert generation["members"] == [{"name": "w1", "address": "10.0.0.1", "port": 3000, "weight": 100}]
    assert [event["server"] for event in desk.events("admitted")] == ["w1"]
    assert desk.store.generation_file(1, "haproxy.cfg") == desk.cfg.read_text()
    assert "+    server w1 10.0.0.1:3000" in desk.store.generation_file(1, "diff")
    assert desk.haproxy.reloads == 0


def test_nothing_changed_is_no_generation_and_no_check(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    checks, said = desk.haproxy.checks, len(desk.events())
    desk.steps(50)
    assert (desk.haproxy.checks, len(desk.events())) == (checks, said)


def test_a_leave_is_applied_in_the_very_next_round_and_deleted_when_its_requests_have_ended(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    desk.haproxy.sessions = {("app", "w1"): 2}
    desk.lister.lists(record("w1", 1, "leaving"), record("w2", 2))
    desk.balancer.step()
    assert desk.taking == desk.filed == ["w2"]
    assert ("app", "w1") in desk.haproxy.entries
    desk.steps(20)
    assert ("app", "w1") in desk.haproxy.entries
    desk.haproxy.sessions = {}
    desk.steps(10)
    assert ("app", "w1") not in desk.haproxy.entries
    assert desk.causes()[-1] == ["leave w1 (leaving)"]
    assert len(desk.causes()) == 2


def test_members_that_come_together_are_one_generation(desk: Desk) -> None:
    desk.serve(*(record(f"w{number}", number) for number in range(1, 51)))
    assert len(desk.taking) == 50
    assert len(desk.causes()) == 1


def test_a_killed_member_goes_only_when_haproxys_check_has_failed_too(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    desk.lister.lists(record("w1", 1, "failed"), record("w2", 2))
    desk.steps(10)
    assert desk.filed == ["w1", "w2"]
    desk.haproxy.alive.discard("10.0.0.1")
    desk.steps(10)
    assert desk.filed == ["w2"]
    assert desk.causes()[-1] == ["leave w1 (Serf says failed, and so does HAProxy's check)"]


def test_wishes_are_taken_up_rendered_and_survive_a_restart(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    desk.store.wish(lambda wishes: wishes.drain("w1").weigh("w2", 7))
    desk.steps(2)
    assert {name: entry.weight for (backend, name), entry in desk.haproxy.entries.items() if backend == "app"} == {
        "w1": 0,
        "w2": 7,
    }
    assert "server w1 10.0.0.1:3000 weight 0 " in desk.cfg.read_text()
    assert desk.causes()[-1] == ["operator drain w1", "operator weight w2 7"]
    desk.haproxy.start()
    desk.begin()
    desk.steps(10)
    assert desk.taking == ["w2"]
    assert len(desk.causes()) == 2
    desk.store.wish(lambda wishes: wishes.ready("w1"))
    desk.steps(2)
    assert desk.taking == ["w1", "w2"]


def test_a_change_outside_the_server_lines_is_reloaded_once_and_says_why(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    template = (desk.folder / "templates" / "haproxy.cfg.j2").read_text()
    desk.template(template.replace("retries 10", "retries 2"))
    desk.steps(20)
    assert desk.haproxy.reloads == 1
    generation = desk.events("generation")[-1]
    assert generation["method"] == "reload"
    assert generation["cause"][0].startswith("reload: HAProxy runs on a file with fingerprint ")
    assert desk.taking == ["w1", "w2"]


def test_another_cookie_key_is_a_reload_and_no_server_is_taken_out(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    desk.balancer._key = b"another"
    desk.steps(6)
    assert desk.haproxy.reloads == 1
    assert desk.taking == ["w1", "w2"]
    assert "the cookies of w1, w2 are not those of our key" in desk.causes()[-1][-1]


def test_nodes_has_one_readable_file_a_member_and_none_of_those_gone(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    nodes = desk.folder / "nodes"
    assert sorted(path.name for path in nodes.iterdir()) == ["ha", "w1", "w2"]
    assert (nodes / "w1").read_text() == (
        "name     w1\naddress  10.0.0.1:3000\nrole     webapp\nstatus   alive\n"
        "tag      port=3000\ntag      role=webapp\n"
    )
    (nodes / "stale").write_text("left by a crash")
    desk.begin()
    desk.lister.lists(record("w1", 1, "failed"), record("w2", 2, "left"))
    desk.store._written_nodes = None
    desk.steps(2)
    assert sorted(path.name for path in nodes.iterdir()) == ["ha", "w1"]
    assert "status   kept (Serf says failed, but HAProxy's check has not failed)\n" in (nodes / "w1").read_text()


def test_generations_are_counted_on_after_a_restart_and_the_oldest_are_forgotten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervise.balance.store.surplus", lambda kept: sorted(kept)[:-3])
    for number in range(1, 6):
        desk.begin()
        desk.serve(*(record(f"w{n}", n) for n in range(1, number + 1)))
    assert desk.store.generation_numbers() == [3, 4, 5]
    assert [line["n"] for line in desk.events("generation")] == [1, 2, 3, 4, 5]


def test_every_line_of_the_log_is_one_flat_json_object(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    for line in desk.out.getvalue().splitlines():
        assert list(json.loads(line))[:3] == ["time", "level", "event"]
