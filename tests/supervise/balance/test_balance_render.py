"""haproxy.cfg is a pure function of the servers, and the file in tests/golden was read by eye."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.balance.render import BadTemplate, render, skeleton
from supervise.balance.server import Server

TREE = Path(__file__).resolve().parents[3]
TEMPLATE = (TREE / "templates" / "haproxy.cfg.j2").read_text()
GOLDEN = TREE / "tests" / "golden"

SERVERS = (
    Server("webapp-1-172-18-0-3", "172.18.0.3", 3000, 100, "0123456789abcdef"),
    Server("webapp-2-172-18-0-4", "172.18.0.4", 3000, 0, "fedcba9876543210"),
    Server("webapp-3-fd00--5", "fd00::5", 3000, 256, "00112233445566aa"),
)


@pytest.mark.parametrize(("name", "servers"), [("haproxy.cfg", SERVERS), ("haproxy-empty.cfg", ())])
def test_the_configuration_is_the_golden_one(name: str, servers: tuple[Server, ...]) -> None:
    assert render(TEMPLATE, servers, 1, 8000).text == (GOLDEN / name).read_text()


SERVER = st.builds(
    Server,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    address=st.ip_addresses().map(str),
    port=st.integers(1, 65535),
    weight=st.integers(0, 256),
    cookie=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
)


@given(st.lists(SERVER, max_size=8, unique_by=lambda server: server.name).flatmap(
    lambda servers: st.tuples(st.just(servers), st.permutations(servers))
))  # fmt: skip
def test_order_and_duplicates_make_no_difference(lists: tuple[list[Server], list[Server]]) -> None:
    one, other = lists
    assert render(TEMPLATE, one, 1, 8000) == render(TEMPLATE, other + one, 1, 8000)


@given(st.lists(SERVER, max_size=5, unique_by=lambda server: server.name))
def test_only_server_lines_depend_on_the_servers(servers: list[Server]) -> None:
    rendered, empty = render(TEMPLATE, servers, 1, 8000), render(TEMPLATE, (), 1, 8000)
    assert skeleton(rendered.text) == empty.text
    assert rendered.fingerprint == empty.fingerprint
    assert rendered.text.count("\n    server ") == 2 * len(servers)


def test_anything_outside_the_server_lines_changes_the_fingerprint() -> None:
    usual = render(TEMPLATE, SERVERS, 1, 8000).fingerprint
    assert render(TEMPLATE, SERVERS, 2, 8000).fingerprint != usual
    assert render(TEMPLATE, SERVERS, 1, 8001).fingerprint != usual
    assert render(TEMPLATE.replace("retries 10", "retries 2"), SERVERS, 1, 8000).fingerprint != usual


def test_the_file_tells_its_own_fingerprint_and_ends_with_a_newline() -> None:
    rendered = render(TEMPLATE.rstrip("\n"), SERVERS, 1, 8000)
    assert f"    description {rendered.fingerprint}\n" in rendered.text
    assert rendered.text.endswith("\n")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for %}", "haproxy.cfg.j2:1: "),
        ("global\n{{ nothing }}", "'nothing' is undefined"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ servers.x.y }}", "UndefinedError"),
    ],
)
def test_a_template_that_gives_no_text_says_why(template: str, message: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        render(template, SERVERS, 1, 8000)
    assert message in str(caught.value)


def test_a_log_line_stays_far_below_the_limit_of_one_write_to_the_pipe() -> None:
    """4096 bytes; HAProxy cuts the request at 1024, the other fields are at most some hundred."""
    text = render(TEMPLATE, (), 1, 8000).text
    assert "log stdout len 4096 format raw local0 info" in text
    assert "capture" not in text
    assert "tune.http.logurilen" not in text
