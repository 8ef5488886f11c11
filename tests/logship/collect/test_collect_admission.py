"""Admission: the order of PROTOCOL.md 5, the base protocol's producers and closing, against a model of the text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship import zstd
from logship.collect.admission import APPEND_ORDER, PRODUCERS_MAX, find
from logship.collect.stream import StreamState
from logship.values import Producer, StreamPath
from logship.wire import (
    Append,
    Appended,
    Code,
    Create,
    Created,
    Delete,
    Deleted,
    Digest,
    Encoding,
    Found,
    Mark,
    Refusal,
    Start,
)
from tests.logship.collect.kit import PATHS, Desk, Operation, operations, refused

PROTOCOL = Path(__file__).resolve().parents[3] / "logship" / "PROTOCOL.md"
PATH = PATHS[0]
TEXT = Append(PATH, "text/plain")


def desk_with_stream() -> Desk:
    """A desk with one open, empty stream."""
    desk = Desk()
    desk.do(Create(PATH, "text/plain"))
    return desk


def by(epoch: int, sequence: int, producer_id: str = "p") -> Append:
    """An append of a producer."""
    return replace(TEXT, producer=Producer(producer_id, epoch, sequence))


# What each row says, alone.


def test_row_4_an_unknown_stream_is_not_found() -> None:
    assert refused(Desk().do(TEXT, b"x")) == "no-stream"
    assert refused(Desk().do(Delete(PATH))) == "no-stream"


@pytest.mark.case(69)
def test_row_6_a_body_that_is_not_what_its_digest_says_is_refused() -> None:
    desk = desk_with_stream()
    assert refused(desk.do(replace(TEXT, digests=(Digest("sha-256", b"x" * 32),)), b"x")) == "bad-digest"
    assert refused(desk.do(replace(TEXT, digests=(Digest("sha-512", b""),)), b"x")) == "bad-digest"


def test_row_7_encodings_are_judged_before_closure() -> None:
    desk = desk_with_stream()
    desk.do(Append(PATH, closes=True))
    zipped = replace(TEXT, encoding=Encoding.ZSTD)
    assert refused(desk.do(replace(TEXT, encoding=Encoding.OTHER), b"x")) == "other-encoding"
    assert refused(desk.do(zipped, b"not zstd")) == "bad-encoding"
    assert refused(desk.do(zipped, zstd.compress(bytes(1001)))) == "too-large"
    assert refused(desk.do(zipped, zstd.compress(b""))) == "empty-body"
    assert refused(desk.do(zipped, zstd.compress(b"x"))) == "closed"


def test_row_8_a_closed_stream_says_where_it_ended() -> None:
    desk = desk_with_stream()
    assert desk.do(replace(TEXT, closes=True), b"end") == Appended(3, closed=True)
    refusal = desk.do(TEXT, b"more")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.closed, refusal.next_offset) == (Code.CLOSED, True, 3)


def test_closing_again_without_a_body_is_a_success() -> None:
    desk = desk_with_stream()
    close = Append(PATH, closes=True)
    assert desk.do(close) == Appended(0, closed=True, wrote=False)
    again = desk.do(close)
    assert again == Appended(0, closed=True, duplicate=True)
    assert refused(desk.do(replace(close, content_type="text/plain"), b"x")) == "closed"


def test_the_closing_append_sent_again_by_its_producer_is_a_success_and_no_other_is() -> None:
    desk = desk_with_stream()
    desk.do(by(0, 0), b"x")
    closing = replace(by(0, 1), closes=True)
    assert desk.do(closing, b"y") == Appended(2, True, Producer("p", 0, 1))
    assert desk.do(closing, b"y") == Appended(2, True, Producer("p", 0, 1), duplicate=True)
    for other in (by(0, 0), by(0, 2), by(1, 0), replace(by(0, 1, "q"), closes=True)):
        assert refused(desk.do(other, b"y")) == "closed"


def test_row_9_another_media_type_is_refused_and_parameters_do_not_count() -> None:
    desk = desk_with_stream()
    assert refused(desk.do(Append(PATH, "application/json"), b"{}")) == "content-type"
    assert desk.do(Append(PATH, "Text/Plain;charset=utf-8"), b"x") == Appended(1)
    assert desk.do(Append(PATH, "application/json", closes=True)) == Appended(1, closed=True, wrote=False)


@pytest.mark.case(61, 62, 65)
def test_rows_10_to_13_producers_are_judged_as_the_base_protocol_says() -> None:
    desk = desk_with_stream()
    assert refused(desk.do(by(3, 1), b"x")) == "sequence-gap", "a producer that is not known begins with 0"
    assert desk.do(by(3, 0), b"x") == Appended(1, producer=Producer("p", 3, 0))
    assert desk.do(by(3, 0), b"x") == Appended(1, producer=Producer("p", 3, 0), duplicate=True)
    assert desk.do(by(3, 1), b"y") == Appended(2, producer=Producer("p", 3, 1))
    old = desk.do(by(3, 0), b"x")
    assert old == Appended(2, producer=Producer("p", 3, 1), duplicate=True), "the highest sequence is told"
    gap = desk.do(by(3, 4), b"z")
    assert isinstance(gap, Refusal)
    assert (gap.code, gap.expected_sequence, gap.received_sequence) == (Code.SEQUENCE_GAP, 2, 4)
    stale = desk.do(by(2, 0), b"z")
    assert isinstance(stale, Refusal)
    assert (stale.code, stale.epoch) == (Code.STALE_EPOCH, 3)
    assert refused(desk.do(by(4, 1), b"z")) == "bad-epoch"
    assert desk.do(by(4, 0), b"z") == Appended(3, producer=Producer("p", 4, 0))


def test_row_14_stream_seq_rises_byte_by_byte_and_a_duplicate_is_not_asked_for_it() -> None:
    desk = desk_with_stream()
    assert desk.do(replace(by(0, 0), stream_seq="10"), b"x") == Appended(1, producer=Producer("p", 0, 0))
    assert refused(desk.do(replace(TEXT, stream_seq="10"), b"x")) == "stream-seq"
    assert refused(desk.do(replace(TEXT, stream_seq="1"), b"x")) == "stream-seq"
    assert desk.do(replace(TEXT, stream_seq="9"), b"x") == Appended(2)
    assert desk.do(replace(by(0, 0), stream_seq="10"), b"x") == Appended(2, False, Producer("p", 0, 0), duplicate=True)


@pytest.mark.case(63, 64)
def test_row_15_an_append_is_taken_exactly_at_the_expected_offset() -> None:
    desk = desk_with_stream()
    assert desk.do(replace(TEXT, expected_offset=0), b"abc") == Appended(3)
    for wrong in (0, 2, 4):
        refusal = desk.do(replace(TEXT, expected_offset=wrong), b"x")
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.next_offset) == (Code.EXPECTED_OFFSET, 3)
    assert refused(desk.do(replace(by(0, 0), expected_offset=2), b"x")) == "expected-offset"
    assert desk.do(replace(by(0, 0), expected_offset=3), b"x") == Appended(4, producer=Producer("p", 0, 0))
    assert desk.state.streams[PATH].producers == {"p": (0, 0)}, "a refused append leaves no epoch claimed"


def test_row_16_starts_lie_within_or_at_the_ends_of_the_body() -> None:
    desk = desk_with_stream()
    at = [Start(offset, "2026-11-23T20:15:01Z") for offset in range(5)]
    desk.do(TEXT, b"x")
    assert refused(desk.do(replace(TEXT, starts=(at[0],)), b"yz")) == "bad-start"
    assert refused(desk.do(replace(TEXT, starts=(at[1], at[4])), b"yz")) == "bad-start"
    assert desk.do(replace(TEXT, starts=(at[1], at[3])), b"yz") == Appended(3)
    assert desk.do(replace(TEXT, starts=(at[3],)), b"!") == Appended(4)
    assert desk.state.streams[PATH].starts == (1, 3)


def test_row_17_a_stream_remembers_all_its_producers_and_takes_no_more_than_it_can() -> None:
    desk = desk_with_stream()
    for number in range(PRODUCERS_MAX):
        assert isinstance(desk.do(by(0, 0, str(number)), b"x"), Appended)
    assert refused(desk.do(by(0, 0, "one more"), b"x")) == "producers"
    assert desk.do(by(0, 1, "0"), b"x") == Appended(PRODUCERS_MAX + 1, producer=Producer("0", 0, 1))


def test_what_retention_removed_is_gone_for_appends_creates_and_deletes() -> None:
    desk = desk_with_stream()
    desk.do(TEXT, b"abc")
    state = replace(desk.state.streams[PATH], retired_ms=7, closed=True)
    desk.state.streams[PATH] = state
    for operation in (TEXT, Create(PATH, "text/plain"), Delete(PATH), Append(PATH, closes=True)):
        refusal = desk.do(operation, b"" if isinstance(operation, Delete) else b"x")
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.next_offset) == (Code.RETIRED, 3)
    assert refused(find(state, PATH, Mark.START, 3)) == "retired"  # type: ignore[arg-type]  # a Refusal all the same


def test_create_is_the_same_again_or_refused() -> None:
    desk = Desk()
    create = Create(PATH, "text/plain")
    assert desk.do(create, b"ab") == Created(2, "text/plain")
    assert desk.do(create, b"ignored") == Created(2, "text/plain", new=False)
    assert desk.do(replace(create, content_type="TEXT/PLAIN; x=y")) == Created(2, "text/plain", new=False)
    for other in (
        replace(create, content_type="text/html"),
        replace(create, closes=True),
        replace(create, wants="stream-ttl"),
    ):
        assert refused(desk.do(other)) == "exists"
    desk.do(Append(PATH, closes=True))
    assert refused(desk.do(create)) == "exists"
    assert desk.do(replace(create, closes=True)) == Created(2, "text/plain", True, new=False)


def test_what_is_not_supported_is_said_only_where_nothing_else_is_wrong() -> None:
    desk = Desk()
    assert refused(desk.do(Create(PATH, wants="stream-ttl"))) == "not-supported"
    assert refused(desk.do(Create(PATH, wants="stream-ttl", encoding=Encoding.ZSTD), b"x")) == "bad-encoding"
    assert desk.state.streams == {}


def test_streams_are_bounded_and_one_deleted_makes_room() -> None:
    desk = Desk()
    for number in range(5):
        assert isinstance(desk.do(Create(StreamPath(f"s/{number}"))), Created)
    assert refused(desk.do(Create(PATH))) == "streams"
    batch: list[tuple[Operation, bytes]] = [
        (Delete(StreamPath("s/1")), b""),
        (Create(PATH), b""),
        (Create(PATHS[1]), b""),
    ]
    assert [refused(outcome) for outcome in desk.batch(batch)] == [None, None, "streams"]


def test_reads_begin_where_bytes_are() -> None:
    desk = desk_with_stream()
    desk.do(TEXT, b"abcdef")
    state = desk.state.streams[PATH]

    def at(offset: int | Mark, first: int = 0, stream: StreamState | None = state) -> Found | Refusal:
        return find(stream, PATH, offset, first)

    for offset, begins in ((0, 0), (6, 6), (Mark.START, 0), (Mark.NOW, 6)):
        found = at(offset)
        assert isinstance(found, Found)
        assert (found.offset, found.tail, found.now) == (begins, 6, offset is Mark.NOW)
    beyond, below, none = at(7), at(1, 2), at(0, 0, None)
    assert isinstance(beyond, Refusal)
    assert isinstance(below, Refusal)
    assert isinstance(none, Refusal)
    assert (beyond.code, below.code, none.code) == (Code.BAD_OFFSET, Code.RETIRED, Code.NO_STREAM)
    assert below.first_offset == 2
    start = at(Mark.START, 2)
    assert isinstance(start, Found)
    assert start.offset == 2


# The order, and everything together.


def test_the_order_of_the_checks_is_the_order_of_the_text() -> None:
    rows = [int(row) for row in re.findall(r"^\| (\d+) \|", PROTOCOL.read_text(), re.MULTILINE)]
    assert rows == sorted(rows)
    checked = [row for row, _ in APPEND_ORDER]
    assert checked == sorted(checked) == [row for row in sorted(set(rows)) if 5 <= row <= 17]


@dataclass
class Model:
    """One stream as the two protocol texts have it, written from the texts."""

    content: bytes = b""
    closed: bool = False
    closed_by: Producer | None = None
    producers: dict[str, tuple[int, int]] = field(default_factory=dict)
    seq: str | None = None

    def append(self, request: Append, body: bytes) -> tuple[int, str | None]:
        """Status and error word of a POST whose body decodes to ``body``."""
        producer = request.producer
        if not body and not request.closes:
            return 400, "empty-body"
        if self.closed:
            if producer and producer == self.closed_by:
                return 204, None
            return (204, None) if request.closes and not body and not producer else (409, "closed")
        if body and (request.content_type or "").partition(";")[0].lower() != "text/plain":
            return 409, "content-type"
        if producer:
            epoch, last = self.producers.get(producer.id, (producer.epoch, -1))
            if producer.epoch < epoch:
                return 403, "stale-epoch"
            if producer.epoch > epoch and producer.sequence != 0:
                return 400, "bad-epoch"
            if producer.epoch == epoch:
                if producer.sequence <= last:
                    return 204, None
                if producer.sequence > last + 1:
                    return 409, "sequence-gap"
        if request.stream_seq is not None and self.seq is not None and request.stream_seq <= self.seq:
            return 409, "stream-seq"
        if request.expected_offset not in (None, len(self.content)):
            return 409, "expected-offset"
        self.content += body
        self.seq = self.seq if request.stream_seq is None else request.stream_seq
        if producer:
            self.producers[producer.id] = producer.epoch, producer.sequence
        if request.closes:
            self.closed, self.closed_by = True, producer
        return (200 if producer and body else 204), None


@pytest.mark.case(61, 68)
@settings(max_examples=400)
@given(st.lists(operations, max_size=30))
def test_any_history_is_answered_as_the_model_answers_it(history: list[tuple[Operation, bytes]]) -> None:
    desk, model = Desk(), dict[str, Model]()
    for operation, body in history:
        outcome = desk.do(operation, body)
        if isinstance(operation, list):
            continue
        known = model.get(operation.path)
        if isinstance(operation, Delete):
            assert outcome == Deleted() if known else refused(outcome) == "no-stream"
            model.pop(operation.path, None)
        elif isinstance(operation, Create):
            if known is None:
                model[operation.path] = known = Model(body, operation.closes)
                assert outcome == Created(len(body), "text/plain", operation.closes)
            elif known.closed == operation.closes:
                assert outcome == Created(len(known.content), "text/plain", known.closed, new=False)
            else:
                assert refused(outcome) == "exists"
        elif known is None:
            assert refused(outcome) == "no-stream"
        else:
            decoded = zstd.decode(body, 1000) if operation.encoding is Encoding.ZSTD else body
            assert isinstance(decoded, bytes)
            status, word = known.append(operation, decoded)
            assert isinstance(outcome, Appended | Refusal)
            assert (outcome.status, refused(outcome)) == (status, word), operation
            if isinstance(outcome, Appended):
                assert (outcome.next_offset, outcome.closed) == (len(known.content), known.closed)
    for path, known in model.items():
        state = desk.state.streams[path]
        assert (state.next_offset, state.closed, state.producers) == (len(known.content), known.closed, known.producers)
    assert desk.state.streams.keys() == model.keys()
