"""Who takes traffic, given what members, operators and checks say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.balance.membership import Membership, read_listing
from supervise.balance.policy import GUARD_SECONDS, Decision, Known, Memory, Seen, causes, decide
from supervise.balance.server import Server, cookie_value
from supervise.balance.wishes import Wishes
from tests.supervise.balance.listings import balancer, record

KEY = b"key"


def members(*records: dict[bytes, Any]) -> Membership:
    return read_listing([balancer(), *records])


def judged(
    memory: Memory,
    membership: Membership | None,
    dead: set[str] | None = None,
    wishes: Wishes | None = None,
    now: float = 1000.0,
    admitted: set[str] | None = None,
) -> Decision:
    seen = Seen(frozenset(dead or ()), frozenset(memory.servers if admitted is None else admitted))
    return decide(memory, membership, seen, wishes or Wishes(), KEY, now)


def running(count: int) -> Memory:
    """So many servers ``w1``, ``w2`` ... that were alive just now."""
    return judged(Memory(), members(*(record(f"w{n}", n) for n in range(1, count + 1)))).memory


def names(decision: Decision) -> list[str]:
    return [server.name for server in decision.servers]


def test_who_is_alive_and_a_webapp_is_in_with_its_weight_and_a_cookie_that_hides_its_address() -> None:
    decision = judged(Memory(), members(record("w-10-0-0-1", 1, weight="30")))
    server = decision.servers[0]
    assert (server.name, server.endpoint, server.weight) == ("w-10-0-0-1", "10.0.0.1:3000", 30)
    assert server.cookie == cookie_value(KEY, "w-10-0-0-1")
    assert len(server.cookie) == 16
    assert cookie_value(b"other", "w-10-0-0-1") != server.cookie


@pytest.mark.parametrize("status", ["leaving", "left"])
def test_who_leaves_is_gone_at_once_even_the_last_one(status: str) -> None:
    decision = judged(running(1), members(record("w1", 1, status)))
    assert names(decision) == []
    assert decision.verdicts["w1"].reason == status


def test_all_may_leave_at_once() -> None:
    decision = judged(running(5), members(*(record(f"w{n}", n, "left") for n in range(1, 6))))
    assert names(decision) == []


@pytest.mark.parametrize("membership", [None, Membership()])
def test_no_answer_and_an_empty_listing_change_nothing(membership: Membership | None) -> None:
    decision = judged(running(3), membership, dead={"w1", "w2", "w3"})
    assert names(decision) == ["w1", "w2", "w3"]
    assert {verdict.word for verdict in decision.verdicts.values()} == {"kept"}


def test_a_failed_member_stays_while_haproxys_check_of_it_passes() -> None:
    listing = members(record("w1", 1, "failed"), record("w2", 2))
    assert names(judged(running(2), listing)) == ["w1", "w2"]
    assert names(judged(running(2), listing, dead={"w1"})) == ["w2"]


def test_a_member_that_is_not_listed_any_more_is_treated_like_a_failed_one() -> None:
    assert names(judged(running(2), members(record("w2", 2)))) == ["w1", "w2"]
    assert names(judged(running(2), members(record("w2", 2)), dead={"w1"})) == ["w2"]


def test_at_most_half_of_the_servers_are_removed_for_having_failed_within_the_guard_time() -> None:
    listing = members(*(record(f"w{n}", n, "failed") for n in range(1, 7)))
    dead = {f"w{n}" for n in range(1, 7)}
    first = judged(running(6), listing, dead)
    assert names(first) == ["w4", "w5", "w6"]
    soon = judged(first.memory, listing, dead, now=1000.0 + GUARD_SECONDS - 1)
    assert names(soon) == ["w4", "w5", "w6"]
    later = judged(first.memory, listing, dead, now=1000.0 + GUARD_SECONDS + 1)
    assert names(later) == ["w5", "w6"]


def test_the_last_server_is_never_removed_for_having_failed() -> None:
    memory = running(1)
    for minute in range(5):
        decision = judged(memory, members(record("w1", 1, "failed")), {"w1"}, now=1000.0 + minute * GUARD_SECONDS)
        memory = decision.memory
        assert names(decision) == ["w1"]


def test_a_leave_is_not_limited_by_failures_just_before() -> None:
    failed = judged(running(2), members(record("w1", 1, "failed"), record("w2", 2)), {"w1"})
    assert names(judged(failed.memory, members(record("w2", 2, "leaving")))) == []


@pytest.mark.parametrize("status", ["alive", "failed", "absent"])
def test_a_member_whose_address_a_newer_one_has_goes_as_soon_as_that_one_is_admitted(status: str) -> None:
    """A killed container's address is given to the next one while Serf still calls the dead one alive."""
    listing = members(*([record("w1", 1, status)] if status != "absent" else []), record("new", 1))
    first = judged(running(1), listing)
    assert names(first) == ["new", "w1"]
    waiting = judged(first.memory, listing, admitted={"w1"})
    assert names(waiting) == ["new", "w1"]
    assert waiting.verdicts["w1"].reason.endswith("new has its address now, but is not admitted yet")
    after = judged(waiting.memory, listing, admitted={"w1", "new"})
    assert names(after) == ["new"]
    again = judged(after.memory, listing, admitted={"new"})
    assert names(again) == ["new"]


