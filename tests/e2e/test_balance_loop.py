"""The balancer between the real Serf and the real HAProxy: nothing that happens to nodes or to it fails a request."""

from __future__ import annotations

import concurrent.futures
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from supervise.balance.membership import read_listing
from supervise.balance.render import TEMPLATE_NAME
from supervise.balance.runtime import Actual
from supervise.balance.serf import Serf
from tests.e2e.edge import Edge, opened
from tests.e2e.stack import TREE, docker

pytestmark = pytest.mark.engine

HTTPLOG = re.compile(
    r"(?P<client_ip>\S+):(?P<client_port>\d+) \[(?P<time>[^]]+)\] (?P<frontend>\S+) "
    r"(?P<backend>[^/ ]+)/(?P<server>\S+) "
    r"-?\d+/-?\d+/-?\d+/-?\d+/\+?\d+ (?P<status>\d+) \+?\d+ \S+ \S+ \S{4} \d+/\d+/\d+/\d+/\+?\d+ \d+/\d+ "
    r'"(?P<request>.*)" id=(?P<id>\S+) pid=(?P<pid>\d+) lc=(?P<lc>\d+) tt=(?P<tt>\+?\d+) n=(?P<n>\d+)$'
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """HAProxy, Serf and the balancer in ``ha``, and three web nodes that take traffic."""
    with opened(tmp_path_factory.mktemp("loop")) as edge:
        edge.begin_serf(edge.ha, "ha", "role=ha", join="")
        edge.begin_balance()
        for name in ("n1", "n2", "n3"):
            edge.node(name)
        edge.until("three nodes take traffic", lambda: edge.admitted() == {"n1", "n2", "n3"})
        yield edge


@pytest.fixture(autouse=True)
def alone(running: Edge) -> Iterator[None]:
    """A test that fails leaves its nodes to none of those after it."""
    yield
    usual = {running.ha, *(f"{running.prefix}-{name}" for name in ("n1", "n2", "n3"))}
    found = docker("ps", "-a", "--filter", f"name={running.prefix}", "--format", "{{.Names}}").split()
    if others := set(found) - usual:
        docker("rm", "-f", *others)
        running.until("theirs are out", lambda: running.admitted() <= {"n1", "n2", "n3"}, seconds=60)


def test_serf_lists_its_members_on_one_open_connection(running: Edge) -> None:
    serf = Serf(f"{running.address}:7373")
    found = read_listing(serf.members())
    assert [member.name for member in found.members] == ["ha", "n1", "n2", "n3"]
    assert found.refusals == ()
    assert {member.endpoint for member in found.members if member.port} == {
        f"{running.address_of(f'{running.prefix}-{name}')}:3000" for name in ("n1", "n2", "n3")
    }
    started = time.monotonic()
    for _ in range(20):
        serf.members()
    assert time.monotonic() - started < 5
    serf.close()


def test_traffic_is_balanced_and_a_session_stays_on_its_server(running: Edge) -> None:
    answers = [running.get() for _ in range(9)]
    assert Counter(body for _, body, _ in answers) == {"n1": 3, "n2": 3, "n3": 3}
    cookie = answers[0][2]["set-cookie"]
    value = re.fullmatch(r"SERVERID=([0-9a-f]{16}); path=/; HttpOnly; SameSite=Lax", cookie)
    assert value, cookie
    mine = [running.get(cookie=f"SERVERID={value[1]}") for _ in range(6)]
    assert {body for _, body, _ in mine} == {answers[0][1]}
    assert not [headers for _, _, headers in mine if "set-cookie" in headers]


@pytest.mark.case(116)
def test_log_lines_are_httplogs_with_ours_behind_and_whole_however_long_the_request(running: Edge) -> None:
    running.get("/" + "x" * 9000)
    running.get('/%22%0a"'.replace('"', "%22"))
    running.until("the long one is logged", lambda: "/xxxx" in running.log("haproxy"))
    lines = [line for line in running.log("haproxy").splitlines() if " http " in line]
    assert lines
    for line in lines:
        assert HTTPLOG.match(line), line
        assert len(line) < 2048
    counts = [int(found["lc"]) for line in lines if (found := HTTPLOG.match(line))]
    assert counts == list(range(len(counts)))


def test_a_drained_server_keeps_its_own_clients_and_gets_no_others(running: Edge) -> None:
    cookie = running.get()
    value, mine = cookie[2]["set-cookie"].partition(";")[0], cookie[1]
    done = running.lb("drain", mine)
    assert done.returncode == 0, done.stderr
    assert mine not in {running.get()[1] for _ in range(8)}
    assert {running.get(cookie=value)[1] for _ in range(4)} == {mine}
    assert "operator drain" in running.lb("history").stdout
    assert running.lb("ready", mine).returncode == 0
    assert mine in {running.get()[1] for _ in range(8)}


def test_lb_says_what_there_is_and_what_it_does_not_know(running: Edge) -> None:
    status = running.lb("status")
    assert status.returncode == 0, status.stderr
    assert [line.split()[0] for line in status.stdout.splitlines()[-3:]] == ["n1", "n2", "n3"]
    diff = running.lb("diff", "1")
    assert "+    server n" in diff.stdout
    unknown = running.lb("drain", "n11")
    assert unknown.returncode == 2
    assert "near: n1" in unknown.stderr
    assert running.lb("diff", "9999").returncode == 2


@contextmanager
def load(edge: Edge, clients: int = 4) -> Iterator[Counter[str]]:
    """GETs on connections of their own from several clients at once; what they met, "200" for all that is well."""
    met: Counter[str] = Counter()
    stop = threading.Event()
    address = edge.address

    def client() -> None:
        import http.client

        while not stop.is_set():
            connection = http.client.HTTPConnection(address, 80, timeout=5)
            try:
                for _ in range(20):
                    connection.request("GET", "/")
                    response = connection.getresponse()
                    body = response.read()
                    met[str(response.status) if body.startswith(b"n") or response.status != 200 else "bad body"] += 1
            except (OSError, http.client.HTTPException) as error:
                met[type(error).__name__] += 1
            finally:
                connection.close()

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(client) for _ in range(clients)]
        try:
            yield met
        finally:
            stop.set()
            concurrent.futures.wait(running, timeout=20)
    for one in running:
        one.result()


