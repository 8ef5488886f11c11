"""The wire, both sides: what one writes the other reads; what is malformed is refused by the rules of PROTOCOL.md."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship import wire
from logship.values import Invalid, Producer, Source, StreamPath, parse_source
from logship.wire import Append, Code, Create, Digest, Encoding, Headers, Limits, Live, Look, Mark, Read, Refusal, Start
from logship.wire.fields import (
    parse_digests,
    parse_limits,
    parse_source_path,
    parse_starts,
    percent_encode,
    starts_text,
)
from logship.wire.refusal import RETRY_SECONDS, STATUS

LIMITS = Limits()
PATH = StreamPath("webapp/1/serf/x")
PROTOCOL = Path(__file__).resolve().parents[2] / "logship" / "PROTOCOL.md"

integers = st.integers(0, 2**53 - 1)
producer_ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
producers = st.builds(Producer, producer_ids, integers, integers)
digests = st.lists(st.builds(Digest, st.just("sha-256"), st.binary(max_size=40)), max_size=1).map(tuple)
starts = st.lists(integers, max_size=64).map(
    lambda offsets: tuple(Start(offset, "2026-11-23T20:15:01.123Z") for offset in sorted(offsets))
)
source_paths = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
appends = st.builds(
    Append,
    st.just(PATH),
    st.none() | st.just("text/plain; charset=utf-8"),
    st.booleans(),
    st.none() | producers,
    st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    st.none() | st.integers(0, 2**63 - 1),
    st.sampled_from([Encoding.IDENTITY, Encoding.ZSTD]),
    digests,
    starts,
    st.none() | source_paths,
)


def ascii_bytes(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header fields as an ASGI server gives them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]


@given(appends)
def test_an_append_written_by_the_client_is_read_by_the_collector(append: Append) -> None:
    assert wire.parse_append(PATH, Headers(ascii_bytes(append.headers()))) == append
    assert wire.parse_append(PATH, Headers(append.headers())) == append


def test_a_create_a_read_and_a_look_are_read_back() -> None:
    source = parse_source('{"host":"a","kind":"serf"}')
    assert isinstance(source, Source)
    create = Create(PATH, "text/plain", True, source, Encoding.ZSTD, (Digest("sha-512", b"x" * 64),))
    assert wire.parse_create(PATH, Headers(create.headers())) == create
    for read in (Read(PATH), Read(PATH, 12), Read(PATH, Mark.NOW, Live.SSE), Read(PATH, 0, Live.LONG_POLL, 77)):
        assert wire.parse_read(PATH, read.query(), Headers([])) == read
    for look in (Look(PATH), Look(PATH, "p")):
        assert wire.parse_look(PATH, Headers(look.headers())) == look
    assert wire.parse_delete(PATH) == wire.Delete(PATH)


def refused(pairs: dict[str, str]) -> Code:
    """The code of what an append with these header fields is refused for."""
    found = wire.parse_append(PATH, Headers(pairs.items()))
    assert isinstance(found, Refusal), found
    assert "\n" not in found.reason
    return found.code


PRODUCER = {"Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": "0"}


@pytest.mark.parametrize("missing", PRODUCER)
def test_producer_headers_come_together_or_not_at_all(missing: str) -> None:
    assert refused({name: value for name, value in PRODUCER.items() if name != missing}) is Code.BAD_HEADER


@pytest.mark.parametrize("value", ["-1", "+1", "01", "1.0", "1e3", "", "1abc", str(2**53), "0x1"])
@pytest.mark.parametrize("name", ["Producer-Epoch", "Producer-Seq"])
def test_epochs_and_sequences_are_strict_whole_numbers(name: str, value: str) -> None:
    assert refused({**PRODUCER, name: value}) is Code.BAD_HEADER


@pytest.mark.parametrize("producer_id", ["", " ", "x" * 257, "a\x01b", "é"])
def test_a_producer_id_is_short_printable_text(producer_id: str) -> None:
    assert refused({**PRODUCER, "Producer-Id": producer_id}) is Code.BAD_HEADER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Stream-Expected-Offset", "12"),
        ("Stream-Expected-Offset", "now"),
        ("Stream-Seq", "x" * 1025),
        ("Content-Digest", "sha-256=abc"),
        ("Logship-Starts", "12"),
        ("Logship-Starts", "2;2026-11-23T20:15:01Z, 1;2026-11-23T20:15:01Z"),
        ("Logship-Path", "%ff"),
    ],
)
def test_a_malformed_field_is_a_bad_header_that_is_named(name: str, value: str) -> None:
    found = wire.parse_append(PATH, Headers([(name, value)]))
    assert isinstance(found, Refusal)
    assert (found.code, found.reason.split(" ", 1)[0]) == (Code.BAD_HEADER, name)


@pytest.mark.parametrize(
    ("value", "closes"), [("true", True), ("TRUE", True), ("false", False), ("1", False), ("", False)]
)
def test_only_true_closes(value: str, closes: bool) -> None:
    found = wire.parse_append(PATH, Headers([("Stream-Closed", value)]))
    assert isinstance(found, Append)
    assert found.closes is closes


def test_a_field_that_comes_twice_is_refused_where_two_parsers_could_differ() -> None:
    pairs = [("Producer-Id", "p"), ("producer-id", "q"), ("Producer-Epoch", "0"), ("Producer-Seq", "0")]
    found = wire.parse_append(PATH, Headers(pairs))
    assert isinstance(found, Refusal)
    assert found.code is Code.BAD_HEADER


def test_the_path_is_judged_before_the_header_fields() -> None:
    for parse in (wire.parse_append, wire.parse_create, wire.parse_look):
        found = parse("a/../b", Headers([("Producer-Id", "p"), ("Stream-TTL", "x")]))
        assert isinstance(found, Refusal)
        assert found.code is Code.BAD_PATH
    subscription = wire.parse_append("__ds/subscriptions/x", Headers([]))
    assert isinstance(subscription, Refusal)
    assert (subscription.code, subscription.status) == (Code.NOT_SUPPORTED, 501)


def test_an_empty_body_needs_a_close_and_a_body_needs_a_content_type() -> None:
    append = Append(PATH, "text/plain")

    def code(request: Append | Create, size: int) -> Code | None:
        found = request.check_body(size, LIMITS)
        return found.code if found else None

    assert code(append, 0) is Code.EMPTY_BODY
    assert code(Append(PATH, None, closes=True), 0) is None
    assert code(Append(PATH, None, closes=True), 1) is Code.BAD_HEADER
    assert code(append, LIMITS.append_bytes_max) is None
    assert code(append, LIMITS.append_bytes_max + 1) is Code.TOO_LARGE
    assert code(Create(PATH), 0) is None
    assert code(Create(PATH), LIMITS.append_bytes_max + 1) is Code.TOO_LARGE


@pytest.mark.parametrize(
    ("pairs", "code"),
    [
        ({"Stream-TTL": "60", "Stream-Expires-At": "2030-01-01T00:00:00Z"}, Code.BAD_HEADER),
        ({"Stream-TTL": "060"}, Code.BAD_HEADER),
        ({"Stream-TTL": "+60"}, Code.BAD_HEADER),
        ({"Stream-Expires-At": "tomorrow"}, Code.BAD_HEADER),
        ({"Content-Type": "text"}, Code.BAD_HEADER),
        ({"Content-Type": "text/plain\r\nX: y"}, Code.BAD_HEADER),
        ({"Logship-Source": "{}x"}, Code.BAD_HEADER),
    ],
)
def test_a_malformed_create_is_refused(pairs: dict[str, str], code: Code) -> None:
    found = wire.parse_create(PATH, Headers(pairs.items()))
    assert isinstance(found, Refusal)
    assert found.code is code


@pytest.mark.parametrize("name", ["Stream-Forked-From", "Stream-TTL", "Stream-Expires-At"])
def test_what_is_not_here_is_named_and_left_to_admission(name: str) -> None:
    value = {"Stream-TTL": "60", "Stream-Expires-At": "2030-01-01T00:00:00Z"}.get(name, "/v1/stream/x")
    found = wire.parse_create(PATH, Headers([(name, value)]))
    assert isinstance(found, Create)
    assert found.wants == name.lower()


@pytest.mark.parametrize(
    "query",
    [
        [("offset", "")],
        [("offset", "12")],
        [("offset", "00_1")],
        [("offset", "-1"), ("offset", "-1")],
        [("live", "sse")],
        [("live", "long-poll")],
        [("offset", "-1"), ("live", "yes")],
        [("offset", "NOW")],
        [("offset", "0" * 19 + "\n")],
    ],
)
def test_a_malformed_read_is_a_bad_offset(query: list[tuple[str, str]]) -> None:
    found = wire.parse_read(PATH, query, Headers([]))
    assert isinstance(found, Refusal)
    assert found.code is Code.BAD_OFFSET


def test_a_read_ignores_queries_and_cursors_it_does_not_know() -> None:
    query = [("offset", "now"), ("x", "1"), ("x", "2"), ("cursor", "of-another-server")]
    assert wire.parse_read(PATH, query, Headers([("If-None-Match", '"a", W/"b"')])) == Read(
        PATH, Mark.NOW, None, None, ('"a"', 'W/"b"')
    )


SHA = hashlib.sha256(b"x").digest()


def test_digests_are_read_as_a_structured_dictionary() -> None:
    text = Digest("sha-256", SHA).text()
    other = Digest("sha-512", b"y" * 64)
    assert parse_digests(text) == (Digest("sha-256", SHA),)
    assert parse_digests(f'md5=:AAAA:, {text};a=1;b="q\\"";c=:AA==:;d=?1;e ,\t{other.text()}') == (
        Digest("sha-256", SHA),
        other,
    )
    assert parse_digests(f"sha-256=:AAAA:, {text}") == (Digest("sha-256", SHA),), "the last of a repeated key counts"
    assert parse_digests("unixsum=:AAAA:") == ()


def test_a_digest_cut_anywhere_is_refused_or_whole() -> None:
    text = Digest("sha-256", SHA).text() + ", " + Digest("sha-512", b"y" * 64).text()
    first = len(Digest("sha-256", SHA).text())
    for cut in range(len(text)):
        assert isinstance(parse_digests(text[:cut]), Invalid) == (cut != first), cut
    assert isinstance(parse_digests(text + ","), Invalid)
    assert isinstance(parse_digests(text + "x"), Invalid)


@pytest.mark.parametrize(
    "text", ["", "sha-256", "sha-256=abc", "sha-256=:a:", "SHA-256=:AAAA:", "sha-256=:AA AA:", "=:AAAA:"]
)
def test_other_digests_are_refused(text: str) -> None:
    assert isinstance(parse_digests(text), Invalid)


@given(st.text(max_size=60))
def test_no_text_breaks_the_field_parsers(text: str) -> None:
    for parse in (parse_digests, parse_starts, parse_limits, parse_source_path):
        parse(text)


@given(source_paths)
def test_a_source_path_survives_its_escapes(text: str) -> None:
    encoded = percent_encode(text)
    assert encoded.isascii()
    assert parse_source_path(encoded) == text


def test_starts_are_at_most_64() -> None:
    many = [Start(n, "2026-11-23T20:15:01Z") for n in range(65)]
    assert parse_starts(starts_text(many[:64])) == tuple(many[:64])
    assert isinstance(parse_starts(starts_text(many)), Invalid)


def test_limits_are_told_and_understood_also_by_an_older_client() -> None:
    limits = Limits(1, 2, 3, 4)
    assert parse_limits(limits.text() + ", later_max=5") == limits


@given(
    st.sampled_from(list(Code)),
    st.none() | integers,
    st.none() | integers.filter(bool),
    st.booleans(),
    st.none() | integers,
    st.none() | integers,
)
def test_a_refusal_is_read_back(
    code: Code, end: int | None, first: int | None, closed: bool, epoch: int | None, gap: int | None
) -> None:
    refusal = Refusal(code, "what is wrong", end, first, closed, epoch, gap, gap)
    answer = wire.parse_answer(refusal.status, Headers(ascii_bytes(refusal.headers(LIMITS))))
    assert (answer.code, answer.next_offset, answer.first_offset) == (code, end, first)
    assert (answer.closed, answer.epoch, answer.expected_sequence) == (closed, epoch, gap)
    assert answer.retry_after_seconds == RETRY_SECONDS.get(code)
    assert answer.limits == (LIMITS if refusal.status in (413, 429, 431, 503) else None)
    assert not answer.superset
    assert refusal.body() == b"what is wrong\n"


def test_successes_are_read_back() -> None:
    producer = Producer("p", 3, 9)
    appended = wire.Appended(77, closed=True, producer=producer)
    answer = wire.parse_answer(appended.status, Headers([*appended.headers(), ("Logship-Protocol", "1")]))
    assert (answer.status, answer.next_offset, answer.closed, answer.superset) == (200, 77, True, True)
    assert (answer.epoch, answer.sequence, answer.code) == (3, 9, None)
    assert wire.Appended(77).status == 204
    assert wire.Appended(77, producer=producer, duplicate=True).status == 204
    seen = wire.Seen(4096, "text/plain", True, 5, Digest("sha-256", SHA), 4091, producer)
    answer = wire.parse_answer(200, Headers(seen.headers()))
    assert (answer.tail_digest, answer.tail_bytes, answer.first_offset) == (Digest("sha-256", SHA), 4091, 5)
    created = wire.Created(0, "text/plain")
    assert (created.status, dict(created.headers("/v1/stream/x"))["Location"]) == (201, "/v1/stream/x")
    assert (wire.Created(0, "text/plain", new=False).status, wire.Deleted().status, wire.Listed(1).status) == (
        200,
        204,
        204,
    )


def test_an_answer_that_makes_no_sense_is_read_as_not_known() -> None:
    pairs = [
        ("Stream-Next-Offset", "12"),
        ("Stream-Error", "later"),
        ("Retry-After", "soon"),
        ("Stream-Tail-Digest", "x"),
        ("Logship-Limits", "x"),
        ("Logship-Protocol", "2"),
    ]
    assert wire.parse_answer(500, Headers(pairs)) == wire.Answer(500)


def test_an_etag_tells_range_stream_and_closure_apart() -> None:
    def etag(**changed: Any) -> str:
        fields = {"stream_id": 7, "offset": 0, "next_offset": 9, "tail": 9, "content_type": "text/plain", **changed}
        return wire.Found(**fields).etag()

    tags = [etag(), etag(closed=True), etag(stream_id=8), etag(offset=1), etag(next_offset=8)]
    assert len(set(tags)) == len(tags)
    assert etag(next_offset=8, closed=True) == etag(next_offset=8), "not at the end yet: closure is told there"
    found = wire.Found(7, 0, 9, 9, "text/plain")
    assert found.matches(('"x"', found.etag()))
    assert found.matches((f"W/{found.etag()}",))
    assert not found.matches(('"x"',))


def test_only_the_end_of_a_closed_stream_says_closed() -> None:
    part = dict(wire.Found(7, 0, 8, 9, "text/plain", closed=True, cursor=3).headers())
    end = dict(wire.Found(7, 8, 9, 9, "text/plain", closed=True, cursor=3).headers())
    assert {"Stream-Closed", "Stream-Up-To-Date"} & part.keys() == set()
    assert (end["Stream-Closed"], end["Stream-Up-To-Date"]) == ("true", "true")
    assert (part.get("Stream-Cursor"), end.get("Stream-Cursor")) == ("3", None)
    now = dict(wire.Found(7, 9, 9, 9, "text/plain", now=True).headers())
    assert (now.get("ETag"), now["Cache-Control"]) == (None, "no-store")


@given(st.integers(1_800_000_000, 1_900_000_000), st.none() | st.integers(0, 2**40), st.floats(0, 1))
def test_a_cursor_never_goes_back_nor_stays(now: int, echoed: int | None, chance: float) -> None:
    cursor = wire.next_cursor(now, echoed, chance)
    assert cursor >= (now - 1_728_432_000) // 20
    assert echoed is None or cursor > echoed
    assert echoed is None or cursor <= max(echoed + 3600 // 20, (now - 1_728_432_000) // 20)


def protocol_codes() -> dict[str, set[int]]:
    """Every code in PROTOCOL.md's tables of refusals, with the statuses that stand beside it."""
    found: dict[str, set[int]] = {}
    for line in PROTOCOL.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 4 and re.fullmatch(r"\d{3}", cells[2]):
            for code in re.findall(r"`([a-z-]+)`", cells[3]):
                found.setdefault(code, set()).add(int(cells[2]))
    return found


def test_the_table_of_refusals_and_protocol_md_say_the_same() -> None:
    assert protocol_codes() == {str(code): {status} for code, status in STATUS.items()}
