"""The wire, both sides: what one writes the other reads; what is malformed is refused by the rules of PROTOCOL.md."""

from __future__ import annotations

import hashlib

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

LIMITS = Limits()
PATH = StreamPath("webapp/1/serf/x")

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


@pytest.mark.case(75)
def test_limits_are_told_and_understood_also_by_an_older_client() -> None:
    limits = Limits(1, 2, 3, 4)
    assert parse_limits(limits.text() + ", later_max=5") == limits
