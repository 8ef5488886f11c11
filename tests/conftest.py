"""Settings of the tests as a whole."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine and its other work, nothing about the code.
settings.register_profile("tree", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tree")
