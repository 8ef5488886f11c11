"""The loop in trouble with the agent, HAProxy, the template, the disk, other hands: traffic goes on, and it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
    assert desk.causes()[1:] == [
        ["repair w1: it is not in app", "repair w2: it is not in app", "haproxy.cfg was changed by another hand"]
    ]
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
    desk.steps(6)
    assert desk.cfg.read_text() == good
    assert desk.causes()[-1] == ["haproxy.cfg was changed by another hand"]


def test_damaged_wishes_are_said_and_the_last_good_ones_stay(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    desk.store.wish(lambda _: Wishes().drain("w1"))
    desk.steps(2)
    (desk.folder / "balance" / "wishes.json").write_text("{")
    desk.steps(20)
    assert desk.haproxy.entries["app", "w1"].weight == 0
    assert len(desk.events("wishes-failing")) == 1


def status(desk: Desk) -> dict[str, Any]:
    """What `supervise lb` is told."""
    found: dict[str, Any] = json.loads((desk.folder / "balance" / "status.json").read_text())
    return found


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
    assert len(desk.events("configuration-failing")) == 1
    told = status(desk)["troubles"]["configuration"]
    assert told.startswith(rejected["error"].partition("\n")[0])
    assert "supervise lb diff 2" in told
    checks = desk.haproxy.checks
    desk.steps(50)
    assert (desk.haproxy.checks, len(desk.causes())) == (checks, 2)
    desk.serve(record("w1", 1), record("w2", 2))
    assert desk.taking == ["w1", "w2"]
    assert desk.filed == ["w1"]
    assert desk.events("generation")[-1]["result"] == "rejected"
    assert "configuration" in status(desk)["troubles"], "it stands there until it is good again"
    desk.template(text)
    desk.steps(6)
    assert len(desk.events("configuration-back")) == 1
    assert status(desk)["troubles"] == {}
    assert desk.filed == ["w1", "w2"]
    assert desk.events("generation")[-1]["result"] == "applied"


def test_a_reload_that_fails_leaves_the_last_good_file_and_is_not_tried_again(desk: Desk) -> None:
    desk.serve(record("w1", 1))
    good, template = desk.cfg.read_text(), (desk.folder / "templates" / "haproxy.cfg.j2").read_text()
    desk.haproxy.refuses_reload = "Success=0\n--\ncannot bind"
    desk.template(template.replace("bind :80", "bind :81"))
    desk.steps(1000)
    assert desk.cfg.read_text() == good
    assert desk.haproxy.reloads == 1
    assert desk.events("generation")[-1]["error"].startswith("Success=0")


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


def test_two_balancers_on_one_folder_are_refused(desk: Desk) -> None:
    other = Store(desk.folder / "balance", desk.cfg, desk.folder / "nodes", desk.folder / "templates")
    with pytest.raises(Fault, match="another balancer works there"):
        other.open()
    assert other.is_running()
