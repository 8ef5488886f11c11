"""Settings of the tests as a whole."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.catalogue.recording"]

# How long an example takes says something about the machine and its other work, nothing about the code.
settings.register_profile("tree", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tree")

# Run in the background of a shell without job control, this process ignores SIGINT, and so would every process that a
# test starts and interrupts. With a handler here they begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)
