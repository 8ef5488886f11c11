"""Whatever HAProxy has, the actions bring it to what should be there, and take nobody else out of traffic."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from supervise.balance.reconcile import (
    ADD,
    ADMIT,
    CORRECT,
    DELETE,
    LEAVE,
    REENTER,
    is_settled,
    reconcile,
    reload_reason,
)
from supervise.balance.runtime import DONE, LATER, Actual, Entry, outcome
from supervise.balance.server import APP, PANIC, Server
from tests.supervise.balance.haproxy_model import CONTRACT, Model


def server(name: str = "w1", address: str = "10.0.0.1", weight: int = 100, cookie: str = "c1") -> Server:
    return Server(name, address, 3000, weight, cookie)


def model(*servers: Server) -> Model:
    """HAProxy with these servers, admitted; their checks pass."""
    found = Model()
    for one in servers:
        found.alive.add(one.address)
        place = (one.name, one.address, one.port, one.weight, one.cookie)
        found.entries[APP, one.name] = Entry(APP, *place, check_state=6, check_result=3)
        found.entries[PANIC, one.name] = Entry(PANIC, *place)
    return found


def act(haproxy: Model, desired: list[Server]) -> list[str]:
    """Apply one round of actions; their kinds. Every command must be answered with a text that we know."""
    kinds = []
    for action in reconcile(desired, haproxy.look()):
        for command, reply in zip(action.commands, haproxy.run(action.commands), strict=True):
            assert outcome(command, reply) in (DONE, LATER), (command, reply)
        kinds.append(action.kind)
    return kinds


def test_the_model_keeps_the_contract_that_haproxy_is_held_to() -> None:
    haproxy = Model()
    assert [(command, haproxy.run([command])[0]) for command, _ in CONTRACT] == CONTRACT


def test_nothing_is_done_where_all_is_as_it_should_be() -> None:
    haproxy = model(server())
    assert reconcile([server()], haproxy.look()) == ()
    assert is_settled([server()], haproxy.look())


def test_a_newcomer_gets_no_request_before_its_first_good_check() -> None:
    haproxy = Model()
    assert act(haproxy, [server()]) == [ADD]
    entry = haproxy.entries[APP, "w1"]
    assert (entry.weight, entry.operating) == (0, 0)
    assert (PANIC, "w1") not in haproxy.entries
    haproxy.tick()
    assert act(haproxy, [server()]) == []
    assert not is_settled([server()], haproxy.look())
    haproxy.alive.add("10.0.0.1")
    haproxy.tick()
    assert act(haproxy, [server()]) == [ADMIT]
    assert {key: entry.weight for key, entry in haproxy.entries.items()} == {(APP, "w1"): 100, (PANIC, "w1"): 100}
    assert is_settled([server()], haproxy.look())


def test_a_leave_is_maintenance_in_both_backends_the_unchecked_one_first() -> None:
    haproxy = model(server())
    action = reconcile([], haproxy.look())[0]
    assert action.kind == LEAVE
    assert action.commands == ("set server app_panic/w1 state maint", "set server app/w1 state maint")


def test_a_server_is_deleted_once_its_last_requests_have_ended() -> None:
    haproxy = model(server())
    haproxy.sessions = {(APP, "w1"): 3}
    assert act(haproxy, []) == [LEAVE]
    assert act(haproxy, []) == [DELETE]
    assert set(haproxy.entries) == {(APP, "w1")}
    haproxy.sessions = {}
    assert act(haproxy, []) == [DELETE]
    assert haproxy.entries == {}


def test_leaves_come_before_everything_else() -> None:
    haproxy = model(server("a"), server("z", "10.0.0.9"))
    kinds = [action.kind for action in reconcile([server("a", weight=5), server("b", "10.0.0.2")], haproxy.look())]
    assert kinds == [LEAVE, ADD, CORRECT]


def test_another_weight_is_set_without_taking_the_server_out() -> None:
    haproxy = model(server())
    assert act(haproxy, [server(weight=0)]) == [CORRECT]
    assert not [command for command in haproxy.commands if "maint" in command]
    assert {entry.weight for entry in haproxy.entries.values()} == {0}


def test_another_address_is_entered_like_a_newcomers() -> None:
    haproxy = model(server())
    moved = server(address="10.0.0.7")
    assert act(haproxy, [moved]) == [REENTER]
    entry = haproxy.entries[APP, "w1"]
    assert (entry.address, entry.weight, entry.operating, entry.in_maintenance) == ("10.0.0.7", 0, 0, False)
    assert haproxy.entries[PANIC, "w1"].in_maintenance
    haproxy.alive.add("10.0.0.7")
    haproxy.tick()
    assert act(haproxy, [moved]) == [ADMIT]
    assert haproxy.entries[PANIC, "w1"].address == "10.0.0.7"
    assert is_settled([moved], haproxy.look())


def test_what_a_hand_on_the_socket_did_is_undone() -> None:
    haproxy = model(server("a"), server("b", "10.0.0.2"), server("c", "10.0.0.3"))
    haproxy.run(["set server app/a state maint", "set server app/b state drain", "set server app_panic/c weight 3"])
    haproxy.run(["add server app/stranger 10.0.0.66:80", "enable server app/stranger"])
    desired = [server("a"), server("b", "10.0.0.2"), server("c", "10.0.0.3")]
    assert act(haproxy, desired) == [LEAVE, REENTER, CORRECT, CORRECT]
    haproxy.tick()
    act(haproxy, desired)
    assert is_settled(desired, haproxy.look())


def test_checks_that_were_never_switched_on_are() -> None:
    haproxy = Model()
    haproxy.run(["add server app/w1 10.0.0.1:3000 weight 0 cookie c1 check"])
    assert act(haproxy, [server()]) == [REENTER]
    assert haproxy.entries[APP, "w1"].is_checked


def test_a_drained_newcomer_is_admitted_with_weight_0() -> None:
    haproxy = Model(alive={"10.0.0.1"})
    for _ in range(3):
        act(haproxy, [server(weight=0)])
        haproxy.tick()
    assert {entry.weight for entry in haproxy.entries.values()} == {0}
    assert is_settled([server(weight=0)], haproxy.look())


def test_a_reload_is_due_for_another_file_and_for_another_cookie_alone() -> None:
    actual = Actual(1, 1, "3.0.11", "aa", model(server()).entries)
    assert reload_reason([server()], actual, "aa") == ""
    assert reload_reason([server(weight=3), server("new", "10.0.0.2")], actual, "aa") == ""
    assert "fingerprint aa, not bb" in reload_reason([server()], actual, "bb")
    assert reload_reason([server(cookie="other")], actual, "aa") == "the cookies of w1 are not those of our key"


NAMES = ["a", "b", "c", "d"]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@st.composite
def entries(draw: st.DrawFn) -> dict[tuple[str, str], Entry]:
    """Servers in any state, whoever put them there; cookies are right, for wrong ones take a reload."""
    found = {}
    for backend in (APP, PANIC):
        for name in draw(st.sets(st.sampled_from([*NAMES, "stranger"]))):
            admin = draw(st.sampled_from([0, 0, 1, 8, 9]))
            found[backend, name] = Entry(
                backend,
                name,
                draw(st.sampled_from(ADDRESSES)),
                draw(st.sampled_from([3000, 80])),
                draw(st.sampled_from([0, 1, 100])),
                f"cookie-{name}",
                admin,
                0 if admin & 1 else draw(st.sampled_from([0, 2])),
                draw(st.sampled_from([0, 2, 3])) if backend == APP else 0,
                draw(st.sampled_from([2, 6])) if backend == APP else 0,
            )
    return found


DESIRED = st.lists(
    st.builds(
        lambda name, address, weight: Server(name, address, 3000, weight, f"cookie-{name}"),
        st.sampled_from(NAMES),
        st.sampled_from(ADDRESSES),
        st.sampled_from([0, 1, 100]),
    ),
    unique_by=lambda one: one.name,
    max_size=4,
)


@settings(max_examples=150)
@given(entries(), DESIRED, st.sets(st.sampled_from(ADDRESSES)))
def test_it_converges_from_any_state_and_then_rests(
    start: dict[tuple[str, str], Entry], desired: list[Server], alive: set[str]
) -> None:
    haproxy = Model(entries=dict(start), alive=alive)
    wanted = {one.name: one for one in desired}
    for _ in range(8):
        act(haproxy, desired)
        haproxy.tick()
    assert reconcile(desired, haproxy.look()) == ()
    for (backend, name), entry in haproxy.entries.items():
        one = wanted[name]
        assert (entry.address, entry.port) == (one.address, one.port) or entry.in_maintenance
        assert not entry.in_drain or entry.in_maintenance
        if backend == APP:
            assert not entry.in_maintenance
            assert entry.is_checked
    for one in desired:
        assert (APP, one.name) in haproxy.entries
        if one.address in alive:
            assert haproxy.entries[APP, one.name].weight == one.weight
            assert not haproxy.entries[PANIC, one.name].in_maintenance


@settings(max_examples=150)
@given(DESIRED, DESIRED)
def test_a_server_that_stays_where_it_is_never_leaves_traffic_whatever_the_others_do(
    before: list[Server], after: list[Server]
) -> None:
    haproxy = model(*before)
    stays = {one.name for one in before} & {one.name for one in after}
    same = {name for name in stays if len({one.address for one in [*before, *after] if one.name == name}) == 1}
    for _ in range(4):
        act(haproxy, after)
        haproxy.tick()
        for name in same:
            assert not haproxy.entries[APP, name].in_maintenance
            assert not haproxy.entries[PANIC, name].in_maintenance
