"""The balancer's edge to HAProxy, and the configuration, against the real HAProxy."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator

import pytest

from supervise.balance.runtime import NEEDED, Entry
from supervise.balance.server import CHECKS
from tests.e2e.edge import WEB, Edge, opened
from tests.e2e.stack import TREE, docker
from tests.supervise.balance.haproxy_model import CONTRACT

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """HAProxy on the configuration without servers, and nothing else."""
    with opened(tmp_path_factory.mktemp("edge")) as edge:
        yield edge


def test_haproxy_answers_as_the_model_and_the_table_of_replies_say(edge: Edge) -> None:
    haproxy = edge.haproxy()
    assert [(command, haproxy.run([command])[0]) for command, _ in CONTRACT] == CONTRACT
    # On one line another address takes effect only after the line: asked twice, it changes twice.
    together = [(command, reply) for command, reply in CONTRACT if reply != "nothing changed"]
    assert haproxy.run([command for command, _ in together]) == [reply for _, reply in together]


def test_haproxy_offers_all_that_is_needed_and_a_lower_level_is_noticed(edge: Edge) -> None:
    assert edge.haproxy().missing() == []
    assert len(NEEDED) == 8


def test_a_look_agrees_with_what_was_set(edge: Edge) -> None:
    haproxy = edge.haproxy()
    name = "app/looked"
    haproxy.run([f"add server {name} 127.0.0.9:3000 weight 0 cookie abc check inter 500ms", f"enable health {name}"])
    haproxy.run([f"enable server {name}", f"set server {name} health down", f"set server {name} weight 9"])
    entry = haproxy.look().entries["app", "looked"]
    assert (entry.address, entry.port, entry.weight, entry.cookie) == ("127.0.0.9", 3000, 9, "abc")
    assert (entry.in_maintenance, entry.is_checked, entry.operating) == (False, True, 0)
    edge.until("its check has failed", lambda: haproxy.look().entries["app", "looked"].has_failed)
    haproxy.run([f"set server {name} state drain"])
    assert haproxy.look().entries["app", "looked"].in_drain
    haproxy.run([f"set server {name} state maint"])
    assert haproxy.look().entries["app", "looked"].in_maintenance
    assert haproxy.run([f"del server {name}"]) == ["Server deleted."]


@pytest.mark.parametrize("name", ["haproxy.cfg", "haproxy-empty.cfg"])
def test_haproxy_accepts_the_golden_files_without_a_warning(edge: Edge, name: str) -> None:
    place = edge.share / f"golden-{name}"
    place.write_text((TREE / "tests" / "golden" / name).read_text())
    assert edge.haproxy().check(place) == ""
    assert "WARNING" not in docker("exec", edge.ha, "haproxy", "-c", "-f", str(place))


def test_haproxy_says_what_is_wrong_with_a_file_and_where(edge: Edge) -> None:
    place = edge.share / "bad.cfg"
    place.write_text(edge.cfg.read_text().replace("retries 10", "retires 3"))
    assert "unknown keyword 'retires'" in edge.haproxy().check(place)


def test_a_request_gets_past_five_dead_servers_in_a_row(edge: Edge) -> None:
    """On a connection that was used before HAProxy closes without an answer when all tries are used up."""
    haproxy = edge.haproxy()
    node = edge.node("alive")
    names = ["alive", *(f"dead{number}" for number in range(5))]
    for name in names:
        words = f"add server app/{name} {edge.address_of(node)}:3000 {CHECKS} weight 100 cookie {name}"
        haproxy.run([words, f"enable health app/{name}", f"enable server app/{name}"])
    edge.until("all serve", lambda: all(entry.has_passed for entry in in_app(edge)))
    for name in names[1:]:
        haproxy.run([f"set server app/{name} addr {edge.address_of(node)} port 9", f"disable health app/{name}"])
    client = http.client.HTTPConnection(edge.address, 80, timeout=15)
    for _ in range(12):
        haproxy.run([f"set server app/{name} health up" for name in names[1:]])
        client.request("GET", "/")
        response = client.getresponse()
        assert (response.status, response.read()) == (200, b"alive\n")
    client.close()
    edge.until("it was logged", lambda: edge.log("haproxy").count(" app/alive ") >= 12)
    assert re.search(r" app/alive .*/\+5 \d+/\d+ ", edge.log("haproxy")), "no request met all five"
    haproxy.run([f"set server app/{name} state maint" for name in names])
    edge.until("they are gone", lambda: haproxy.run([f"del server app/{name}" for name in names]) and not in_app(edge))
    docker("rm", "-f", node)


def in_app(edge: Edge) -> list[Entry]:
    """The servers of ``app``."""
    return [entry for entry in edge.haproxy().look().entries.values() if entry.backend == "app"]


def test_without_servers_there_is_a_503_that_says_when_to_come_again_and_which_request_it_was(edge: Edge) -> None:
    status, body, headers = edge.get()
    assert (status, headers["retry-after"]) == (503, "1")
    assert f"Request {headers['x-request-id']}" in body


def test_the_statistics_are_read_only_and_their_requests_are_not_logged(edge: Edge) -> None:
    for path in ("/", "/haproxy?stats", "/haproxy?stats;csv", "/health", "/metrics"):
        out = docker("exec", edge.ha, "python3", "-c", _FETCH, f"http://127.0.0.1:1936{path}")
        assert out.startswith("200"), (path, out)
        assert "<option value=" not in out
    assert "1936" not in edge.log("haproxy")
    assert "/metrics" not in edge.log("haproxy")


_FETCH = "import sys, urllib.request as u; r = u.urlopen(sys.argv[1]); print(r.status, r.read().decode())"


def test_the_operators_port_cannot_change_anything(edge: Edge) -> None:
    script = "import socket,sys; s=socket.create_connection(('127.0.0.1',9999)); s.sendall(sys.argv[1].encode()+b'\\n')"
    script += "; s.shutdown(1); print(s.makefile().read())"
    said = docker("exec", edge.ha, "python3", "-c", script, "add server app/x 10.0.0.1:80")
    assert "Permission denied" in said
    assert "Pid: " in docker("exec", edge.ha, "python3", "-c", script, "show info")


_BREAKER = """
import socket
listener = socket.create_server(("127.0.0.1", 3901))
while True:
    connection, _ = listener.accept()
    request = connection.recv(65536)
    print(request.split(b" ")[0].decode(), flush=True)
    connection.close()
