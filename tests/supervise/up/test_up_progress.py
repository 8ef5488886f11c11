"""What a person sees while waiting and at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from supervise.up.progress import (
    RESTARTS_MAX,
    Container,
    Disk,
    addresses,
    bytes_of,
    changes,
    counted,
    hopeless,
    is_complete,
    not_good,
    size,
    together,
)

HA = Container("a" * 64, "ha", 1, "running", "healthy", ports={80: "0.0.0.0:80", 1936: "127.0.0.1:1936"})
WEB = Container("b" * 64, "webapp", 1, "running", "starting")


def test_only_changes_are_told_and_each_once() -> None:
    assert changes([], [WEB, HA], 1.0) == ["stack: ha/1 healthy (1.0 s)", "stack: webapp/1 starting (1.0 s)"]
    assert changes([HA, WEB], [HA, WEB], 2.0) == []
    well = replace(WEB, health="healthy")
    assert changes([HA, WEB], [HA, well], 3.25) == ["stack: webapp/1 healthy (3.2 s)"]
    assert changes([HA, well], [HA], 4.0) == ["stack: webapp/1 is gone"]


@pytest.mark.parametrize(
    ("status", "health", "state", "good"),
    [
        ("running", "healthy", "healthy", True),
        ("running", "none", "running", True),
        ("running", "starting", "starting", False),
        ("running", "unhealthy", "unhealthy", False),
        ("restarting", "unhealthy", "restarting", False),
        ("exited", "healthy", "exited with status 7", False),
        ("created", "none", "created", False),
    ],
)
def test_a_container_is_good_while_it_runs_and_its_check_says_so(
    status: str, health: str, state: str, good: bool
) -> None:
    item = replace(WEB, status=status, health=health, exit_status=7)
    assert (item.state, item.good) == (state, good)


def test_complete_means_all_healthy_and_as_many_nodes_as_asked_for() -> None:
    well = replace(WEB, health="healthy")
    assert is_complete([HA, well], 1)
    assert not is_complete([HA, WEB], 1)
    assert not is_complete([HA, well], 2)
    assert not_good([HA, WEB], 1) == "webapp/1 is starting"
    assert not_good([HA, well], 2) == "there are 1 webapps, not 2"


def test_waiting_ends_for_a_container_that_keeps_ending() -> None:
    looping = replace(WEB, status="restarting", restarts=RESTARTS_MAX)
    assert hopeless([HA, looping]) is looping
    assert hopeless([HA, replace(WEB, restarts=RESTARTS_MAX - 1)]) is None
    assert hopeless([replace(HA, restarts=RESTARTS_MAX + 1)]) is None  # it is well by now


def test_the_addresses_are_those_that_are_published() -> None:
    expected = {"web application": "http://127.0.0.1", "statistics": "http://127.0.0.1:1936"}
    assert addresses([WEB, HA]) == expected


def test_what_images_share_counts_once() -> None:
    base = [("os", 78), ("packages", 45)]
    assert together([[*base, ("code", 1)], [*base, ("haproxy", 17), ("code", 1)], base]) == 78 + 45 + 1 + 17 + 1
    assert together([]) == 0


@pytest.mark.parametrize(
    ("text", "count"), [("0B", 0), ("532.6kB", 532_600), ("54.96MB", 54_960_000), ("1.2GB", 1.2e9), ("N/A", 0), ("", 0)]
)
def test_sizes_are_read_as_docker_prints_them(text: str, count: float) -> None:
    assert bytes_of(text) == pytest.approx(count)


def test_sizes_are_printed_for_people() -> None:
    assert [size(count) for count in (0, 999, 1000, 140_300_000, 2.5e9)] == ["0 B", "999 B", "1 kB", "140 MB", "2.5 GB"]
    assert [counted(count, "network") for count in (0, 1, 2)] == ["0 networks", "1 network", "2 networks"]
    lines = Disk({"logship/ha:local": 140_000_000}, 160_000_000, 5_000).lines()
    assert lines == [
        "images: logship/ha:local 140 MB",
        "disk: images 160 MB (what they share counted once), volumes 5 kB",
    ]
