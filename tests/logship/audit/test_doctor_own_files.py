"""What this project itself renders and ships passes doctor; where it is meant otherwise, the file says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from logship.audit.doctor import Document, examine
from logship.audit.lints.kinds import Kind, kind_of
from logship.audit.lints.lint import Conditions, Finding
from logship.audit.lints.source import Source
from supervise.balance.render import render
from supervise.balance.server import Server
from supervise.config import Settings
from supervise.init.declaration import parse
from supervise.init.render import Surroundings, configuration

TREE = Path(__file__).resolve().parents[3]
IMAGES = sorted(path.parent.name for path in (TREE / "images").glob("*/supervise.toml"))
GRACE = Conditions(grace_seconds=25, environment={}, cpus=4, nofile=16384)
SERVER = Server("webapp-1-172-18-0-3", "172.18.0.3", 3000, 100, "0123456789abcdef")


def findings(text: str, conditions: Conditions = GRACE) -> list[Finding]:
    """What doctor says of a text whose kind it sees by itself."""
    kind = kind_of(text)
    assert kind is not None
    return examine([Document(kind, (Source("file", text),))], conditions)


@pytest.mark.parametrize("image", IMAGES)
def test_the_declaration_of_an_image_passes(image: str) -> None:
    assert findings((TREE / "images" / image / "supervise.toml").read_text()) == []


def rendered(image: str) -> str:
    """supervisord.conf as PID 1 of the image writes it."""
    declaration, flaws = parse((TREE / "images" / image / "supervise.toml").read_text())
    assert declaration is not None, flaws
    around = Surroundings("/run/supervise", "/var/spool/logship", "/usr/bin/python3", 256)
    return configuration(declaration, around, (TREE / "templates/supervisord.conf.j2").read_text())


@pytest.mark.parametrize("image", IMAGES)
def test_supervisord_conf_as_an_image_renders_it_passes(image: str) -> None:
    assert findings(rendered(image)) == []
    assert findings(rendered(image), Conditions()) == []


@pytest.mark.parametrize("servers", [(), (SERVER,)], ids=["empty", "one server"])
def test_haproxy_cfg_as_the_image_renders_it_passes(servers: tuple[Server, ...]) -> None:
    template, usual = (TREE / "templates/haproxy.cfg.j2").read_text(), Settings()
    text = render(template, servers, usual.haproxy_threads, usual.haproxy_maxconn).text
    assert kind_of(text) is Kind.HAPROXY
    assert findings(text) == []


def test_two_threads_on_the_one_pipe_are_told() -> None:
    text = render((TREE / "templates/haproxy.cfg.j2").read_text(), (), 2, 8000).text
    assert [item.lint for item in findings(text)] == ["haproxy-contention"]


def test_without_their_reasons_the_same_files_would_not_pass() -> None:
    """So the allowances are there for something, and no lint has gone blind."""
    text = rendered("webapp").replace("doctor: allow", "doctor allowed")
    assert {item.lint for item in findings(text, Conditions())} == {
        "supervisord-cut-in-place",
        "supervisord-false-running",
        "supervisord-fatal-unseen",
        "supervisord-stop-budget",
    }
    haproxy = (TREE / "tests/golden/haproxy.cfg").read_text().replace("doctor: allow", "doctor allowed")
    assert [item.lint for item in findings(haproxy)] == ["haproxy-no-log"]