"""


def test_a_request_that_may_be_repeated_is_and_a_post_never_reaches_a_second_server(edge: Edge) -> None:
    """The first server takes each request and dies over it; the second one answers."""
    edge.begin(edge.ha, "breaker", "python3", "-c", _BREAKER)
    edge.begin(edge.ha, "web", "python3", "-c", WEB, "good")
    commands = []
    for name, port, weight in (("breaker", 3901, 256), ("good", 3000, 1)):
        server = f"app/{name}"
        commands += [f"add server {server} 127.0.0.1:{port} weight {weight} cookie {name}", f"enable server {server}"]
    assert edge.haproxy().run(commands) == ["New server registered.", ""] * 2
    edge.until("both listen", lambda: edge.get(cookie="SERVERID=good")[0] == 200 and edge.get()[0] == 200)
    before = edge.log("breaker").split()
    answers = [edge.get(cookie="SERVERID=breaker") for _ in range(5)]
    assert [(status, body) for status, body, _ in answers] == [(200, "good")] * 5
    assert {edge.get(method="POST", cookie="SERVERID=breaker")[0] for _ in range(5)} == {502}
    said = edge.log("breaker").split()[len(before) :]
    assert said.count("POST") == 5
    assert said.count("GET") >= 5
    names = ("app/breaker", "app/good")
    edge.haproxy().run([f"set server {name} state maint" for name in names])
    deletions = [f"del server {name}" for name in names]
    edge.until("both are gone", lambda: edge.haproxy().run(deletions) and not edge.haproxy().look().entries)
