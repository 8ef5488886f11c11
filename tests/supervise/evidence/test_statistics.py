"""The watch on HAProxy's statistics notes when servers come and go, and outlives a page that does not answer."""

from __future__ import annotations

import socket
import time

import pytest

from logship.errors import Fault
from supervise.evidence.statistics import Watch, csv
from supervise.evidence.values import is_out
from tests.supervise.evidence.fake_stack import FakeStack, running


def eventually(watch: Watch, host: str, after: float, *, out: bool) -> float:
    """The moment, once it was seen."""
    deadline = time.monotonic() + 60
    while True:
        at = watch.first(host, after, is_out if out else lambda status: status is not None)
        if at is not None:
            return at
        assert time.monotonic() < deadline, watch.changes
        time.sleep(0.01)


def test_a_server_that_was_there_from_the_beginning_is_seen_to_go() -> None:
    with running(FakeStack(2)) as stack:
        node = stack.nodes()[-1]
        with Watch(stack.statistics_url()) as watch:
            began = time.monotonic()
            stack.docker("kill", node.id)
            assert eventually(watch, node.id[:12], began, out=True) >= began
        assert watch.first(stack.nodes()[0].id[:12], began, is_out) is None


def test_a_server_that_comes_is_seen_to_come() -> None:
    with running(FakeStack(1)) as stack, Watch(stack.statistics_url()) as watch:
        began = time.monotonic()
        stack.scale(2)
        assert eventually(watch, stack.nodes()[-1].id[:12], began, out=False) >= began


def test_a_page_that_does_not_answer_is_no_change_and_a_fault_of_one_question() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        page = f"http://127.0.0.1:{held.getsockname()[1]}/"
        with Watch(page) as watch:
            assert watch.changes == []
        with pytest.raises(Fault, match="read the statistics"):
            csv(page)
