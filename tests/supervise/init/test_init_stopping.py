"""The ordered stop against processes that do as they like."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from supervise.init.readiness import Readiness
from supervise.init.record import Record
from supervise.init.stopping import KILLED_SECONDS, SHUTDOWN, OrderedStop
from supervise.init.values import Program, Stop


class Fake:
    """Processes that end so many seconds after their stop signal (None: only by SIGKILL; "never": not even then)."""

    def __init__(self, states: dict[str, str], manners: dict[str, Any], waits: dict[str, int]) -> None:
        self.states = states
        self.manners = manners
        self.waits = waits
        self.now = 0.0
        self.ends: dict[str, float] = {}
        self.log: list[str] = []

    def advance(self, now: float) -> list[str]:
        self.now = now
        gone = [name for name, at in self.ends.items() if at <= now]
        for name in gone:
            del self.ends[name]
            self.states[name] = "STOPPED"
        return gone

    def state(self, name: str) -> str:
        return self.states[name]

    def pid(self, name: str) -> int:
        return 1 if self.states[name] in ("STARTING", "RUNNING", "STOPPING") else 0

    def stop(self, name: str) -> None:
        if self.states[name] == "BACKOFF":
            self.states[name] = "STOPPED"
        elif self.states[name] in ("STARTING", "RUNNING"):
            self.states[name] = "STOPPING"
            self.log.append(name)
            manner = self.manners[name]
            if manner != "never":
                kill = self.waits[name]
                self.ends[name] = self.now + (kill if manner is None else min(manner, kill))

    def kill(self, name: str) -> None:
        if self.manners[name] != "never":
            self.ends[name] = self.now

    def never_restart(self, name: str) -> None:
        self.log.append(f"no restart {name}")

    def begun(self, name: str) -> bool:
        raise AssertionError(f"{name}: an ordered stop starts nothing")

    def spawn(self, name: str) -> bool:
        raise AssertionError(f"{name}: an ordered stop starts nothing")

    def stopped_by_person(self, name: str) -> bool:
        raise AssertionError(f"{name}: an ordered stop asks for no reason")

    def hold(self, name: str, due: bool) -> None:
        raise AssertionError(f"{name} {due}: an ordered stop holds nothing back")

    def end(self, mode: str) -> None:
        raise AssertionError(f"{mode}: the caller ends supervisord")


class Scene:
    def __init__(
        self, after: dict[str, list[str]], states: dict[str, str], manners: dict[str, Any], stop_seconds: float = 60
    ) -> None:
        waits = dict.fromkeys(after, 5)
        self.records = {
            name: Record(
                Program(name, ("/x",), after=tuple(others), stop=Stop(seconds=5)),
                Readiness(Program(name, ("/x",)).ready),
            )
            for name, others in after.items()
        }
        self.fake = Fake(dict(states), manners, waits)
        self.told: list[tuple[str, str]] = []
        self.stop = OrderedStop(self.records, self.fake, self.tell, stop_seconds, SHUTDOWN, 0.0)

    def tell(self, kind: str, **fields: Any) -> None:
        self.told.append((kind, fields["program"]))

    def play(self, most: float = 1000) -> float:
        """Turn by turn, at the deadlines and when a process goes, to the end; the time that took."""
        now = 0.0
        while now <= most:
            for name in self.fake.advance(now):
                self.stop.gone(name, "gone", now)
            self.stop.turn(now)
            if self.stop.done:
                return now
            now = min([self.stop.deadline(), *self.fake.ends.values()])
        raise AssertionError("the stop does not end")


CHAIN = {"a": [], "b": ["a"], "c": ["b"]}
RUNNING = dict.fromkeys(CHAIN, "RUNNING")


def test_programs_stop_one_after_the_other_in_reverse_order() -> None:
    scene = Scene(CHAIN, RUNNING, {"a": 1, "b": 2, "c": 3})
    assert scene.play() == 6
    assert scene.fake.log[3:] == ["c", "b", "a"]
    assert scene.told == [(kind, name) for name in "cba" for kind in ("stopping", "stopped")]


def test_programs_that_do_not_depend_on_each_other_stop_together() -> None:
    scene = Scene({"a": [], "b": ["a"], "c": ["a"]}, RUNNING, {"a": 1, "b": 2, "c": 3})
    assert scene.play() == 4


def test_nothing_is_restarted_from_the_first_moment_on() -> None:
    scene = Scene(CHAIN, RUNNING, {"a": 1, "b": 2, "c": 3})
    assert scene.fake.log == ["no restart a", "no restart b", "no restart c"]


def test_a_program_that_waits_for_its_next_try_is_stopped_at_once() -> None:
    scene = Scene(CHAIN, {"a": "RUNNING", "b": "BACKOFF", "c": "RUNNING"}, {"a": 1, "b": 9, "c": 1})
    assert scene.play() == 2
    assert scene.fake.states["b"] == "STOPPED"


def test_programs_that_are_down_take_no_time() -> None:
    states = {"a": "FATAL", "b": "EXITED", "c": "STOPPED"}
    assert Scene(CHAIN, states, {}).play() == 0


def test_a_program_that_a_person_is_stopping_is_waited_for_and_not_asked_again() -> None:
    scene = Scene({"a": []}, {"a": "STOPPING"}, {"a": 1})
    scene.fake.ends["a"] = 3
    assert scene.play() == 3
    assert scene.fake.log == ["no restart a"]


def test_a_process_that_even_sigkill_does_not_end_is_left_behind() -> None:
    scene = Scene(CHAIN, RUNNING, {"a": 1, "b": "never", "c": 1})
    assert scene.play() == 1 + 5 + KILLED_SECONDS + 1
    assert ("overdue", "b") in scene.told


def test_when_the_time_for_all_is_over_the_rest_is_killed_at_once() -> None:
    scene = Scene(CHAIN, RUNNING, {"a": None, "b": None, "c": None}, stop_seconds=7)
    assert scene.play() == 7
    assert [name for kind, name in scene.told if kind == "overdue"] != []


@given(
    st.lists(st.sampled_from([0, 1, 3, 7, None, "never"]), min_size=5, max_size=5),
    st.lists(st.sampled_from(["RUNNING", "STARTING", "STOPPED", "BACKOFF", "FATAL", "EXITED"]), min_size=5, max_size=5),
    st.lists(st.sets(st.integers(0, 4)), min_size=5, max_size=5),
    st.floats(0.1, 30),
)
def test_a_stop_ends_within_its_bound_whatever_the_programs_do(
    manners: list[Any], states: list[str], edges: list[set[int]], seconds: float
) -> None:
    names = "abcde"
    after = {name: [names[other] for other in sorted(edges[at]) if other < at] for at, name in enumerate(names)}
    scene = Scene(after, dict(zip(names, states, strict=True)), dict(zip(names, manners, strict=True)), seconds)
    assert scene.play() <= seconds + KILLED_SECONDS + 0.001
    up = [name for name in names if scene.fake.pid(name)]
    assert all(scene.fake.manners[name] == "never" for name in up)