def under_load(edge: Edge, change: Callable[[], None]) -> int:
    """Make a change while requests run; how many there were. None of them may fail."""
    with load(edge) as met:
        edge.until("requests run", lambda: met["200"] > 100)
        change()
        before = met["200"]
        edge.until("requests run on", lambda: met["200"] > before + 100)
    assert set(met) == {"200"}, met
    return met["200"]


def test_joining_and_leaving_fails_no_request_and_those_under_way_are_finished(running: Edge) -> None:
    def change() -> None:
        container = running.node("n4")
        running.until("n4 takes traffic", lambda: "n4" in running.admitted())
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            value = next(
                found[2]["set-cookie"].partition(";")[0] for _ in range(40) if (found := running.get())[1] == "n4"
            )
            slow = pool.submit(running.get, "/slow/8", value, 30)  # longer than it may take until it is out
            time.sleep(0.3)
            running.kill(container, "serf agent", "TERM")
            running.until("n4 takes no more", lambda: "n4" not in running.admitted(), seconds=5)
            assert not slow.done()
            assert slow.result()[:2] == (200, "n4")
        running.until("n4 is deleted", lambda: "n4" not in {name for _, name in actual(running).entries})
        docker("rm", "-f", container)

    assert under_load(running, change) > 200


def actual(edge: Edge) -> Actual:
    """What HAProxy has; it has to answer."""
    found = edge.look()
    assert found is not None, "HAProxy does not answer"
    return found


def test_a_killed_node_fails_no_request_and_goes_once_serf_and_the_check_agree(running: Edge) -> None:
    running.node("n5")
    running.until("n5 takes traffic", lambda: "n5" in running.admitted())
    under_load(running, partial(kill, f"{running.prefix}-n5"))
    running.until("n5 is out", lambda: "n5" not in running.admitted(), seconds=60)
    assert "leave n5 (Serf says failed, and so does HAProxy's check)" in str(running.events("generation")[-1]["cause"])


