"""What a Serf agent lists is read whatever it is, and only what is harmless comes through."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.balance.membership import MEMBERS_MAX, BadListing, Member, is_name, read_listing
from tests.supervise.balance.listings import balancer, record


def only(item: dict[bytes, Any]) -> str:
    """The reason for which a single record is refused."""
    found = read_listing([item])
    assert found.members == ()
    return found.refusals[0].reason


def test_a_member_is_read_with_its_address_port_weight_and_role() -> None:
    found = read_listing([record("web-1", 7, weight="50"), balancer()])
    assert found.members == (
        Member("ha", "10.0.0.250", 0, "ha", "alive", 100, (("role", "ha"),)),
        Member(
            "web-1", "10.0.0.7", 3000, "webapp", "alive", 50, (("port", "3000"), ("role", "webapp"), ("weight", "50"))
        ),
    )
    assert found.refusals == ()


def test_an_ipv6_address_is_read_and_written_for_haproxy_in_brackets() -> None:
    item = {**record("web-1"), b"Addr": ipaddress.ip_address("fd00::7").packed}
    assert read_listing([item]).members[0].endpoint == "[fd00::7]:3000"


@pytest.mark.parametrize(
    "name",
    [b"a b", b"a\nb", b'a"b', b"../x", b".x", b"-x", b"", b"x" * 65, b"BACKEND", b"a;b", b"a/b", "é".encode(), b"a\n"],
)
def test_a_name_that_could_mean_more_than_a_name_is_refused(name: bytes) -> None:
    assert only({**record("x"), b"Name": name}).startswith("its name is not")


def test_of_two_bad_tags_the_same_one_is_named_whatever_the_order_they_come_in() -> None:
    bad = record("web-1", 1, "alive", port="1\n2", colour='a"b')
    turned = {**bad, b"Tags": dict(reversed(bad[b"Tags"].items()))}
    assert only(bad) == only(turned)
    assert only(bad).startswith("its tag colour is")


@pytest.mark.parametrize(
    "value", ['3000"', "3000\n  server evil 10.0.0.1:80", "30'00", "3000\\", "x" * 4096, "3000\r", "\x1b[2J", "é"]
)
def test_a_tag_with_a_newline_a_quote_or_too_much_of_it_is_refused_whichever_tag_it_is(value: str) -> None:
    for tag in ("port", "colour"):
        assert only(record("web-1", 1, "alive", **{tag: value})).startswith(f"its tag {tag} is")


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "http", "0x50", "٣", " 80", "1e3"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    assert "port" in only(record("web-1", port=port))


@pytest.mark.parametrize("weight", ["", "0", "257", "-5", "x", "1.5"])
def test_a_weight_out_of_range_is_refused(weight: str) -> None:
    assert only(record("web-1", weight=weight)) == "its tag weight is not a whole number from 1 to 256"


@pytest.mark.parametrize("role", ["", "root", "WEBAPP"])
def test_an_unknown_role_is_refused(role: str) -> None:
    assert only(record("web-1", role=role)).startswith("its role is neither")


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1", "::1"])
def test_an_address_that_is_not_another_nodes_is_refused(address: str) -> None:
    packed = ipaddress.ip_address(address).packed
    if len(packed) == 4:
        packed = b"\x00" * 10 + b"\xff\xff" + packed
    assert only({**record("web-1"), b"Addr": packed}) == "its address is not one of a single other node"


def test_a_refusal_still_tells_that_the_member_leaves() -> None:
    refusal = read_listing([record("web-1", status="leaving", port="x")]).refusals[0]
    assert (refusal.name, refusal.status) == ("web-1", "leaving")


def test_what_is_shown_of_a_refused_name_is_harmless() -> None:
    refusal = read_listing([{**record("x"), b"Name": b"\x1b[31m" + b"y" * 500}]).refusals[0]
    assert refusal.name == ""
    assert refusal.shown.isprintable()
    assert len(refusal.shown) <= 64


def test_equal_records_count_once_and_different_ones_of_a_name_not_at_all() -> None:
    same = read_listing([record("a", 1), record("a", 1)])
    assert [member.name for member in same.members] == ["a"]
    other = read_listing([record("a", 1), record("a", 2), record("b", 3)])
    assert [member.name for member in other.members] == ["b"]
    assert other.refusals[0].reason == "2 different members have this name"


def test_a_poisoned_member_changes_nothing_for_the_others() -> None:
    good = [record(f"web-{number}", number) for number in range(1, 4)]
    poison = record("evil", 9, port='1"\n')
    assert read_listing([*good, poison]).members == read_listing(good).members


@pytest.mark.parametrize("listing", [None, {}, b"members", 3, [record(f"n{i}") for i in range(MEMBERS_MAX + 1)]])
def test_what_is_no_listing_of_a_bearable_length_is_refused_as_a_whole(listing: object) -> None:
    with pytest.raises(BadListing):
        read_listing(listing)


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_listing_does_not_matter(chance: random.Random) -> None:
    records = [record(f"web-{number}", number) for number in range(1, 9)] * 2 + [record("evil", port="\n"), balancer()]
    shuffled = records.copy()
    chance.shuffle(shuffled)
    assert read_listing(shuffled) == read_listing(records)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=40) | st.text(max_size=40) | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([b"Name", b"Addr", b"Tags", b"Status", b"role", b"port", b"weight"])
            | st.binary(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(st.lists(JUNK, max_size=5))
def test_whatever_is_listed_is_read_and_only_harmless_fields_come_through(listing: list[object]) -> None:
    found = read_listing([*listing, record("good", 5)])
    assert "good" in {member.name for member in found.members} | {refusal.name for refusal in found.refusals}
    for member in found.members:
        assert is_name(member.name)
        assert str(ipaddress.ip_address(member.address)) == member.address
        assert 0 <= member.port <= 65535
        assert all(text.isprintable() for tag in member.tags for text in tag)
