"""Core: the header fields of a request -> what it asks (PROTOCOL.md 2 to 7).

A request is checked as far as it goes alone. What depends on the stream is ``collect.admission``'s, what depends on the
body's bytes ``collect.payload``'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from logship.values import (
    PRODUCER_ID_BYTES_MAX,
    Invalid,
    Producer,
    StreamPath,
    parse_integer,
    parse_offset,
    parse_source,
    parse_stream_path,
    parse_time,
)
from logship.wire.fields import Digest, Headers, parse_digests, parse_source_path, parse_starts
from logship.wire.refusal import Code, Refusal
from logship.wire.requests import DEFAULT_CONTENT_TYPE, Append, Create, Delete, Encoding, Live, Look, Mark, Read

T = TypeVar("T")

STREAM_SEQ_BYTES_MAX = 1024
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?:[ \t]*;[\t -~]{0,200})?")
_VISIBLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")

_ENCODINGS = {each.value: each for each in Encoding}
_PRODUCER = ("producer-id", "producer-epoch", "producer-seq")
_SINGLE = ("content-type", "content-encoding", "stream-closed", "logship-path", "logship-source")
_APPEND_SINGLE = (*_SINGLE, *_PRODUCER, "stream-seq", "stream-expected-offset")
_NOT_SUPPORTED = ("stream-ttl", "stream-expires-at", "stream-forked-from", "stream-fork-offset")


def parse_append(path: str, headers: Headers) -> Append | Refusal:
    """A POST to ``path`` (percent-encoded, what follows ``/v1/stream/``)."""
    stream = _parse_path(path)
    if isinstance(stream, Refusal):
        return stream
    if name := headers.repeated(_APPEND_SINGLE):
        return _bad_header(name, Invalid("came more than once"))
    producer = _parse_producer(headers)
    if isinstance(producer, Refusal):
        return producer
    body = _parse_body(headers)
    if isinstance(body, Refusal):
        return body
    seq = headers.get("stream-seq")
    if seq is not None and len(seq) > STREAM_SEQ_BYTES_MAX:
        return _bad_header("stream-seq", Invalid(f"is longer than {STREAM_SEQ_BYTES_MAX} bytes"))
    expected = _optional(headers, "stream-expected-offset", parse_offset)
    if isinstance(expected, Refusal):
        return expected
    starts = _optional(headers, "logship-starts", parse_starts)
    if isinstance(starts, Refusal):
        return starts
    seen_at = _optional(headers, "logship-path", parse_source_path)
    if isinstance(seen_at, Refusal):
        return seen_at
    closes, content_type = headers.is_true("stream-closed"), headers.get("content-type") or None
    return Append(stream, content_type, closes, producer, seq, expected, *body, starts or (), seen_at)


def parse_create(path: str, headers: Headers) -> Create | Refusal:
    """A PUT to ``path``."""
    stream = _parse_path(path)
    if isinstance(stream, Refusal):
        return stream
    if name := headers.repeated((*_SINGLE, *_NOT_SUPPORTED)):
        return _bad_header(name, Invalid("came more than once"))
    wants = _parse_not_supported(headers)
    if isinstance(wants, Refusal):
        return wants
    body = _parse_body(headers)
    if isinstance(body, Refusal):
        return body
    content_type = headers.get("content-type") or DEFAULT_CONTENT_TYPE
    if not _CONTENT_TYPE.fullmatch(content_type):
        return _bad_header("content-type", Invalid("is not a media type like text/plain"))
    source = _optional(headers, "logship-source", parse_source)
    if isinstance(source, Refusal):
        return source
    return Create(stream, content_type, headers.is_true("stream-closed"), source, *body, wants)


def parse_read(path: str, query: Sequence[tuple[str, str]], headers: Headers) -> Read | Refusal:
    """A GET of ``path`` with these decoded query pairs."""
    stream = _parse_path(path)
    if isinstance(stream, Refusal):
        return stream
    values = {name: value for name, value in reversed(query) if name in ("offset", "live", "cursor")}
    if sum(name in values for name, _ in query) > len(values):
        return Refusal(Code.BAD_OFFSET, "offset, live and cursor may be said once each")
    live_text = values.get("live")
    if live_text is not None and live_text not in list(Live):
        return Refusal(Code.BAD_OFFSET, "live is neither long-poll nor sse")
    if live_text is not None and "offset" not in values:
        return Refusal(Code.BAD_OFFSET, f"live={live_text} needs an offset; say -1 for the beginning")
    text = values.get("offset", Mark.START)
    offset: int | Mark | Invalid = Mark(text) if text in list(Mark) else parse_offset(text)
    if isinstance(offset, Invalid):
        return Refusal(Code.BAD_OFFSET, f"offset {offset.reason}, nor -1, nor now")
    # A cursor that is no number of ours is another server's: the protocol calls it opaque, so it is left alone.
    cursor = parse_integer(values.get("cursor", ""))
    etags = tuple(etag.strip(" \t") for etag in (headers.get("if-none-match") or "").split(",") if etag.strip(" \t"))
    return Read(
        stream, offset, Live(live_text) if live_text else None, None if isinstance(cursor, Invalid) else cursor, etags
    )


def parse_look(path: str, headers: Headers) -> Look | Refusal:
    """A HEAD of ``path``."""
    stream = _parse_path(path)
    if isinstance(stream, Refusal):
        return stream
    producer_id = headers.get("producer-id")
    if producer_id is not None and (fault := _producer_id_fault(producer_id)):
        return _bad_header("producer-id", fault)
    return Look(stream, producer_id)


def parse_delete(path: str) -> Delete | Refusal:
    """A DELETE of ``path``."""
    stream = _parse_path(path)
    return stream if isinstance(stream, Refusal) else Delete(stream)


def _parse_path(text: str) -> StreamPath | Refusal:
    path = parse_stream_path(text)
    if isinstance(path, Invalid):
        return Refusal(Code.BAD_PATH, f"the stream's path {path.reason}")
    if path.partition("/")[0] == "__ds":
        return Refusal(Code.NOT_SUPPORTED, "subscriptions (__ds) are not supported by this collector")
    return path


def _parse_producer(headers: Headers) -> Producer | Refusal | None:
    values = [headers.get(name) for name in _PRODUCER]
    if values == [None, None, None]:
        return None
    producer_id, epoch_text, sequence_text = values
    if producer_id is None or epoch_text is None or sequence_text is None:
        return Refusal(Code.BAD_HEADER, "Producer-Id, Producer-Epoch and Producer-Seq come together or not at all")
    if fault := _producer_id_fault(producer_id):
        return _bad_header("producer-id", fault)
    epoch, sequence = parse_integer(epoch_text), parse_integer(sequence_text)
    if isinstance(epoch, Invalid):
        return _bad_header("producer-epoch", epoch)
    if isinstance(sequence, Invalid):
        return _bad_header("producer-seq", sequence)
    return Producer(producer_id, epoch, sequence)


def _producer_id_fault(text: str) -> Invalid | None:
    if len(text) > PRODUCER_ID_BYTES_MAX or not _VISIBLE.fullmatch(text):
        return Invalid(f"is not 1 to {PRODUCER_ID_BYTES_MAX} printable ASCII characters")
    return None


def _parse_body(headers: Headers) -> tuple[Encoding, tuple[Digest, ...]] | Refusal:
    text = (headers.get("content-encoding") or Encoding.IDENTITY).lower()
    encoding = _ENCODINGS.get(text, Encoding.OTHER)
    digests = _optional(headers, "content-digest", parse_digests)
    return digests if isinstance(digests, Refusal) else (encoding, digests or ())


def _parse_not_supported(headers: Headers) -> str | Refusal | None:
    ttl, expires = headers.get("stream-ttl"), headers.get("stream-expires-at")
    if ttl is not None and expires is not None:
        return Refusal(Code.BAD_HEADER, "Stream-TTL and Stream-Expires-At exclude each other")
    if ttl is not None and isinstance(fault := parse_integer(ttl), Invalid):
        return _bad_header("stream-ttl", fault)
    if expires is not None and isinstance(when := parse_time(expires), Invalid):
        return _bad_header("stream-expires-at", when)
    return next((name for name in _NOT_SUPPORTED if headers.get(name) is not None), None)


def _optional(headers: Headers, name: str, parse: Callable[[str], T | Invalid]) -> T | Refusal | None:
    text = headers.get(name)
    if text is None:
        return None
    value = parse(text)
    return _bad_header(name, value) if isinstance(value, Invalid) else value


def _bad_header(name: str, fault: Invalid) -> Refusal:
    return Refusal(Code.BAD_HEADER, f"{name.title()} {fault.reason}")
