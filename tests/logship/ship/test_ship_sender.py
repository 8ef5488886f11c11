"""The sender as a dialogue: what it is told, what it asks for. And its table: whole, and nothing in it that is not."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from logship.ship.outcome import Outcome, outcome
from logship.ship.standing import Standing
from logship.ship.states import TABLE, Event, ListChain, Record, Send, State
from logship.ship.steps import Steps
from logship.spool.ranges import Span
from logship.values import StreamPath
from logship.wire.fields import Headers, Limits
from logship.wire.refusal import STATUS, Code, Refusal
from logship.wire.replies import Answer, parse_answer
from logship.wire.requests import Append, Create, Look
from tests.logship.ship.model import Kept, ModelCollector, answer_of
from tests.logship.ship.world import ORIGIN, World

FIRST = f"webapp/1/serf/{ORIGIN.incarnation}"
PRODUCER = f"ship-{ORIGIN.incarnation}"


def test_every_event_has_an_action_in_every_state() -> None:
    assert set(TABLE) == {*Event, *Outcome}
    for row in TABLE.values():
        assert set(row) == set(State)


def test_every_action_of_the_table_exists_and_every_step_is_in_it() -> None:
    named = {f"_{action}" for row in TABLE.values() for action in row.values()} - {"_-", "_!"}
    found = {**vars(Standing), **vars(Steps)}
    steps = {name for name in found if re.fullmatch(r"_[a-z]+", name) and callable(found[name])}
    assert named <= steps
    inner = {"_again", "_finish", "_left", "_lose", "_open", "_parked", "_seek"}  # steps within steps
    assert steps - named == inner


def test_the_first_bytes_of_a_new_source() -> None:
    world = World()
    assert not world.sender.want, "a source without a segment asks for nothing"
    world.grow(1000)
    world.step()
    assert world.sent == ListChain(ORIGIN.incarnation)
    world.deliver()
    world.step()
    assert isinstance(world.sent, Create)
    assert world.sent.path == FIRST
    assert world.sent.source is not None
    assert world.sent.source.fields() == {
        "service": "webapp", "instance": "1", "program": "serf", "incarnation": ORIGIN.incarnation, "host": "3f2a9c",
    }  # fmt: skip
    world.deliver()
    world.step()
    assert isinstance(world.sent, Send)
    assert (world.sent.offset, world.sent.size) == (0, 700)
    producer = world.sent.append.producer
    assert producer is not None
    assert (producer.id, producer.epoch, producer.sequence) == (PRODUCER, 0, 0)
    assert world.sent.append.expected_offset == 0
    world.deliver()
    assert world.sender.state is State.SENDING
    assert world.acked == 700
    world.step()
    assert isinstance(world.sent, Send)
    assert world.sent.append.producer == replace(producer, sequence=1)
    world.deliver()
    assert not world.step()
    assert world.sender.settled


def settled(grown: int = 1000) -> World:
    world = World()
    world.grow(grown)
    world.finish()
    return world


@pytest.mark.case(74)
def test_a_new_life_asks_proves_and_claims_the_next_epoch_with_its_first_bytes() -> None:
    world = settled()
    world.restart_sender()
    world.grow(10)
    world.step()
    world.deliver()
    world.step()
    assert world.sent == Look(StreamPath(FIRST), PRODUCER)
    world.deliver()
    assert world.sender.state is State.CLAIMING
    world.step()
    assert isinstance(world.sent, Send)
    assert world.sent.append.producer is not None
    assert (world.sent.append.producer.epoch, world.sent.append.producer.sequence) == (1, 0)
    assert world.sent.append.expected_offset == 1000


def test_an_epoch_is_claimed_once_a_session_only() -> None:
    world = settled()
    for _ in range(5):
        world.grow(10)
        world.step()
        world.lose_answer()
        world.finish()
    assert world.collector.streams[FIRST].producers == {PRODUCER: (0, 6)}


@pytest.mark.case(61)
def test_an_answer_lost_after_the_commit_is_found_by_asking() -> None:
    world = settled()
    world.grow(100)
    world.step()
    world.lose_answer()
    assert world.sender.state is State.ASKING
    world.step()
    world.deliver()
    assert world.acked == 1100
    assert not world.step()


@pytest.mark.case(63, 67)
def test_a_request_that_arrives_after_it_was_given_up_does_no_harm() -> None:
    world = settled()
    world.grow(100)
    world.step()
    world.lose_request()
    world.step()
    world.deliver()  # HEAD says 1000
    world.grow(50)  # so the next append is longer than the late one, with the same sequence
    world.step()
    world.arrive_late()
    world.deliver()  # taken for a duplicate, but the end is not where it must be
    assert world.acked == 1000
    world.finish()
    world.check()


@pytest.mark.case(64)
def test_a_gap_closes_the_stream_and_the_next_one_says_what_is_lost() -> None:
    world = settled()
    world.lose(30)
    world.grow(5)
    assert world.sender.state is State.CLOSING
    world.step()
    assert isinstance(world.sent, Append)
    assert world.sent.closes
    world.deliver()
    world.step()
    assert isinstance(world.sent, Create)
    assert world.sent.path == f"{FIRST}.{1030:020}"
    assert world.sent.source is not None
    told = [world.sent.source.fields()[name] for name in ("continues", "lost_bytes", "lost_reason")]
    assert told == [FIRST, 30, "not stored: No space left on device"]
    world.finish()
    world.check()
    assert world.collector.streams[FIRST].closed


def test_a_hole_that_grows_does_not_leave_empty_streams_behind() -> None:
    world = settled()
    for _ in range(5):
        world.lose(30)
        world.look()
        assert not world.sender.want
    world.grow(1)
    world.finish()
    assert len(world.collector.streams) == 2


def test_a_source_that_became_shorter_goes_on_in_a_new_stream_with_a_record() -> None:
    world = settled()
    world.spans, world.end = [Span(0, 900)], 900
    world.look()
    world.finish()
    assert world.collector.streams[FIRST].closed
    assert len(world.collector.streams) == 1, "nothing to say, no stream"
    world.grow(20)
    world.finish()
    (loss,) = world.collector.losses.values()
    assert (loss.stream, loss.offset, loss.bytes, loss.how) == (FIRST, 1000, None, "length")
    kept = world.collector.streams[f"{FIRST}.{900:020}"]
    assert bytes(kept.data) == world.bytes_at(900, 20)
    assert kept.source["continues"] == FIRST


@pytest.mark.case(62)
@pytest.mark.parametrize("again", [False, True])
def test_a_source_that_differs_from_what_is_stored_is_sent_anew_never_resumed(again: bool) -> None:
    world = settled()
    world.changed[999] = world.bytes_at(999, 1)[0] ^ 1
    world.restart_sender()
    world.finish()
    if again:  # even where the new stream begins at the same offset as an old one
        world.changed[998] = world.bytes_at(998, 1)[0] ^ 1
        world.restart_sender()
        world.finish()
    names = sorted(path.removeprefix(FIRST) for path in world.collector.streams)
    assert names == ["", f".{0:020}", f".{0:020}.2"][: 2 + again]
    assert bytes(world.collector.streams[FIRST + names[-1]].data) == world.bytes_at(0, 1000)
    assert len(world.collector.losses) == 1 + again
    before = world.chain()
    world.restart_sender()
    world.finish()
    assert world.chain() == before


def test_a_source_whose_tail_is_gone_goes_on_in_a_new_stream_without_a_loss() -> None:
    world = settled()
    world.delete(999)
    world.restart_sender()
    world.grow(10)
    world.finish()
    world.check()
    assert not world.collector.losses
    assert world.collector.streams[f"{FIRST}.{1000:020}"].source["lost_bytes"] == 0


@pytest.mark.case(65)
def test_fenced_after_a_success_it_stays_away_for_a_minute_and_says_so_once() -> None:
    world = settled()
    world.collector.fence(StreamPath(FIRST), PRODUCER)
    world.grow(10)
    world.step()
    world.deliver()
    assert world.sender.state is State.PARKED
    assert [say.event for say in world.said] == ["stream begun", "parked"]
    for _ in range(59):
        world.now += 1
        assert not world.step()


def test_fenced_before_any_success_it_asks_again() -> None:
    world = settled()
    world.restart_sender()
    world.grow(10)
    for _ in range(2):
        world.step()
        world.deliver()
    assert world.sender.state is State.CLAIMING
    for _ in range(2):
        world.collector.fence(StreamPath(FIRST), PRODUCER)
    world.step()
    world.deliver()
    assert not world.sender.trouble
    world.finish()
    assert world.collector.streams[FIRST].producers == {PRODUCER: (3, 0)}


@pytest.mark.case(78)
@pytest.mark.case(79)
def test_after_eight_hours_without_an_answer_all_that_is_held_goes_out_and_nothing_was_given_up() -> None:
    world = settled()
    for second in range(8 * 3600):  # how often it is tried is the schedule's to say
        world.now += 1
        if second % 100 == 0:
            world.grow(20)
        world.step()
        world.lose_request()
    assert world.acked == 1000
    assert world.sender.state is not State.PARKED
    world.finish()
    world.check()
    assert world.acked == world.end
    assert len(world.collector.streams) == 1
    assert not world.collector.losses


@pytest.mark.parametrize("code", [Code.BUSY, Code.NO_ROOM, Code.STREAMS, Code.PRODUCERS, Code.STOPPING])
def test_who_is_asked_to_come_back_later_does_at_the_same_place(code: Code) -> None:
    world = settled()
    world.grow(10)
    world.collector.refuse_with = Refusal(code, "later")
    world.step()
    world.deliver()
    assert world.sender.state is State.WAITING
    asked = answer_of(world.collector.refuse_with).retry_after_seconds
    assert asked is not None
    assert asked <= world.sender.due - world.now <= 1.25 * asked
    world.collector.refuse_with = None
    world.now = world.sender.due
    world.step()
    assert isinstance(world.sent, Send), "nothing was written, so nothing needs to be asked"


@pytest.mark.case(78)
@pytest.mark.parametrize("status", [429, 502, 503])
def test_whoever_says_when_to_come_again_is_believed_also_a_proxy(status: int) -> None:
    world = settled()
    world.grow(10)
    world.step()
    world.sent = None
    answer = parse_answer(status, Headers([("Retry-After", "7")]))
    world.do(world.sender.answered(answer, world.now, 0.5, sent=10))
    assert world.sender.state is State.WAITING
    assert 7 <= world.sender.due - world.now <= 7 * 1.25
    world.finish()
    world.check()


def test_an_error_without_a_known_word_leaves_it_open_whether_it_was_done() -> None:
    world = settled()
    world.grow(10)
    world.step()
    world.sent = None
    world.do(world.sender.answered(Answer(502), world.now, 0.5, sent=10))
    world.now = world.sender.due
    world.step()
    assert isinstance(world.sent, Look)


@pytest.mark.case(76)
@pytest.mark.parametrize(
    "code", [Code.BAD_HEADER, Code.BAD_PATH, Code.CONTENT_TYPE, Code.OTHER_ENCODING, Code.NOT_SUPPORTED, Code.BAD_START]
)
def test_a_refusal_that_somebody_must_look_at_parks_the_stream_and_is_tried_each_minute(code: Code) -> None:
    world = settled()
    world.grow(10)
    world.collector.refuse_with = Refusal(code, "no")
    world.step()
    world.deliver()
    assert world.sender.state is State.PARKED
    assert f"{STATUS[code]} {code}" in world.sender.trouble
    assert 60 <= world.sender.due - world.now <= 66
    for _ in range(200):
        world.now += 1
        if world.step():
            world.deliver()
    assert [say.event for say in world.said].count("parked") == 1
    world.collector.refuse_with = None
    world.finish()
    world.check()
    assert world.said[-1].event == "goes on"


@pytest.mark.case(75)
@pytest.mark.parametrize("status", [200, 204, 404, 401, 403, 405])
def test_whoever_does_not_speak_the_protocol_is_not_written_to(status: int) -> None:
    world = World()
    world.grow(10)
    world.step()
    world.deliver()
    world.step()
    world.sent = None
    world.do(world.sender.answered(Answer(status), world.now, 0.5))
    assert world.sender.state is State.PARKED
    assert "does not say Logship-Protocol: 1" in world.sender.trouble


def test_a_body_that_is_too_large_is_halved() -> None:
    world = World(collector=ModelCollector(Limits(append_bytes_max=100)))
    world.grow(50)
    world.finish()
    world.grow(1000)
    world.step()
    world.deliver()
    assert world.sender.state is State.PARKED, "a body as small as this is refused for another reason"
    answer = Answer(413, superset=True, code=Code.TOO_LARGE)
    other = settled(20_000)
    other.grow(20_000)
    other.do(other.sender.granted(16_000, 0, 0.5))
    other.sent = None
    other.do(other.sender.answered(answer, 0, 0.5, sent=16_000))
    other.do(other.sender.granted(16_000, 0, 0.5))
    assert isinstance(other.sent, Send)
    assert other.sent.size == 8_000


@pytest.mark.case(101)
def test_bytes_that_cannot_be_read_are_asked_for_again_after_a_wait() -> None:
    world = settled()
    world.grow(10)
    world.step()
    world.sent = None
    world.do(world.sender.unread("Too many open files", world.now, 0.5))
    assert world.sender.state is State.WAITING
    world.now = world.sender.due
    world.step()
    assert isinstance(world.sent, Send)


def test_a_stream_that_retention_removed_is_not_made_again() -> None:
    world = settled()
    world.collector.streams[FIRST].retired = True
    world.restart_sender()
    world.grow(10)
    world.finish()
    kept = world.collector.streams[f"{FIRST}.{1000:020}"]
    assert bytes(kept.data) == world.bytes_at(1000, 10)
    assert kept.source["lost_bytes"] == 0


def test_a_stream_closed_by_another_goes_on_in_the_next_one() -> None:
    world = settled()
    world.collector.streams[FIRST].closed = True
    world.grow(10)
    world.finish()
    world.check()
    assert f"{FIRST}.{1000:020}" in world.collector.streams


def test_a_source_that_has_ended_is_closed_when_all_of_it_is_there() -> None:
    world = World()
    world.grow(10)
    world.ended = True
    world.finish()
    assert world.sender.state is State.DRAINED
    assert world.collector.streams[FIRST].closed


def test_what_is_lost_at_the_very_end_of_an_ended_source_is_recorded_once() -> None:
    world = settled()
    world.lose(30)
    world.ended = True
    world.finish()
    world.check()
    (loss,) = world.collector.losses.values()
    assert (loss.stream, loss.offset, loss.bytes) == (FIRST, 1000, 30)
    world.restart_sender()
    world.finish()
    assert len(world.collector.losses) == 1
    assert world.sender.state is State.DRAINED


def test_a_source_that_lost_all_it_ever_had_is_a_record_and_no_stream() -> None:
    world = World()
    world.lose(30)
    world.any = world.ended = True
    world.finish()
    (loss,) = world.collector.losses.values()
    assert (loss.stream, loss.offset, loss.bytes) == (FIRST, 0, 30)
    assert not world.collector.streams


def test_the_present_stream_is_the_end_of_the_chain_not_the_one_that_begins_last() -> None:
    world = settled(3000)
    world.collector.streams[f"{FIRST}.{9:020}"] = Kept(
        "application/octet-stream",
        {"program": "serf", "incarnation": ORIGIN.incarnation, "continues": FIRST},
        bytearray(world.bytes_at(9, 3000 - 9)),
    )
    world.restart_sender()
    world.grow(5)
    world.finish()
    assert bytes(world.collector.streams[f"{FIRST}.{9:020}"].data) == world.bytes_at(9, 2996)


def test_a_loss_record_is_in_the_ledger_before_the_stream_is_left() -> None:
    world = settled()
    world.changed[0] = world.bytes_at(0, 1)[0] ^ 1
    world.restart_sender()
    for _ in range(2):
        world.step()
        world.deliver()
    world.step()
    assert isinstance(world.sent, Record)
    world.lose_answer()
    world.finish()
    assert len(world.collector.losses) == 1


@pytest.mark.parametrize("code", list(Code))
def test_every_refusal_means_something(code: Code) -> None:
    meaning = outcome(Answer(STATUS[code], superset=True, code=code))
    assert meaning is not Outcome.DONE
    assert isinstance(meaning, Outcome)


@pytest.mark.parametrize("refusal", [Answer(503, code=Code.STOPPING), Answer(502)])
def test_a_stream_whose_making_was_left_open_is_looked_for_before_another_one_is_made(refusal: Answer) -> None:
    """The collector's disk failed after the frame was written: at the next start the stream is there."""
    world = World()
    world.lose(300)
    world.grow(1000)
    world.step()
    world.deliver()
    world.step()
    made = world.sent
    assert isinstance(made, Create)
    assert made.path.endswith(".00000000000000000300")
    world.sent = None
    world.carry_out(made)
    world.do(world.sender.answered(refusal, world.now, 0.5))
    world.delete(900)
    world.look()
    world.now = world.sender.due
    world.step()
    assert world.sent == ListChain(ORIGIN.incarnation), "meanwhile the source would make a stream of another name"
    world.finish()
    world.check()
    ends = [path for path, kept in world.collector.streams.items() if not kept.closed]
    assert len(ends) == 1, f"the first one was closed when bytes behind its beginning were gone: {ends}"
