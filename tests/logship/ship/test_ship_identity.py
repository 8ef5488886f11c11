"""Which stream a file is, by evidence, and what a look at a file means: the cores, without files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.ship.chain import Link
from logship.ship.identity import Evidence, Known, Tail, candidate, new_id, parse_files, tail_of
from logship.ship.tailer import DELETED_SECONDS, ROTATED_SECONDS, Sight, Tailer
from logship.values import Invalid, StreamPath
from logship.wire.fields import Digest
from logship.wire.replies import Answer

BORN = 1_795_466_259_942_675_810
DIGEST = Digest("sha-256", bytes(32))


def line(name: str, evidence: Evidence, suffix: str = "", **more: object) -> bytes:
    source = {"service": "shop", "program": "file", "incarnation": name, "created": "2026-11-24T00:00:00.000Z"}
    words = {
        "stream": f"shop/h/file/{name}{suffix}",
        "closed": False,
        "next_offset": 5,
        "source": {**source, **dict(evidence.facts())},
    }
    words["source"].update(more)  # type: ignore[attr-defined]  # a dict among other values
    return json.dumps(words).encode() + b"\n"


@pytest.mark.case(35)
def test_a_file_is_known_by_inode_and_birth_also_where_its_device_has_another_number() -> None:
    known = {"a": Known("a", Evidence(1, 5, BORN)), "b": Known("b", Evidence(1, 6, BORN))}
    assert candidate(Evidence(9, 5, BORN), known, ()) is known["a"]
    assert candidate(Evidence(1, 5, BORN + 1), known, ()) is None, "the inode was used again"
    assert candidate(Evidence(1, 5, BORN), known, {"a"}) is None, "another file has it"


def test_without_a_birth_device_and_inode_must_do_and_never_meet_one_with_a_birth() -> None:
    known = {"a": Known("a", Evidence(1, 5)), "b": Known("b", Evidence(2, 5, BORN))}
    assert candidate(Evidence(1, 5), known, ()) is known["a"]
    assert candidate(Evidence(2, 5), known, ()) is None
    assert candidate(Evidence(1, 5, BORN), known, ()) is known["b"]


def test_of_two_ids_of_one_file_the_one_that_goes_on_is_taken() -> None:
    """A file that was emptied got a new id when its copy went on with the old one."""
    evidence = Evidence(1, 5, BORN)
    known = {"new": Known("new", evidence, made="2", open=True), "old": Known("old", evidence, made="3")}
    assert candidate(evidence, known, ()) is known["new"]


def test_a_file_whose_newest_id_a_copy_has_was_emptied_and_gets_none_of_its_older_ones() -> None:
    evidence = Evidence(1, 5, BORN)
    known = {
        name: Known(name, evidence, made=name, links=[Link(StreamPath(name), 0)], sizes={name: 5}) for name in "abc"
    }
    assert candidate(evidence, known, {"a"}) is known["c"]
    assert candidate(evidence, known, {"c"}) is None
    assert candidate(Evidence(9, 5, BORN), known, {"c"}) is known["b"], "on another device it may be another file's"


@pytest.mark.parametrize(
    ("answer", "tail"),
    [
        (Answer(200, next_offset=9, tail_digest=DIGEST, tail_bytes=4), Tail(9, 4, DIGEST)),
        (Answer(200, next_offset=9, tail_digest=DIGEST, tail_bytes=10), None),
        (Answer(200, next_offset=0, tail_digest=DIGEST), None),
        (Answer(200, next_offset=9), None),
        (Answer(200, tail_digest=DIGEST, tail_bytes=4), None),
        (Answer(410, next_offset=9), Tail(9)),
        (Answer(404), None),
    ],
)
def test_how_a_stream_ends_is_taken_from_an_answer_that_says_it_whole(answer: Answer, tail: Tail | None) -> None:
    assert tail_of(answer) == tail


@given(st.integers(0, 2**40), st.integers(1, 2**62), st.integers(0, 3))
def test_a_file_gets_the_same_name_each_time_and_never_one_that_is_taken(inode: int, born: int, taken: int) -> None:
    evidence = Evidence(1, inode, born)
    names: list[str] = []
    for _ in range(taken + 1):
        names.append(new_id("host", evidence, 0, names))
    assert len(set(names)) == taken + 1
    assert new_id("host", evidence, 10**18, ()) == names[0]


def test_the_list_of_streams_is_read_and_what_is_no_file_of_this_service_is_left_out() -> None:
    evidence = Evidence(1, 5, BORN)
    body = line("n", evidence) + line("n", evidence, ".00000000000000000000", continues="shop/h/file/n")
    body += (
        line("other", evidence, service="else") + line("bare", evidence, inode="x") + line("p", evidence, program="q")
    )
    found = parse_files(body, "shop")
    assert not isinstance(found, Invalid)
    assert list(found) == ["n"]
    assert [(link.base, link.continues) for link in found["n"].links] == [(0, None), (0, "shop/h/file/n")]
    assert isinstance(parse_files(b"<html>", "shop"), Invalid)


LOOKS = st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=30)


@given(LOOKS)
def test_what_is_gone_and_what_is_there_are_all_bytes_that_were_seen(looks: list[tuple[int, bool]]) -> None:
    tailer, seen = Tailer(), 0
    for number, (size, same) in enumerate(looks):
        before = tailer.size
        tailer.looked(Sight(size, same, named=True, linked=True), number)
        seen += size if before and (size < before or not same) else size - before
        assert tailer.gone + tailer.size == seen
        assert not tailer.over


@pytest.mark.case(15)
def test_a_rotated_file_is_over_when_it_was_quiet_and_a_deleted_one_later() -> None:
    for linked, bound in ((True, ROTATED_SECONDS), (False, DELETED_SECONDS)):
        tailer = Tailer()
        tailer.looked(Sight(5, True, named=False, linked=linked), 0)
        tailer.looked(Sight(6, True, named=False, linked=linked), 5)
        assert not tailer.looked(Sight(6, True, named=False, linked=linked), 5 + bound - 0.1)
        assert tailer.looked(Sight(6, True, named=False, linked=linked), 5 + bound)
        assert tailer.over
        assert tailer.looked(Sight(7, True, named=False, linked=linked), 6 + bound), "somebody wrote to it after all"
        assert not tailer.over
