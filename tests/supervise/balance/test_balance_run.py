"""The loop: members come and go, things break, and HAProxy, the file and the record agree in the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logship.errors import Fault
from supervise.balance.store import Store
from supervise.balance.wishes import Wishes
from tests.supervise.balance.desk import Desk
from tests.supervise.balance.haproxy_model import Model
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


@pytest.mark.parametrize("trouble", ["down", "empty", "only itself", "garbage"])
def test_an_agent_in_trouble_empties_nothing_and_is_said_once(desk: Desk, trouble: str) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    if trouble == "down":
        desk.lister.down = "Connection refused"
    elif trouble == "only itself":
        desk.lister.lists()
    else:
        desk.lister.listing = [] if trouble == "empty" else b"\x00"
    desk.steps(300)
    assert desk.taking == desk.filed == ["w1", "w2"]
    assert len(desk.causes()) == 1
    kept = [event["member"] for event in desk.events("kept")]
    assert kept == ["w1", "w2"]
    assert len(desk.events("serf-failing")) == (1 if trouble in ("down", "garbage") else 0)
    desk.lister.down = ""
    desk.lister.lists(record("w1", 1), record("w2", 2), record("w3", 3))
    desk.haproxy.alive.add("10.0.0.3")
    desk.steps(60)
    assert desk.taking == ["w1", "w2", "w3"]


def test_a_poisoned_member_is_said_once_and_changes_nothing(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    before = desk.cfg.read_text()
    desk.lister.lists(
        record("w1", 1), record("evil", 9, port='3000"\n    server x 1.2.3.4:80'), record("huge", 8, x="y" * 4096)
    )
    desk.steps(20)
    assert desk.cfg.read_text() == before
    assert [event["member"] for event in desk.events("refused")] == ["evil", "huge"]
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


def test_a_haproxy_that_restarted_on_the_file_needs_nothing_and_one_on_an_old_file_is_repaired(desk: Desk) -> None:
    old = desk.cfg.read_text()
    desk.serve(record("w1", 1), record("w2", 2))
    desk.haproxy.start()
    desk.steps(10)
    assert (desk.taking, len(desk.causes())) == (["w1", "w2"], 1)
    new = desk.cfg.read_text()
    desk.cfg.write_text(old)
    desk.haproxy.start()
    desk.steps(20)
    assert desk.taking == ["w1", "w2"]
    assert desk.cfg.read_text() == new
    assert desk.causes()[1] == ["haproxy.cfg was changed by another hand"]
    assert desk.causes()[2] == ["repair w1: it is not in app", "repair w2: it is not in app"]
    assert len(desk.events("haproxy-changed")) == 2


def test_what_a_hand_did_to_haproxy_is_undone_within_a_second_and_said(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    desk.haproxy.run(["set server app/w1 state drain"])
    desk.steps(6)
    assert desk.taking == ["w1", "w2"]
    assert not desk.haproxy.entries["app", "w1"].in_drain
    assert desk.causes()[-1] == ["repair w1: it is in drain in app"]


def test_what_a_hand_did_to_the_file_is_undone_and_said(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    good = desk.cfg.read_text()
    desk.cfg.write_text("nonsense\n")
    desk.steps(3)
    assert desk.cfg.read_text() == good
    assert desk.causes()[-1] == ["haproxy.cfg was changed by another hand"]


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


def test_damaged_wishes_are_said_and_the_last_good_ones_stay(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    desk.store.wish(lambda _: Wishes().drain("w1"))
    desk.steps(2)
    (desk.folder / "balance" / "wishes.json").write_text("{")
    desk.steps(20)
    assert desk.haproxy.entries["app", "w1"].weight == 0
    assert len(desk.events("wishes-failing")) == 1


@pytest.mark.parametrize("template", ["{% for %}", "global\n    nonsense {{ servers|length }}\n"])
def test_a_bad_template_stops_no_change_and_is_taken_up_when_it_is_good_again(desk: Desk, template: str) -> None:
    desk.serve(record("w1", 1))
    good, text = desk.cfg.read_text(), (desk.folder / "templates" / "haproxy.cfg.j2").read_text()
    desk.haproxy.refuses = {"nonsense": "unknown keyword 'nonsense'"}
    desk.template(template)
    desk.steps(10)
    assert desk.cfg.read_text() == good
    rejected = desk.events("generation")[-1]
    assert (rejected["n"], rejected["result"], rejected["level"]) == (2, "rejected", "error")
    assert (desk.folder / "balance" / "rejected" / "000002.cfg").exists()
    assert (desk.folder / "balance" / "rejected" / "000002.txt").read_text().strip() == rejected["error"]
    assert desk.haproxy.reloads == 0
    checks = desk.haproxy.checks
    desk.steps(50)
    assert (desk.haproxy.checks, len(desk.causes())) == (checks, 2)
    desk.serve(record("w1", 1), record("w2", 2))
    assert desk.taking == ["w1", "w2"]
    assert desk.filed == ["w1"]
    assert desk.events("generation")[-1]["result"] == "rejected"
    desk.template(text)
    desk.steps(3)
    assert desk.filed == ["w1", "w2"]
    assert desk.events("generation")[-1]["result"] == "applied"


def test_a_change_outside_the_server_lines_is_reloaded_once_and_says_why(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    template = (desk.folder / "templates" / "haproxy.cfg.j2").read_text()
    desk.template(template.replace("retries 3", "retries 2"))
    desk.steps(20)
    assert desk.haproxy.reloads == 1
    generation = desk.events("generation")[-1]
    assert generation["method"] == "reload"
    assert generation["cause"][0].startswith("reload: HAProxy runs on a file with fingerprint ")
    assert desk.taking == ["w1", "w2"]


def test_a_reload_that_fails_leaves_the_last_good_file_and_is_not_tried_again(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    good, template = desk.cfg.read_text(), (desk.folder / "templates" / "haproxy.cfg.j2").read_text()
    desk.haproxy.refuses_reload = "Success=0\n--\ncannot bind"
    desk.template(template.replace("bind :80", "bind :81"))
    desk.steps(1000)
    assert desk.cfg.read_text() == good
    assert desk.haproxy.reloads == 1
    assert desk.events("generation")[-1]["error"].startswith("Success=0")


def test_another_cookie_key_is_a_reload_and_no_server_is_taken_out(desk: Desk) -> None:
    desk.serve(record("w1", 1), record("w2", 2))
    desk.balancer._key = b"another"
    desk.balancer.step()
    assert desk.haproxy.reloads == 1
    assert desk.taking == ["w1", "w2"]
    assert "the cookies of w1, w2 are not those of our key" in desk.causes()[-1][-1]


class Sulky(Model):
    """HAProxy that answers ``add server`` with a text nobody knows."""

    sulks = True

    def _reply(self, words: list[str]) -> str:
        return "I'd rather not." if self.sulks and words[0] == "add" else super()._reply(words)


def test_an_unknown_reply_is_said_once_tried_again_later_and_at_last_mended_by_a_reload(tmp_path: Path) -> None:
    haproxy = Sulky()
    desk = Desk(tmp_path, haproxy=haproxy)
    desk.serve(record("w1", 1))
    assert desk.taking == []
    assert len(desk.events("action-failed")) == 1
    assert len([command for command in haproxy.commands if command.startswith("add")]) == 4
    desk.steps(200)
    assert haproxy.reloads == 1
    assert desk.taking == ["w1"]
    assert desk.causes()[-1][-1].startswith("reload: add w1 failed 5 times: ")


def test_a_failing_member_delays_no_leave(tmp_path: Path) -> None:
    haproxy = Sulky()
    haproxy.sulks = False
    desk = Desk(tmp_path, haproxy=haproxy)
    desk.serve(record("w1", 1))
    haproxy.sulks = True
    desk.lister.lists(record("w1", 1, "leaving"), record("w2", 2))
    desk.balancer.step()
    assert desk.haproxy.entries["app", "w1"].in_maintenance


def test_a_disk_that_takes_nothing_stops_no_change_and_is_said_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.serve(record("w1", 1))

    def full(*_: object) -> None:
        raise Fault("write", "haproxy.cfg", "No space left on device")

    with monkeypatch.context() as patch:
        for name in ("propose", "record", "status", "nodes"):
            patch.setattr(desk.store, name, full)
        desk.serve(record("w1", 1), record("w2", 2))
        assert desk.taking == ["w1", "w2"]
        assert desk.filed == ["w1"]
        assert len(desk.events("publish-failed")) == 1
        assert len(desk.events("files-failing")) == 1
    desk.steps(60)
    assert desk.filed == ["w1", "w2"]


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


def test_two_balancers_on_one_folder_are_refused(desk: Desk) -> None:
    other = Store(desk.folder / "balance", desk.cfg, desk.folder / "nodes", desk.folder / "templates")
    with pytest.raises(Fault, match="another balancer works there"):
        other.open()
    assert other.is_running()


def test_every_line_of_the_log_is_one_flat_json_object(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    for line in desk.out.getvalue().splitlines():
        assert list(json.loads(line))[:3] == ["time", "level", "event"]
