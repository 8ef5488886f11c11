"""The wire cases, put to the cores alone and to a live collector: both give the answers of PROTOCOL.md."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

import pytest

from logship.collect.admission import Admitted, admit_append, admit_create, admit_delete, find, no_stream
from logship.collect.payload import examine
from logship.collect.stream import StreamState, step
from logship.values import StreamPath
from logship.wire import (
    Append,
    Appended,
    Create,
    Created,
    Delete,
    Found,
    Headers,
    Limits,
    Look,
    Read,
    Refusal,
    Seen,
    parse_append,
    parse_create,
    parse_delete,
    parse_look,
    parse_read,
)
from tests.conformance.case import APPEND_BYTES_MAX, Ask, Case
from tests.conformance.cases_reading import READING
from tests.conformance.cases_superset import SUPERSET
from tests.conformance.cases_writing import WRITING
from tests.logship.collect_http.live import Collector, Reply

CASES = [*WRITING, *SUPERSET, *READING]
LIMITS = Limits(append_bytes_max=APPEND_BYTES_MAX)


@dataclass
class Cores:
    """A collector of decisions: streams without their bytes."""

    streams: dict[StreamPath, StreamState] = field(default_factory=dict)
    lsn: int = 0

    def ask(self, ask: Ask) -> Reply:
        """What the answer would be."""
        outcome, fields = self._do(ask)
        if isinstance(outcome, Refusal):
            return _reply(outcome.status, outcome.headers(LIMITS))
        return _reply(outcome, fields)

    def _do(self, ask: Ask) -> tuple[int | Refusal, list[tuple[str, str]]]:
        path, _, query = ask.target.partition("?")
        headers = Headers(ask.headers.items())
        if ask.method in ("POST", "PUT"):
            request: Append | Create | Refusal
            request = parse_append(path, headers) if ask.method == "POST" else parse_create(path, headers)
            return (request, []) if isinstance(request, Refusal) else self._write(request, ask.body or b"")
        if ask.method == "DELETE":
            delete = parse_delete(path)
            return (delete, []) if isinstance(delete, Refusal) else self._delete(delete)
        look = parse_look(path, headers) if ask.method == "HEAD" else parse_read(path, parse_qsl(query, True), headers)
        if isinstance(look, Refusal):
            state = self.streams.get(StreamPath(path))
            return replace(look, next_offset=state.next_offset if state else None), []
        return self._read(look)

    def _write(self, request: Append | Create, body: bytes) -> tuple[int | Refusal, list[tuple[str, str]]]:
        refusal = request.check_body(len(body), LIMITS)
        if refusal is not None:
            return refusal, []
        state = self.streams.get(request.path)
        payload = examine(body, request.encoding, request.digests, LIMITS)
        decided: Admitted | Appended | Created | Refusal
        if isinstance(request, Append):
            if state is None:
                return no_stream(request.path), []
            decided = admit_append(state, request, payload, 0)
        else:
            decided = admit_create(state, request, payload, len(self.streams), LIMITS.streams_max, 0)
        if isinstance(decided, Refusal):
            return decided, []
        if isinstance(decided, Admitted):
            self.lsn += 1
            stepped = step(state, self.lsn, decided.kind, decided.flags, decided.entry)
            assert stepped is not None
            self.streams[request.path] = stepped
            outcome = decided.outcome
        else:
            outcome = decided
        assert outcome is not None
        return outcome.status, outcome.headers()  # type: ignore[union-attr]  # of a write it is Appended or Created

    def _delete(self, request: Delete) -> tuple[int | Refusal, list[tuple[str, str]]]:
        decided = admit_delete(self.streams.get(request.path), request.path, 0)
        if isinstance(decided, Refusal):
            return decided, []
        del self.streams[request.path]
        return 204, []

    def _read(self, request: Look | Read) -> tuple[int | Refusal, list[tuple[str, str]]]:
        read = Read(request.path) if isinstance(request, Look) else request
        state = self.streams.get(request.path)
        found = find(state, request.path, read.offset, 0)
        if isinstance(found, Refusal):
            return found, []
        assert state is not None
        if isinstance(request, Look):
            producer = state.producer(request.producer_id)
            return 200, Seen(state.next_offset, state.content_type, state.closed, producer=producer).headers()
        whole: Found = replace(found, next_offset=found.tail, cursor=1 if read.live else None)
        nothing = read.live is not None and found.offset == found.tail
        return (204 if nothing else 200), whole.headers()


def _reply(status: int, fields: list[tuple[str, str]]) -> Reply:
    return Reply(status, {name.lower(): value for name, value in fields}, b"")


def placed(ask: Ask, path: str) -> Ask:
    """The request with the case's own path."""
    return replace(ask, target=ask.target.replace("~", path).replace("%7e", "%63" + path.removeprefix("c")))


def judge(case: Case, reply: Reply, edge: frozenset[str] = frozenset()) -> None:
    """Compare; ``edge`` are header fields that the judged side does not write."""
    assert (reply.status, reply.headers.get("stream-error")) == (case.status, case.code)
    for name, value in case.headers.items():
        found = reply.headers.get(name.lower())
        if name not in edge:
            assert (found is not None) if value == "*" else (found == value), f"{name}: {found}"


_numbers = itertools.count()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_cores_answer_as_the_protocol_says(case: Case) -> None:
    cores = Cores()
    path = f"c{next(_numbers)}"
    for ask in case.before:
        assert cores.ask(placed(ask, path)).status < 300
    judge(case, cores.ask(placed(case.ask, path)), frozenset({"Logship-Protocol", "Logship-Limits", "Cache-Control"}))


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    made = Collector(tmp_path_factory.mktemp("cases") / "store", "--append-bytes-max", str(APPEND_BYTES_MAX))
    yield made
    assert made.stop() == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_live_collector_answers_as_the_protocol_says(case: Case, collector: Collector) -> None:
    path = f"c{next(_numbers)}"

    def put(ask: Ask) -> Reply:
        ask = placed(ask, path)
        headers: Mapping[str, str] = ask.headers
        return collector.ask(ask.method, "/v1/stream/" + ask.target, headers, ask.body)

    for ask in case.before:
        assert put(ask).status < 300
    before = put(Ask("HEAD"))
    reply = put(case.ask)
    judge(case, reply)
    assert reply.headers["logship-protocol"] == "1"
    assert case.body is None or reply.body == case.body
    if case.code is not None:
        assert reply.body.count(b"\n") == (0 if case.ask.method == "HEAD" else 1)
        after = put(Ask("HEAD"))
        told = ("stream-next-offset", "stream-closed", "stream-tail-digest")
        assert [after.headers.get(name) for name in told] == [before.headers.get(name) for name in told]