def test_who_lost_its_address_has_it_again_when_the_newer_one_is_gone() -> None:
    both = members(record("w1", 1), record("new", 1))
    memory = judged(judged(running(1), both).memory, both, admitted={"w1", "new"}).memory
    assert names(judged(memory, members(record("w1", 1), record("new", 1, "left")))) == ["w1"]


def test_of_two_newcomers_with_one_address_one_is_taken_and_stays() -> None:
    both = members(record("b", 1), record("a", 1))
    first = judged(Memory(), both)
    assert names(first) == ["a"]
    assert names(judged(first.memory, both)) == ["a"]


def test_a_running_server_whose_new_record_is_refused_stays_as_it_was() -> None:
    decision = judged(running(1), members(record("w1", 9, port='1"')))
    assert decision.servers[0].endpoint == "10.0.0.1:3000"
    assert decision.verdicts["w1"].word == "kept"


def test_a_running_server_whose_name_a_second_member_claims_stays_as_it_was() -> None:
    decision = judged(running(1), members(record("w1", 1), record("w1", 9)))
    assert [server.endpoint for server in decision.servers] == ["10.0.0.1:3000"]


def test_a_refused_record_that_leaves_leaves() -> None:
    assert names(judged(running(1), members(record("w1", 1, "leaving", port="x")))) == []


def test_a_member_that_returns_is_in_again_under_its_new_address() -> None:
    gone = judged(running(1), members(record("w1", 1, "left")))
    assert judged(gone.memory, members(record("w1", 7))).servers[0].endpoint == "10.0.0.7:3000"


def test_what_an_operator_asked_for_stands_above_the_tag_until_it_is_taken_back() -> None:
    memory, listing = running(2), members(record("w1", 1), record("w2", 2))
    wishes = Wishes().drain("w1").weigh("w2", 10)
    assert [server.weight for server in judged(memory, listing, wishes=wishes).servers] == [0, 10]
    assert [server.weight for server in judged(memory, listing, wishes=wishes.ready("w1")).servers] == [100, 10]


def test_causes_say_who_joined_who_left_why_and_what_the_operator_did() -> None:
    before = judged(running(3), members(*(record(f"w{n}", n) for n in range(1, 4)))).servers
    wishes = Wishes().drain("w2").weigh("w3", 5)
    listing = members(record("w1", 1, "leaving"), record("w2", 2), record("w3", 3), record("w4", 4))
    after = judged(running(3), listing, wishes=wishes)
    assert causes(before, after, wishes) == [
        "leave w1 (leaving)",
        "operator drain w2",
        "operator weight w3 5",
        "join w4 (alive)",
    ]
    moved = judged(running(3), members(record("w1", 9, weight="7"), record("w2", 2), record("w3", 3)))
    assert causes(before, moved, Wishes()) == [
        "address of w1: 10.0.0.1:3000 -> 10.0.0.9:3000",
        "weight of w1: 100 -> 7",
    ]


STATUS = st.sampled_from(["alive", "alive", "failed", "none", "absent", "poison"])


@given(st.lists(st.lists(STATUS, min_size=4, max_size=4) | st.none(), max_size=12), st.sets(st.integers(1, 4)))
def test_as_long_as_nobody_leaves_a_balancer_with_servers_never_becomes_empty(
    history: list[list[str] | None], dead: set[int]
) -> None:
    memory, now = running(4), 1000.0
    for round_ in history:
        records = []
        for number, status in enumerate(round_ or [], start=1):
            if status == "poison":
                records.append(record(f"w{number}", number, port="\n"))
            elif status != "absent":
                records.append(record(f"w{number}", number, status))
        listing = None if round_ is None else read_listing([balancer()] * bool(records) + records)
        decision = judged(memory, listing, {f"w{number}" for number in dead}, now=now)
        assert decision.servers
        memory, now = decision.memory, now + 31


@given(st.permutations([record(f"w{n}", n) for n in range(1, 7)]))
def test_equal_membership_gives_equal_servers_in_whatever_order_it_came(records: list[dict[bytes, Any]]) -> None:
    memory = Memory()
    for count in range(1, 7):
        memory = judged(memory, members(*records[:count])).memory
    assert judged(memory, members(*records)).servers == judged(Memory(), members(*sorted(records, key=str))).servers


def test_a_server_is_known_by_its_last_good_record() -> None:
    assert running(1).servers == {"w1": Known("10.0.0.1", 3000, 100)}
    assert isinstance(judged(running(1), None).servers[0], Server)
