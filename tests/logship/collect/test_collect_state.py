"""State: replaying all frames, and loading a checkpoint and replaying the rest, are the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logship.collect.admission import Admitted
from logship.collect.draft import Draft
from logship.collect.journal import Entry, Kind
from logship.collect.ledger import RECORDS_MAX, Ledger, pack_losses, unpack_losses
from logship.collect.state import State, load
from logship.collect.stream import STARTS_KEPT, StreamState
from logship.values import PATH_BYTES_MAX, SOURCE_BYTES_MAX, Invalid, Loss, Source, StreamPath, parse_source
from logship.wire import Append, Create, Deleted, Start
from tests.logship.collect.kit import PATHS, Desk, Operation, appends, batches, creates, replay

PATH = PATHS[0]


def loaded(state: State) -> State:
    """The state by way of a checkpoint."""
    found = load(state.checkpoint())
    assert isinstance(found, State)
    return found


@pytest.mark.case(90)
@settings(max_examples=200)
@given(batches, st.integers(0, 12))
def test_replay_equals_checkpoint_and_replay_of_the_rest(history: list[list[tuple[Operation, bytes]]], at: int) -> None:
    desk = Desk()
    for number, batch in enumerate(history):
        if number == at:
            desk.rotate()
        desk.batch(batch)
    lsn = list(desk.segments)[-1]
    checkpoint = desk.frames(lsn)[0]
    rest = load(desk.read(checkpoint.body_lsn, checkpoint.body_bytes))
    assert isinstance(rest, State)
    assert replay(desk, 0, State()) == desk.state
    assert replay(desk, lsn, rest) == desk.state
    assert loaded(desk.state) == desk.state


@given(batches)
def test_a_draft_that_is_dropped_leaves_nothing(history: list[list[tuple[Operation, bytes]]]) -> None:
    desk = Desk()
    for batch in history[:-1]:
        desk.batch(batch)
    before = loaded(desk.state)
    draft = Draft(desk.state, desk.end)
    for operation, body in history[-1] if history else []:
        desk._admit(draft, operation, body)
    assert desk.state == before


@given(st.lists(st.one_of(appends(), creates()), max_size=8))
def test_operations_in_one_batch_are_as_operations_one_by_one(history: list[tuple[Operation, bytes]]) -> None:
    together, apart = Desk(), Desk()
    outcomes = together.batch(history)
    assert outcomes == [apart.do(operation, body) for operation, body in history]
    assert together.state == replay(apart, 0, State()) == apart.state


@pytest.mark.case(90)
def test_everything_a_stream_knows_survives_a_checkpoint() -> None:
    stream = StreamState(
        PATH, 1, 2, "text/plain; charset=utf-8", Source('{"host":"ä"}'), "/var/log/ü", 2**62, 5, 6, True, None,
        {"p": (7, 8), "q": (0, 2**53 - 1)}, "é", (1, 2, 3), 9, (4096, bytes(range(32))),
    )  # fmt: skip
    ledger = Ledger([(4, Loss("x", "a", 1, 2, 3, "lines", "f", "t", "why", "how"))], dropped=11)
    state = State({PATH: stream, "b": replace(stream, path=StreamPath("b"), retired_ms=None)}, ledger)
    assert loaded(state) == state


segments = st.text("aZ0._~-", min_size=1, max_size=128).filter(lambda text: text not in (".", ".."))
long_paths = st.lists(segments, min_size=1, max_size=8).map("/".join).filter(lambda path: len(path) <= PATH_BYTES_MAX)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
said = st.fixed_dictionaries(
    {"continues": long_paths},
    optional={"lost_bytes": st.integers(0, 2**53 - 1), "lost_reason": texts, "lost_from": texts, "lost_to": texts},
)


@pytest.mark.case(90)
@given(long_paths, said)
@example("/".join(["a" * 127] * 4), {"continues": "/".join(["b" * 127] * 4), "lost_bytes": 5})
def test_whatever_a_source_may_say_of_a_loss_survives_a_checkpoint(path: str, fields: dict[str, object]) -> None:
    source = parse_source(json.dumps(fields))
    if isinstance(source, Invalid):
        assert len(json.dumps(fields)) > SOURCE_BYTES_MAX
        return
    desk = Desk()
    desk.do(Create(StreamPath(path), "text/plain", source=source))
    losses = desk.state.ledger.records()
    assert len(losses) == (0 if fields.get("lost_bytes") == 0 else 1)
    assert loaded(desk.state) == desk.state
    assert [unpack_losses(pack_losses([loss])) for _, loss in losses] == [[loss] for _, loss in losses]


def test_a_listing_says_what_protocol_md_section_8_says() -> None:
    desk = Desk(now_ms=1_795_464_901_123)
    desk.do(Create(PATH, "text/plain", source=Source('{"host":"h","path":"/old"}')))
    desk.do(Append(PATH, "text/plain", starts=(Start(0, "2026-11-23T20:15:01Z"),), source_path="/new"), b"abc")
    assert desk.state.streams[PATH].listing(1) == {
        "stream": PATH,
        "next_offset": 3,
        "first_offset": 1,
        "closed": False,
        "retired": False,
        "content_type": "text/plain",
        "last_append": "2026-11-23T20:15:01.123Z",
        "starts": [0],
        "source": {"host": "h", "path": "/new"},
    }


def test_the_path_last_seen_is_written_when_it_changes_and_starts_are_bounded() -> None:
    desk = Desk()
    desk.do(Create(PATH, "text/plain"))
    for number, seen in enumerate(["/a", "/a", "/b"]):
        starts = tuple(Start(number, "2026-11-23T20:15:01Z") for _ in range(2))
        desk.do(Append(PATH, "text/plain", source_path=seen, starts=starts), b"x")
    assert [frame.entry.source_path for frame in desk.frames()[2:]] == ["/a", None, "/b"]
    assert desk.state.streams[PATH].starts == (0, 1, 2), "a start that is told twice counts once"
    for number in range(3, STARTS_KEPT + 6):
        desk.do(Append(PATH, "text/plain", starts=(Start(number, "2026-11-23T20:15:01Z"),)), b"x")
    assert desk.state.streams[PATH].starts == tuple(range(6, STARTS_KEPT + 6))


def test_frames_of_a_stream_name_their_predecessor_also_over_checkpoints() -> None:
    desk = Desk()
    desk.do(Create(PATH, "text/plain"), b"0")
    desk.do(Append(PATH, "text/plain"), b"1")
    desk.rotate()
    desk.do(Append(PATH, "text/plain"), b"2")
    chain = [frame for frame in desk.frames() if frame.entry.length]
    assert [frame.entry.previous for frame in chain] == [None, chain[0].lsn, chain[1].lsn]


def test_retiring_keeps_the_end_and_forgets_producers() -> None:
    desk = Desk()
    desk.do(Create(PATH, "text/plain"), b"abc")
    draft = Draft(desk.state, desk.end)
    draft.add(Admitted(Kind.RETIRE, 0, Entry(77, PATH), b"", Deleted()))
    draft.commit()
    stream = desk.state.streams[PATH]
    assert (stream.retired, stream.retired_ms, stream.next_offset, stream.producers) == (True, 77, 3, {})


def test_proof_of_an_end_lasts_until_there_is_another_end() -> None:
    desk = Desk()
    desk.do(Create(PATH, "text/plain"), b"abc")

    def prove(end: int) -> None:
        draft = Draft(desk.state, desk.end)
        draft.add(Admitted(Kind.PROOF, 0, Entry(77, proof=(PATH, end, 2, b"digest")), b"", None))
        draft.commit()
        list(desk.segments.values())[-1].extend(b"".join(draft.buffers))

    prove(2)
    assert desk.state.streams[PATH].proof is None, "it ends elsewhere"
    prove(3)
    assert desk.state.streams[PATH].proof == (2, b"digest")
    assert replay(desk, 0, State()) == loaded(desk.state) == desk.state
    desk.do(Append(PATH, "text/plain"), b"d")
    assert desk.state.streams[PATH].proof is None


def test_a_stream_that_continues_another_after_a_hole_is_a_loss() -> None:
    desk = Desk()
    desk.do(Create(PATH, source=Source('{"continues":"z","lost_bytes":17,"lost_reason":"over budget"}')))
    [(lsn, loss)] = desk.state.ledger.records()
    assert (lsn, loss.stream, loss.offset, loss.bytes, loss.reason) == (
        desk.frames()[1].lsn,
        PATH,
        0,
        17,
        "over budget",
    )
    assert replay(desk, 0, State()).ledger == desk.state.ledger


def test_a_loss_counts_once_and_the_oldest_go_counted() -> None:
    ledger = Ledger()
    ledger.add(1, [Loss("a", bytes=1), Loss("b")])
    ledger.add(2, [Loss("a", bytes=2), Loss("c")])
    assert [(lsn, loss.id, loss.bytes) for lsn, loss in ledger.records()] == [
        (1, "a", 1),
        (1, "b", None),
        (2, "c", None),
    ]
    ledger.add(3, [Loss(str(number)) for number in range(RECORDS_MAX)])
    assert (len(ledger.records()), ledger.dropped) == (RECORDS_MAX, 3)
    assert "a" not in ledger
    assert "0" in ledger


def test_losses_in_one_batch_are_known_to_each_other() -> None:
    desk = Desk()
    outcomes = desk.batch([([Loss("x"), Loss("y")], b""), ([Loss("x")], b""), ([Loss("z")], b"")])
    assert [getattr(outcome, "added", None) for outcome in outcomes] == [2, 0, 1]
    assert unpack_losses(pack_losses([Loss("x", reason="ü")])) == [Loss("x", reason="ü")]
