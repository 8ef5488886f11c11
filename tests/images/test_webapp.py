"""The web application: what it answers, whom it remembers, how slow it can be made, what it says."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from images.webapp import webapp


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Bench:
    """The application with a client, its lines and its clock."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.clock = Clock()
        numbers = itertools.count(1)
        self.app = webapp.Webapp(self.lines.append, self.clock, lambda: f"{next(numbers):032x}", "node-1")
        self.client = self.visitor()

    def visitor(self) -> TestClient:
        """A client with cookies of its own."""
        return TestClient(self.app, base_url="http://10.0.0.7:3000")

    def said(self) -> list[dict[str, object]]:
        """The access lines, parsed."""
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_answer_tells_address_host_session_views_and_path(bench: Bench) -> None:
    document = bench.client.get("/a/b?c=d").json()
    assert document.pop("time").endswith("Z")
    assert document == {"address": "10.0.0.7", "host": "node-1", "session": f"{1:032x}", "counter": 1, "path": "/a/b"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/any/where", "/favicon.ico", "/%2e%2e/%00"])
def test_every_path_answers_every_method(bench: Bench, method: str, path: str) -> None:
    response = bench.client.request(method, path, content=b"" if method in ("GET", "HEAD") else b"body")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"


def test_no_answer_may_be_cached(bench: Bench) -> None:
    for path in ("/", "/health", "/delay"):
        headers = bench.client.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert "etag" not in headers


def test_the_session_counts_visits_and_the_cookie_is_given_once(bench: Bench) -> None:
    first = bench.client.get("/")
    assert first.headers["set-cookie"] == f"NODESESSID={1:032x}; Path=/; HttpOnly; SameSite=Lax"
    second = bench.client.get("/other")
    assert second.json()["counter"] == 2
    assert "set-cookie" not in second.headers


def test_visitors_do_not_share_a_session(bench: Bench) -> None:
    bench.client.get("/")
    assert bench.visitor().get("/").json()["counter"] == 1


@pytest.mark.parametrize("offered", ["f" * 32, "short", "F" * 32, '"quoted"', "../../etc", ""])
def test_an_id_that_this_node_did_not_give_is_never_taken_over(bench: Bench, offered: str) -> None:
    """A visitor must not be able to choose its session, and a session of another node is lost here, visibly."""
    response = bench.visitor().get("/", headers={"cookie": f"NODESESSID={offered}"})
    assert response.json()["session"] == f"{1:032x}"
    assert response.json()["counter"] == 1
    assert "set-cookie" in response.headers


def test_a_session_unseen_for_half_an_hour_is_forgotten(bench: Bench) -> None:
    bench.client.get("/")
    bench.clock.seconds = 1800.0
    assert bench.client.get("/").json()["counter"] == 2
    bench.clock.seconds = 3600.5
    assert bench.client.get("/").json()["counter"] == 1
    assert len(bench.app.sessions) == 1


def test_of_too_many_sessions_the_longest_unseen_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webapp, "SESSIONS_MAX", 2)
    names = iter("abc")
    sessions = webapp.Sessions(Clock(), lambda: next(names))
    sessions.visit("")
    sessions.visit("")
    assert sessions.visit("a") == ("a", 2)
    sessions.visit("")
    assert len(sessions) == 2
    assert sessions.visit("a") == ("a", 3)


@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0, 700)), max_size=60))
def test_sessions_agree_with_a_plain_model(visits: list[tuple[int, float]]) -> None:
    """Any order of visits and pauses: ids, counters and number of sessions are those of a slow, plain model."""
    clock, numbers = Clock(), itertools.count()
    sessions = webapp.Sessions(clock, lambda: str(next(numbers)))
    model: dict[str, tuple[int, float]] = {}
    for offered, pause in visits:
        clock.seconds += pause
        model = {key: value for key, value in model.items() if clock.seconds - value[1] <= 1800}
        session, counter = sessions.visit(str(offered))
        assert session == str(offered) if str(offered) in model else session not in model
        assert counter == model.get(session, (0, 0.0))[0] + 1
        model[session] = (counter, clock.seconds)
        assert len(sessions) == len(model)


def test_health_leaves_no_trace(bench: Bench) -> None:
    bench.client.post("/delay", json={"delay": 60_000})
    del bench.lines[:]
    response = bench.client.get("/health")
    assert (response.status_code, response.json()) == (200, {"healthy": True})
    assert "set-cookie" not in response.headers
    assert len(bench.app.sessions) == 0
    assert bench.lines == []


