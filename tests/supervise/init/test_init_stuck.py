"""A full pipe in which nothing moves is told from one that is full since much is written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervise.init.stuck import CLOSE_LOOK_SECONDS, LOOK_SECONDS, STUCK_SECONDS, Full, Suspicion


def looks(suspicion: Suspicion, found: list[dict[str, Full]], now: float = 0.0) -> list[list[str]]:
    """The verdicts of looks at the times that are asked for."""
    said = []
    for full in found:
        said.append(suspicion.saw(full, now))
        now = suspicion.look_at
    return said


def test_as_long_as_no_pipe_is_full_looks_are_seldom() -> None:
    suspicion = Suspicion()
    assert suspicion.saw({}, 100) == []
    assert suspicion.look_at == 100 + LOOK_SECONDS


def test_a_pipe_in_which_nothing_moves_for_ten_seconds_is_stuck() -> None:
    suspicion = Suspicion()
    count = round(STUCK_SECONDS / CLOSE_LOOK_SECONDS)
    said = looks(suspicion, [{"web": Full(65536, 1000)}] * (count + 1))
    assert said == [[]] * count + [["web"]]


@given(st.integers(1, 39), st.sampled_from([None, Full(60000, 1000), Full(65536, 1001), Full(65536, 999)]))
def test_one_look_at_which_something_had_moved_begins_anew(place: int, other: Full | None) -> None:
    quiet: dict[str, Full] = {"web": Full(65536, 1000)}
    found = [quiet] * place + [{} if other is None else {"web": other}] + [quiet] * 38
    assert looks(Suspicion(), found) == [[]] * len(found)


def test_a_pipe_that_only_gets_fuller_is_not_being_read() -> None:
    found = [{"web": Full(65000 + place, 1000)} for place in range(41)]
    assert looks(Suspicion(), found)[-1] == ["web"]


def test_each_pipe_is_judged_by_itself() -> None:
    found = [{"web": Full(65536, 1000), "app": Full(65536, place)} for place in range(41)]
    assert looks(Suspicion(), found)[-1] == ["web"]


def test_after_a_kill_it_begins_anew() -> None:
    suspicion = Suspicion()
    quiet = {"web": Full(65536, 1000)}
    assert looks(suspicion, [quiet] * 41)[-1] == ["web"]
    suspicion.forget(10.25)
    assert looks(suspicion, [quiet] * 40, 10.5) == [[]] * 40
