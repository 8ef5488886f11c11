"""TARGETs: what they select, and what is said of those that select nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import Fault
from supervise.fleet.select import OWN, Choice, Member, parse, select
from tests.supervise.fleet.places import container

T = TypeVar("T")

WEB = ("spool", "webapp", "serf", "ship")
MEMBERS = [
    Member(container("ha", 1), ("spool", "haproxy", "serf", "balance")),
    Member(container("webapp", 1), WEB),
    Member(container("webapp", 2), WEB),
    Member(container("webapp", 10), WEB),
    Member(container("webapp-old", 1, id="cafe" * 16, name="elsewhere"), WEB),
]


def selected(*targets: str, for_verb: bool = False) -> dict[str, tuple[str, ...]]:
    return {choice.container.label: choice.programs for choice in select(targets, MEMBERS, for_verb)}


def attempt(act: Callable[[], T]) -> tuple[T | None, Fault | None]:
    try:
        return act(), None
    except Fault as fault:
        return None, fault


def refused(*targets: str) -> str:
    with pytest.raises(Fault) as caught:
        select(targets, MEMBERS)
    assert caught.value.status == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        ("all", ["ha/1", "webapp/1", "webapp/2", "webapp/10", "webapp-old/1"]),
        ("webapp", ["webapp/1", "webapp/2", "webapp/10"]),
        ("webapp/1", ["webapp/1"]),
        ("webapp/1*", ["webapp/1", "webapp/10"]),
        ("webapp*/1", ["webapp/1", "webapp-old/1"]),
        ("*/1", ["ha/1", "webapp/1", "webapp-old/1"]),
        ("elsewhere", ["webapp-old/1"]),
        ("logship_web*", ["webapp/1", "webapp/2", "webapp/10"]),
        ("cafecafe", ["webapp-old/1"]),
        ("000a", ["webapp/10"]),
    ],
)
def test_a_target_without_program_selects_containers_with_all_their_programs(target: str, labels: list[str]) -> None:
    assert list(selected(target)) == labels
    assert all(len(programs) == 4 for programs in selected(target).values())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("webapp/2:serf", {"webapp/2": ("serf",)}),
        ("*:haproxy", {"ha/1": ("haproxy",)}),
        ("all:balance", {"ha/1": ("balance",)}),
        ("ha:*a*", {"ha/1": ("haproxy", "balance")}),
        ("webapp/2:s*", {"webapp/2": ("spool", "serf", "ship")}),
    ],
)
def test_a_target_with_program_selects_only_containers_that_have_it(
    target: str, expected: dict[str, tuple[str, ...]]
) -> None:
    assert selected(target) == expected


def test_several_targets_select_their_union_in_the_containers_own_order() -> None:
    assert selected("webapp/2:serf", "ha:spool", "webapp/2:spool") == {
        "ha/1": ("spool",),
        "webapp/2": ("spool", "serf"),
    }


def test_a_verb_takes_logships_own_programs_only_by_name() -> None:
    assert selected("webapp/1", for_verb=True) == {"webapp/1": ("webapp", "serf")}
    assert selected("webapp/1:*", for_verb=True) == {"webapp/1": ("webapp", "serf")}
    assert selected("webapp/1:spool", for_verb=True) == {"webapp/1": ("spool",)}


def test_every_unknown_target_is_told_at_once_with_near_matches_and_what_there_is() -> None:
    text = refused("webap/1", "webapp/2:surf", "webapp/3", "nothing", "ha:serf")
    assert "webap/1 (no container webap/1; did you mean webapp/1" in text
    assert "webapp/2:surf (no program surf in webapp/2; did you mean serf?)" in text
    assert "webapp/3 (no container webapp/3" in text
    assert "nothing (no container nothing)" in text
    assert "nothing was done" in text
    assert "ha:serf" not in text
    assert "there is: ha/1, webapp/1..2,10, webapp-old/1" in text


def test_an_unknown_program_without_a_near_name_gets_the_list() -> None:
    assert "no program zzz in webapp/1; there is serf, ship, spool, webapp" in refused("webapp/1:zzz")


@pytest.mark.parametrize(
    "text", ["", ":serf", "webapp:", "webapp/", "a:b:c", "a/1/2", "a b", "web\napp", "webapp/x", "é"]
)
def test_what_is_no_target_is_refused_with_the_grammar(text: str) -> None:
    assert "a TARGET is CONTAINER[:PROGRAM]" in refused(text)


def test_the_beginning_of_two_ids_is_ambiguous() -> None:
    members = [Member(container("webapp", n, id=f"abcd{n}".ljust(64, "0")), WEB) for n in (1, 2)]
    with pytest.raises(Fault, match="several ids begin so: webapp/1, webapp/2"):
        select(["abcd"], members)


def test_a_service_is_tried_before_a_name_and_a_name_before_an_id() -> None:
    members = [
        Member(container("cafe", 1, id="1" * 64), WEB),
        Member(container("webapp", 1, id="cafe".ljust(64, "0"), name="beef"), WEB),
        Member(container("webapp", 2, id="beef".ljust(64, "0")), WEB),
    ]
    assert [choice.container.label for choice in select(["cafe"], members)] == ["cafe/1"]
    assert [choice.container.label for choice in select(["beef"], members)] == ["webapp/1"]


def test_a_container_that_cannot_be_asked_is_selected_with_the_program_that_was_named() -> None:
    members = [Member(container("webapp", 1), WEB), Member(container("webapp", 2), None)]
    assert select(["webapp:serf"], members) == [
        Choice(members[0].container, ("serf",)),
        Choice(members[1].container, ("serf",), asked=False),
    ]
    assert select(["webapp/2"], members) == [Choice(members[1].container, (), asked=False)]
    assert select(["webapp/2:*"], members) == [Choice(members[1].container, (), asked=False)]


def test_nothing_is_selected_where_there_is_nothing() -> None:
    with pytest.raises(Fault, match="the project has no containers"):
        select(["all"], [])


PARTS = st.text("abw*-", min_size=1, max_size=4)


@given(place=PARTS, program=st.none() | PARTS)
def test_a_target_selects_what_it_matches_or_is_refused(place: str, program: str | None) -> None:
    text = place if program is None else f"{place}:{program}"
    members = [Member(container(service, 1, name="n-" + service), ("a", "ab", "w")) for service in ("ab", "b", "wa")]
    choices, fault = attempt(lambda: select([text], members))
    if choices is None:
        assert fault is not None
        assert (fault.status, text in str(fault)) == (2, True)
        return
    assert choices
    for choice in choices:
        assert set(choice.programs) <= {"a", "ab", "w"}
        assert choice.programs
        if "*" not in place:
            assert place in (choice.container.service, choice.container.name)
        if program is not None and "*" not in program:
            assert choice.programs == (program,)


@given(st.text(max_size=30))
def test_any_text_is_a_target_or_a_usage_fault(text: str) -> None:
    target, fault = attempt(lambda: parse(text))
    assert target is None or target.text == text
    assert fault is None or fault.status == 2


@given(st.sampled_from(["all", "*", "*/*", "*:*", "all:*", "*/*:*"]))
def test_no_way_to_say_everything_reaches_logships_own_programs(text: str) -> None:
    for choice in select([text], MEMBERS, for_verb=True):
        assert not OWN & set(choice.programs)
