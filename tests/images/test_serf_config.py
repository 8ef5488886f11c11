"""templates/serf.json.j2: the configuration that Serf gets, for any environment."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import Fault
from supervise import config, render

TEMPLATE = Path(__file__).resolve().parents[2] / "templates" / "serf.json.j2"
WEBAPP = {"SERF_ROLE": "webapp", "SERF_PORT": "3000", "SERF_JOIN": "ha"}


def serf(environment: dict[str, str], hostname: str = "0a1b2c", address: str = "172.18.0.4") -> dict[str, object]:
    """What Serf reads."""
    context = render.context_of(environment, hostname, [address], config.Settings())
    document: dict[str, object] = json.loads(render.rendered(TEMPLATE, context))
    return document


def test_a_web_node_leaves_in_order_joins_until_it_succeeds_and_tells_role_and_port() -> None:
    assert serf(WEBAPP) == {
        "node_name": "0a1b2c-172-18-0-4",
        "advertise": "172.18.0.4",
        "rpc_addr": "127.0.0.1:7373",
        "tags": {"role": "webapp", "port": "3000"},
        "retry_join": ["ha"],
        "retry_interval": "1s",
        "leave_on_terminate": True,
        "log_level": "info",
    }


def test_an_ipv6_address_is_bound_and_written_as_serf_wants_it() -> None:
    document = serf(WEBAPP, address="fd00:77::2")
    assert document["node_name"] == "0a1b2c-fd00-77--2"
    assert (document["bind"], document["advertise"]) == ("[::]", "[fd00:77::2]")


@pytest.mark.parametrize(("join", "wanted"), [("a,b", ["a", "b"]), (" a  b ", ["a", "b"]), ("", []), (",", [])])
def test_the_nodes_to_join_are_a_list(join: str, wanted: list[str]) -> None:
    assert serf(WEBAPP | {"SERF_JOIN": join})["retry_join"] == wanted


def test_weight_and_key_are_there_only_when_given(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("c2VjcmV0c2VjcmV0c2VjcmV0\n")
    document = serf(WEBAPP | {"WEIGHT": "256", "SERF_KEY_FILE": str(key)})
    assert document["tags"] == {"role": "webapp", "port": "3000", "weight": "256"}
    assert document["encrypt_key"] == "c2VjcmV0c2VjcmV0c2VjcmV0"
    empty = serf(WEBAPP | {"WEIGHT": "", "SERF_KEY": "", "SERF_KEY_FILE": ""})
    assert empty == serf(WEBAPP)


@pytest.mark.parametrize("weight", ["0", "257", "-1", "1.5", "x", "²", "1 2"])
def test_a_weight_that_is_none_is_told_before_serf_starts(weight: str) -> None:
    with pytest.raises(Fault, match="not a whole number from 1 to 256"):
        serf(WEBAPP | {"WEIGHT": weight})


@pytest.mark.parametrize("absent", ["SERF_ROLE", "SERF_PORT"])
def test_an_absent_variable_is_told_by_name(absent: str) -> None:
    with pytest.raises(Fault, match=f"the environment has no {absent}"):
        serf({name: value for name, value in WEBAPP.items() if name != absent})


@given(st.text(min_size=1), st.text(), st.text())
def test_no_value_breaks_out_of_the_json(role: str, join: str, key: str) -> None:
    """Quotes, newlines, braces, anything: the document stays the document."""
    document = serf({"SERF_ROLE": role, "SERF_PORT": "3000", "SERF_JOIN": join, "SERF_KEY": key})
    assert document["tags"] == {"role": role, "port": "3000"}
    assert document["retry_join"] == re.sub(",", " ", join).split()
    assert document.get("encrypt_key", "") == key
