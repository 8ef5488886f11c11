"""Settings of the tests as a whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.catalogue.recording"]

# How long an example takes says something about the machine and its other work, nothing about the code.
settings.register_profile("tree", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tree")

# Run in the background of a shell without job control, this process ignores SIGINT, and so would every process that a
# test starts and interrupts. With a handler here they begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A program that a test runs in this process takes its signals; the next test gets them back."""
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)
