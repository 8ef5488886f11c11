"""What an answer says, written and read back; the table of refusals and PROTOCOL.md say the same."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from logship import wire
from logship.values import Producer
from logship.wire import Code, Digest, Headers, Limits, Refusal
from logship.wire.refusal import RETRY_SECONDS, STATUS

LIMITS = Limits()
PROTOCOL = Path(__file__).resolve().parents[2] / "logship" / "PROTOCOL.md"
SHA = hashlib.sha256(b"x").digest()

integers = st.integers(0, 2**53 - 1)


def ascii_bytes(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header fields as an ASGI server gives them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]


@given(
    st.sampled_from(list(Code)),
    st.none() | integers,
    st.none() | integers.filter(bool),
    st.booleans(),
    st.none() | integers,
    st.none() | integers,
    st.none() | integers,
)
def test_a_refusal_is_read_back(
    code: Code, end: int | None, first: int | None, closed: bool, epoch: int | None, gap: int | None, good: int | None
) -> None:
    refusal = Refusal(code, "what is wrong", end, first, closed, epoch, gap, gap, good)
    answer = wire.parse_answer(refusal.status, Headers(ascii_bytes(refusal.headers(LIMITS))))
    assert (answer.code, answer.next_offset, answer.first_offset) == (code, end, first)
    assert (answer.closed, answer.epoch, answer.expected_sequence) == (closed, epoch, gap)
    assert answer.damage_end == good
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
    assert wire.parse_answer(500, Headers(pairs)) == wire.Answer(500, next_text="12"), "only as another server's text"


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