def test_an_app_that_stops_says_so_to_checks_and_connections(bench: Bench) -> None:
    assert "connection" not in bench.client.get("/").headers
    bench.app.stopping = True
    assert bench.client.get("/").headers["connection"] == "close"
    response = bench.client.get("/health")
    assert (response.status_code, response.json()) == (503, {"healthy": False})
    assert [line["status"] for line in bench.said()] == [200, 200, 503]


def test_the_delay_slows_every_page_and_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("images.webapp.webapp.asyncio.sleep", sleep)
    assert bench.client.get("/delay").json() == {"delay": 0, "host": "node-1"}
    assert bench.client.post("/delay", json={"delay": 2500}).json() == {"delay": 2500, "host": "node-1"}
    assert bench.client.get("/delay").json()["delay"] == 2500
    assert slept == []
    bench.client.get("/")
    bench.client.get("/x")
    assert slept == [2.5, 2.5]
    bench.client.post("/delay", data={"delay": "0"})
    bench.client.get("/")
    assert slept == [2.5, 2.5]


def test_a_form_without_its_content_type_is_json_or_nothing(bench: Bench) -> None:
    """``curl -d '{"delay": 5}'`` says it sends a form, and means JSON."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert bench.client.post("/delay", content=b'{"delay": 5}', headers=form).json()["delay"] == 5
    assert bench.client.post("/delay", content=b"delay=7", headers=form).json()["delay"] == 7
    assert bench.client.post("/delay", content=b"delay=9").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"[]", b"{}", b"null", b'{"delay": null}', b'{"delay": "5"}', b'{"delay": true}', b'{"delay": 1.5}',
        b'{"delay": -1}', b'{"delay": 60001}', b'{"delay": 1e9}', b'{"delay": NaN}', b'{"delay": [[1]]}', b"\xff",
        b"[" * 1000,
    ],
)  # fmt: skip
def test_a_bad_delay_is_refused_with_what_is_wanted_and_changes_nothing(bench: Bench, body: bytes) -> None:
    bench.client.post("/delay", json={"delay": 3})
    response = bench.client.post("/delay", content=body)
    assert response.status_code == 400
    assert 'send {"delay": milliseconds} with a whole number from 0 to 60000' in response.json()["error"]
    assert bench.client.get("/delay").json()["delay"] == 3


@pytest.mark.parametrize("text", ["", "x", "-1", "60001", "1.5", "9" * 30, "٣"])
def test_a_bad_delay_in_a_form_is_refused(bench: Bench, text: str) -> None:
    assert bench.client.post("/delay", data={"delay": text}).status_code == 400


def test_a_long_body_is_refused_unread(bench: Bench) -> None:
    response = bench.client.post("/delay", content=b" " * 1025)
    assert (response.status_code, response.json()["error"]) == (413, "the body is longer than 1024 bytes")


def test_another_method_on_delay_is_told_which_there_are(bench: Bench) -> None:
    response = bench.client.put("/delay", json={"delay": 1})
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")


@given(st.binary(max_size=200), st.sampled_from(["", "application/json", "application/x-www-form-urlencoded"]))
def test_any_bytes_are_a_delay_or_a_refusal(body: bytes, content_type: str) -> None:
    try:
        value = webapp.delay_from(content_type, body)
    except webapp.Refused as refusal:
        value = -refusal.status
    assert value == -400 or 0 <= value <= 60_000


def test_an_access_line_is_json_with_the_request_id_and_a_shortened_session(bench: Bench) -> None:
    bench.client.get("/a?secret=1", headers={"x-request-id": "0a-b.c:1"})
    (line,) = bench.said()
    assert str(line.pop("time")).endswith("Z")
    assert line == {
        "method": "GET", "path": "/a", "status": 200, "ms": 0.0, "session": "00000000", "request_id": "0a-b.c:1",
    }  # fmt: skip


def test_a_line_stays_one_bounded_line_whatever_was_asked(bench: Bench) -> None:
    bench.client.get("/" + "a%0a" * 3000, headers={"x-request-id": "two words" + "x" * 5000})
    (line,) = bench.lines
    assert "\n" not in line
    assert len(line) < 4096
    assert json.loads(line)["request_id"] is None


def test_refusals_are_lines_too(bench: Bench) -> None:
    bench.client.post("/delay", content=b"x")
    assert [(line["path"], line["status"], line["session"]) for line in bench.said()] == [("/delay", 400, None)]


@pytest.mark.parametrize(
    ("server", "address"),
    [(("::ffff:172.18.0.2", 3000), "172.18.0.2"), (("fd00::2", 3000), "fd00::2"), (("name", 1), "name"), (None, "")],
)
def test_the_address_is_the_one_the_visitor_came_to(server: tuple[str, int] | None, address: str) -> None:
    assert webapp.address_of({"type": "http", "server": server}) == address
