"""What a person may ask for, and how a slip is answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import Fault
from supervise.up.request import NEEDS, NODES_MAX, PORTS, request_of


def test_without_variables_there_are_two_nodes_at_the_usual_ports() -> None:
    request = request_of("up", {})
    assert (request.nodes, request.project, dict(request.ports)) == (2, "logship", dict(PORTS))
    assert not request.volumes
    assert not request.plan


def test_every_variable_arrives() -> None:
    request = request_of(
        "up",
        {
            "NODES": "7",
            "HTTP_PORT": "8088",
            "PROJECT": "mine",
            "BASE_IMAGE": "debian:trixie",
            "MIRROR": "http://mirror.example/debian",
            "VOLUMES": "1",
            "PLAN": "1",
            "ARGS": "-k 'two words'",
        },
    )
    assert (request.nodes, request.ports["HTTP_PORT"], request.project) == (7, 8088, "mine")
    assert (request.base_image, request.mirror) == ("debian:trixie", "http://mirror.example/debian")
    assert request.volumes
    assert request.plan
    assert request.arguments == ("-k", "two words")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODES", "0"),
        ("NODES", "-1"),
        ("NODES", "abc"),
        ("NODES", "2.5"),
        ("NODES", str(NODES_MAX + 1)),
        ("NODES", "٣"),
        ("HTTP_PORT", "0"),
        ("HTTP_PORT", "65536"),
        ("STATS_PORT", "http"),
        ("VIEWER_PORT", "80"),  # where HTTP_PORT is
        ("PROJECT", "Upper"),
        ("PROJECT", "-x"),
        ("PROJECT", "a b"),
        ("BASE_IMAGE", "--rm"),
        ("MIRROR", "mirror.example"),
        ("MIRROR", "http://x/'; rm"),
        ("VOLUMES", "yes"),
        ("PLAN", "true"),
        ("ARGS", "'open"),
    ],
)
def test_a_value_out_of_its_bounds_is_one_usage_error_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(Fault) as caught:
        request_of("up", {name: value})
    assert caught.value.status == 2
    assert name in caught.value.subject or name in caught.value.cause
    assert caught.value.hint


@given(st.integers(min_value=1, max_value=NODES_MAX))
def test_every_number_of_nodes_within_the_bounds_is_taken(nodes: int) -> None:
    assert request_of("scale", {"NODES": str(nodes)}).nodes == nodes


@given(st.text(max_size=20).filter(lambda text: bool(text) and not (text.isascii() and text.isdigit())))
def test_any_text_that_is_no_number_is_a_usage_error(text: str) -> None:
    with pytest.raises(Fault) as caught:
        request_of("up", {"NODES": text})
    assert caught.value.status == 2


def test_scale_needs_a_number() -> None:
    with pytest.raises(Fault, match="needs a number"):
        request_of("scale", {})


def test_a_slip_in_a_variables_name_is_told_with_the_name_that_was_meant() -> None:
    """make takes `NODE=3` without a word; MAKEFLAGS is how it passes on what its command line set."""
    with pytest.raises(Fault, match="did you mean NODES=") as caught:
        request_of("up", {"MAKEFLAGS": " -- NODE=3"})
    assert caught.value.status == 2
    with pytest.raises(Fault, match="did you mean VOLUMES="):
        request_of("down", {"MAKEFLAGS": "s -j2 -- PLAN=1 volume=1"})


def test_what_stands_within_a_value_is_no_variable() -> None:
    request_of("unit", {"MAKEFLAGS": r" -- ARGS=-k\ X=1\ --color=no NODES=3", "ARGS": "-k X=1 --color=no"})
    request_of("up", {"MAKEFLAGS": "w"})


def test_every_command_has_its_needs() -> None:
    assert {request_of(command, {"NODES": "2"}).needs for command in NEEDS} == set(NEEDS.values())
