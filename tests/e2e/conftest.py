"""Stacks for the end-to-end tests: one that many tests share, and fresh ones for those that break things."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack, eventually, project


@pytest.fixture(scope="session")
def shared_stack() -> Iterator[Stack]:
    """A running stack that tests may scale but leave healthy."""
    with project() as stack:
        stack.up(3)
        eventually("three nodes serve", lambda: stack.serving(3), seconds=90, explain=stack.picture)
        eventually("every container is healthy", stack.healthy, seconds=60)
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """The shared stack, at three serving nodes again whatever the test before did."""
    shared_stack.up(3)
    eventually("three nodes serve", lambda: shared_stack.serving(3), seconds=90, explain=shared_stack.picture)
    return shared_stack


@pytest.fixture
def fresh_stack() -> Iterator[Stack]:
    """A project of its own, with nothing started."""
    with project() as stack:
        yield stack
