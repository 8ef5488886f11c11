"""What the collector holds, asked of itself over the wire: streams, their chains, their bytes, the ledger."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

from tests.e2e.stack import Stack, address

PORT = 4437
TIMEOUT_SECONDS = 30


class Collected:
    """The collector of a stack. Its address is looked up each time: a container that starts again may have another."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def answers(self) -> bool:
        """Whether it takes appends."""
        try:
            self._get("/v1/health")
        except (OSError, http.client.HTTPException, AssertionError):
            return False
        return True

    def losses(self) -> list[dict[str, Any]]:
        """The ledger."""
        return [json.loads(line) for line in self._get("/v1/losses").splitlines()]

    def chain(self, program: str, incarnation: str) -> list[dict[str, Any]]:
        """The streams of a program of one life of a container, in order; empty while there is none."""
        found = [json.loads(line) for line in self._get(f"/v1/streams?source.incarnation={incarnation}").splitlines()]
        own = {item["stream"]: item for item in found if item["source"]["program"] == program}
        follower = {item["source"].get("continues"): item for item in own.values()}
        assert len(follower) == len(own), "two streams go on where one ended"
        chain = []
        item = follower.get(None)
        while item is not None:
            chain.append(item)
            item = follower.get(item["stream"])
        assert len(chain) == len(own), "a stream continues one that is not there"
        return chain

    def length(self, program: str, incarnation: str) -> int:
        """Bytes of a chain."""
        return sum(item["next_offset"] for item in self.chain(program, incarnation))

    def content(self, program: str, incarnation: str) -> Iterator[bytes]:
        """All bytes of a chain in pieces."""
        for item in self.chain(program, incarnation):
            yield from self._read(item["stream"])

    def files(self) -> list[dict[str, Any]]:
        """The streams of followed files, by the birth of the file."""
        found = [json.loads(line) for line in self._get("/v1/streams?source.program=file").splitlines()]
        return sorted(found, key=lambda item: str(item["source"]["birth"]))

    def digest_of_files(self) -> str:
        """SHA-256 of all their bytes, one file after the other."""
        found = hashlib.sha256()
        for item in self.files():
            for piece in self._read(item["stream"]):
                found.update(piece)
        return found.hexdigest()

    def _read(self, stream: str) -> Iterator[bytes]:
        host = address(self._stack.ids("collector")[0])
        connection = http.client.HTTPConnection(host, PORT, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            offset, more = 0, True
            while more:
                connection.request("GET", f"/v1/stream/{stream}?offset={offset:020}")
                answer = connection.getresponse()
                body = answer.read()
                assert answer.status == 200, (stream, offset, answer.status, body)
                yield body
                offset, more = int(answer.headers["Stream-Next-Offset"]), bool(body)

    def _get(self, target: str) -> bytes:
        host = address(self._stack.ids("collector")[0])
        connection = http.client.HTTPConnection(host, PORT, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", target)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (target, answer.status, body)
            return body
