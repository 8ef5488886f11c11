"""Run: a thread that carries one request at a time to the collector and its answer back.

Reading, compressing, hashing and sending release the interpreter, so two couriers keep two cores busy. A courier
decides nothing: what it brings back goes to the sender that asked.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from logship.ship.ahead import AnySource, Packer, Shelf
from logship.ship.book import Book
from logship.ship.chain import Link, parse_list
from logship.ship.http1 import Reply
from logship.ship.http_sink import Place, Sink, Unanswered
from logship.ship.identity import PROGRAM, Known, parse_files
from logship.ship.plain_courier import Carried, carry
from logship.ship.plain_states import Make, Note, PlainRequest, Push, Recall, RecallFiles, Shut
from logship.ship.states import ListChain, ListFiles, Record, Request, Send
from logship.values import Invalid
from logship.wire.replies import Answer, parse_answer
from logship.wire.requests import Append, Create, Encoding, Look

LIST_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """``request`` of the sender ``key``, to be answered within ``seconds``; what it sends is read from ``source``."""

    key: tuple[str, str]
    request: Request | ListFiles | PlainRequest | RecallFiles
    source: AnySource | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a job: an answer, or why there is none (``failure``: from outside, ``unread``: from the disk)."""

    job: Job
    answer: Answer | None = None
    links: Mapping[str, Sequence[Link]] | None = None
    files: Mapping[str, Known] | None = None
    size: int = 0
    """Bytes of the source that went with the request."""
    wire_bytes: int = 0
    seconds: float = 0.0
    failure: Unanswered | None = None
    unread: str = ""
    plain: Carried | None = None
    """What came of a plain sender's own request."""


class Courier(threading.Thread):
    """Takes jobs until it is given None. A daemon: a stop does not wait for a name server."""

    def __init__(
        self,
        place: Place,
        jobs: SimpleQueue[Job | None],
        results: SimpleQueue[Result | None],
        shelf: Shelf,
        book: Book | None = None,
    ) -> None:
        super().__init__(name="courier", daemon=True)
        self._sink = Sink(place)
        self._shelf = shelf
        self._book = book
        self._packer = Packer()
        self._jobs = jobs
        self._results = results

    def run(self) -> None:
        """Work."""
        while (job := self._jobs.get()) is not None:
            try:
                result = self._carry(job)
            except Unanswered as failure:
                result = Result(job, failure=failure)
            except OSError as error:
                result = Result(job, unread=str(error.strerror or error))
            self._results.put(result)
            del job, result  # up to some MiB
        self._sink.close()

    def _carry(self, job: Job) -> Result:
        request = job.request
        if isinstance(request, Send):
            return self._send(job, request)
        if isinstance(request, ListChain):
            target = f"/v1/streams?source.incarnation={request.incarnation}"
            reply = self._sink.exchange("GET", target, (), None, job.seconds, LIST_BYTES_MAX)
            links = parse_list(reply.body) if reply.status == 200 else {}
            if isinstance(links, Invalid):
                raise Unanswered(f"what GET /v1/streams answers {links.reason}")
            return Result(job, _answer(reply), links)
        if isinstance(request, ListFiles):
            return self._files(job, request)
        if isinstance(request, Recall | RecallFiles | Make | Push | Shut | Note):
            return self._plain(job, request)
        return Result(job, _answer(self._bare(request, job.seconds)))

    def _plain(self, job: Job, request: PlainRequest | RecallFiles) -> Result:
        begun, book = time.monotonic(), self._book
        assert book is not None
        if isinstance(request, RecallFiles):
            return Result(job, files=book.files(request.host, request.service))
        done = carry(self._sink, book, request, job.source, job.seconds)
        seconds = time.monotonic() - begun
        return Result(
            job, done.answer, size=done.size, wire_bytes=done.size, seconds=seconds, failure=done.failure, plain=done
        )

    def _send(self, job: Job, request: Send) -> Result:
        begun, source = time.monotonic(), job.source
        assert source is not None
        packed = self._shelf.take(job.key, source, request.offset, request.size)
        packed = packed or self._packer.pack(source, request.offset, request.size)
        if packed is None:
            return Result(job, unread="the bytes are gone")
        append = request.append.of_body(Encoding.ZSTD, packed.digest)

        def meanwhile() -> None:
            following = self._packer.pack_next(packed) if packed.size == request.size else None
            if following is not None:
                self._shelf.put(job.key, following)

        target, fields = _stream(append.path), append.headers()
        reply = self._sink.exchange("POST", target, fields, packed.body, job.seconds, meanwhile=meanwhile)
        seconds = time.monotonic() - begun
        return Result(job, _answer(reply), size=packed.size, wire_bytes=len(packed.body), seconds=seconds)

    def _files(self, job: Job, request: ListFiles) -> Result:
        target = f"/v1/streams?source.host={request.host}&source.program={PROGRAM}"
        reply = self._sink.exchange("GET", target, (), None, job.seconds, LIST_BYTES_MAX)
        files = parse_files(reply.body, request.service) if reply.status == 200 else None
        if isinstance(files, Invalid):
            raise Unanswered(f"what GET /v1/streams answers {files.reason}")
        return Result(job, _answer(reply), files=files)

    def _bare(self, request: Look | Create | Append | Record, seconds: float) -> Reply:
        """A request without bytes of a source."""
        if isinstance(request, Look):
            return self._sink.exchange("HEAD", _stream(request.path), request.headers(), None, seconds)
        if isinstance(request, Create):
            return self._sink.exchange("PUT", _stream(request.path), request.headers(), b"", seconds)
        if isinstance(request, Append):
            return self._sink.exchange("POST", _stream(request.path), request.headers(), b"", seconds)
        fields = {name: value for name, value in request.loss.fields().items() if value is not None}
        body = json.dumps(fields).encode() + b"\n"
        return self._sink.exchange("POST", "/v1/losses", [("Content-Type", "application/x-ndjson")], body, seconds)


def _stream(path: str) -> str:
    """The target of a stream; its path needs no escapes."""
    return f"/v1/stream/{path}"


def _answer(reply: Reply) -> Answer:
    return parse_answer(reply.status, reply.headers)
