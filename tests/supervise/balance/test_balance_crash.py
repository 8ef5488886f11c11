"""``kill -9`` after any step of a change: the next start finds what is missing and does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.supervise.balance.desk import Desk
from tests.supervise.balance.listings import record

STEPS_MAX = 200


class Killed(BaseException):
    """The process is gone, here and now."""


class Fragile:
    """An edge in whose ``n``-th call (counted over all edges together) the process dies: before it, or just after."""

    def __init__(self, edge: Any, count: Callable[[], bool], dies_after: bool) -> None:
        self._edge, self._count, self._dies_after = edge, count, dies_after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._edge, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            is_last = self._count()
            if is_last and not self._dies_after:
                raise Killed
            result = found(*arguments)
            if is_last:
                raise Killed
            return result

        return call


def die_at(desk: Desk, number: int, dies_after: bool) -> bool:
    """Run a balancer that dies in its ``number``-th call of an edge; whether it did within the rounds given."""
    left = [number]

    def count() -> bool:
        left[0] -= 1
        return left[0] == 0

    try:
        desk.begin(store=Fragile(desk.store, count, dies_after), haproxy=Fragile(desk.haproxy, count, dies_after))
        desk.steps(6)
    except Killed:
        return True
    return False


@pytest.mark.parametrize("dies_after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("change", ["join", "leave", "template"])
def test_a_balancer_killed_at_any_step_is_mended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, dies_after: bool
) -> None:
    monkeypatch.setattr(
        "os.fsync", lambda _: None
    )  # a killed process loses nothing it wrote; hundreds of them are slow
    number = 0
    while True:
        number += 1
        assert number < STEPS_MAX, "the change does not come to an end"
        folder = tmp_path / f"{number}"
        folder.mkdir()
        desk = Desk(folder)
        desk.serve(record("w1", 1), record("w2", 2))
        wanted = ["w1", "w2"]
        if change == "join":
            desk.lister.lists(record("w1", 1), record("w2", 2), record("w3", 3))
            desk.haproxy.alive.add("10.0.0.3")
            wanted = ["w1", "w2", "w3"]
        elif change == "leave":
            desk.lister.lists(record("w1", 1, "left"), record("w2", 2))
            wanted = ["w2"]
        else:
            template = (desk.folder / "templates" / "haproxy.cfg.j2").read_text()
            desk.template(template.replace("retries 10", "retries 2"))
        has_died = die_at(desk, number, dies_after)
        desk.begin()
        desk.steps(12)
        assert desk.taking == desk.filed == wanted, number
        assert {name for _, name in desk.haproxy.entries} == set(wanted), number
        kept = desk.store.generation_numbers()
        assert kept == list(range(1, len(kept) + 1)), number
        assert desk.store.generation_file(kept[-1], "haproxy.cfg") == desk.cfg.read_text(), number
        assert f"description {desk.haproxy.fingerprint}\n" in desk.cfg.read_text(), number
        assert sorted(path.name for path in (desk.folder / "nodes").iterdir()) == ["ha", *wanted], number
        if not has_died:
            break
    assert number > 15