def test_nodes_killed_one_after_another_whose_address_the_next_one_gets_fail_no_request(running: Edge) -> None:
    """Serf calls the dead ones alive for seconds; were they kept, one death would use up all retries of a request."""
    for name in ("n6", "n7", "n8"):
        running.node(name)
        running.until(f"{name} takes traffic", partial(takes_traffic, running, name))
        under_load(running, partial(kill, f"{running.prefix}-{name}"))
    running.until("all are out", lambda: running.admitted() == {"n1", "n2", "n3"}, seconds=60)
    running.until("the file follows", lambda: running.cfg.read_text().count("\n    server ") == 6)


def takes_traffic(edge: Edge, name: str) -> bool:
    return name in edge.admitted()


def kill(container: str) -> None:
    docker("rm", "-f", container)


def test_a_poisoned_member_is_refused_and_changes_nothing(running: Edge) -> None:
    before = running.cfg.read_text()
    container = running.node("evil", "role=webapp", 'port=3000"\n    server x 10.9.9.9:80')
    running.until("it is refused", lambda: [one["member"] for one in running.events("refused")] == ["evil"])
    running.until("it is shown", lambda: "! refused evil: its tag port" in running.lb("status").stdout)
    assert running.cfg.read_text() == before
    running.kill(container, "serf agent", "TERM")
    running.until("it left", lambda: "evil" not in running.lb("status").stdout)
    docker("rm", "-f", container)


def test_all_checks_failing_at_once_does_not_stop_the_traffic(running: Edge) -> None:
    nodes = [f"{running.prefix}-{name}" for name in ("n1", "n2", "n3")]

    def panic() -> None:
        for node in nodes:
            docker("exec", node, "touch", "/tmp/sick")
        running.until(
            "every check fails",
            lambda: all(e.has_failed for e in actual(running).entries.values() if e.backend == "app"),
        )
        running.until("app_panic takes over", lambda: " app_panic/" in running.log("haproxy"))

    under_load(running, panic)
    for node in nodes:
        docker("exec", node, "rm", "/tmp/sick")
    running.until(
        "all are well",
        lambda: all(e.has_passed for e in actual(running).entries.values() if e.backend == "app"),
    )


def test_the_balancer_killed_and_restarted_under_load_changes_nothing(running: Edge) -> None:
    number = running.events("generation")[-1]["n"]

    def change() -> None:
        running.kill(running.ha, "supervise balance")
        running.begin_balance()
        running.until("it is back", lambda: len(running.events("started")) == 2)
        time.sleep(1)

    under_load(running, change)
    assert running.events("generation")[-1]["n"] == number


def test_a_dead_agent_empties_nothing_and_a_new_one_is_taken_up(running: Edge) -> None:
    def change() -> None:
        running.kill(running.ha, "serf agent")
        running.until("it is noticed", lambda: running.events("serf-failing"))

    under_load(running, change)
    assert running.admitted() == {"n1", "n2", "n3"}
    running.begin_serf(running.ha, "ha", "role=ha", join="n1")
    running.until("it is back", lambda: running.events("serf-back"))
    assert running.admitted() == {"n1", "n2", "n3"}


def test_a_bad_template_changes_nothing_and_a_good_one_is_reloaded_without_a_failed_request(running: Edge) -> None:
    good = (TREE / "templates" / TEMPLATE_NAME).read_text()

    def change() -> None:
        pid = actual(running).pid
        running.template(good.replace("retries 10", "retires 3"))
        running.until("it is rejected", lambda: running.events("generation")[-1]["result"] == "rejected")
        assert "unknown keyword 'retires'" in running.events("generation")[-1]["error"]
        assert actual(running).pid == pid
        running.template(good.replace("retries 10", "retries 2"))
        running.until("the other is reloaded", lambda: running.events("generation")[-1]["method"] == "reload")

    under_load(running, change)
    assert running.admitted() == {"n1", "n2", "n3"}


def test_a_killed_haproxy_is_right_again_once_it_is_started(running: Edge) -> None:
    running.kill(running.ha, "haproxy -W")
    running.until("it is gone", lambda: running.look() is None)
    running.begin_haproxy()
    running.until("it serves", lambda: running.admitted() == {"n1", "n2", "n3"} and running.get()[0] == 200)
    assert Path(running.share / "nodes" / "n1").read_text().startswith("name     n1\naddress  ")
