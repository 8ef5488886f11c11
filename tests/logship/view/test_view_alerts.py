"""Alerts of real processes and sockets: collector, viewer, webhook; killed, slow, refusing, gone."""

from __future__ import annotations

import http.client
import json
import random
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.ship.http_sink import Place
from logship.view.alerts.kept import FILE, Kept
from logship.view.alerts.outbox import AGAIN, REFUSED, TAKEN
from logship.view.alerts.post import post
from logship.view.alerts.run import set_by_ms
from logship.view.alerts.stream import EventStream
from tests.logship.reading.test_reading_logs import logs
from tests.logship.ship.collector import Collector
from tests.logship.view.hooks import CLOSE, DRIP, GARBAGE, HUGE, RESET, SLOW, TAKE, Receiver
from tests.logship.view.viewing import TREE, Viewer, environment, eventually


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.refuse()


# A webhook.


def test_a_webhook_that_takes_it_has_taken_it(receiver: Receiver) -> None:
    assert post(receiver.url, "id-7", '{"a":1}', seconds=60) == (TAKEN, "")
    assert receiver.got == [("id-7", {"a": 1})]


@pytest.mark.parametrize(
    ("manner", "result", "words"),
    [
        (500, AGAIN, "answers 500"),
        (503, AGAIN, "answers 503"),
        (429, AGAIN, "answers 429"),
        (404, REFUSED, "answers 404"),
        (302, REFUSED, "not followed"),
        (CLOSE, AGAIN, ""),
        (RESET, AGAIN, ""),
        (GARBAGE, AGAIN, ""),
        (HUGE, AGAIN, ""),
        (SLOW, AGAIN, "no answer in time"),
        (DRIP, AGAIN, "no answer in time"),
    ],
)
def test_a_webhook_that_does_not_is_told_of_and_never_waited_for(
    receiver: Receiver, manner: str | int, result: str, words: str
) -> None:
    receiver.manner = manner
    # Who is silent hangs up after 20 s, and who drips after 50: waited for, that would be told, and not the time.
    found, why = post(receiver.url, "id-7", '{"a":1}', seconds=0.5 if manner in (SLOW, DRIP) else 60)
    assert (found, receiver.got) == (result, [])
    assert why
    assert words in why


def test_a_webhook_that_is_not_there_is_tried_again(receiver: Receiver) -> None:
    receiver.refuse()
    found, why = post(receiver.url, "id-7", "{}")
    assert (found, "refused" in why) == (AGAIN, True)
    found, why = post("https://localhost:1/x", "id-7", "{}")
    assert found == AGAIN


def test_a_webhook_over_tls_is_believed_by_its_certificate_alone(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    try:
        subprocess.run([*words, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl here to make a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.tls = context
    url = receiver.url.replace("http://127.0.0.1", "https://localhost")
    found, why = post(url, "id-7", '{"a":1}', seconds=60)
    assert (found, receiver.got) == (AGAIN, [])
    assert "certificate verify failed" in why.lower().replace("_", " ")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert post(url, "id-7", '{"a":1}', seconds=60) == (TAKEN, "")
    assert receiver.got == [("id-7", {"a": 1})]
    receiver.manner = SLOW
    assert post(url, "id-7", "{}", seconds=0.5) == (AGAIN, "no answer in time")


# The event stream.


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    found = Collector(tmp_path)
    found.start()
    yield found
    found.kill()


SOURCE = {"service": "collector", "program": "alerts", "kind": "events"}


def test_lines_are_stored_once_whatever_is_cut_between_storing_and_knowing_it(collector: Collector) -> None:
    place = Place("127.0.0.1", collector.port)
    lines = [(number, f'{{"number":{number}}}') for number in range(1, 6)]
    first = EventStream(place, SOURCE).append("collector/1/alerts/a", 0, lines[:3])
    assert (first.number, first.trouble) == (3, "")
    again = EventStream(place, SOURCE).append("collector/1/alerts/a", 0, lines)  # it forgot that, and has two more
    assert (again.stream, again.end, again.number) == (first.stream, first.end, 3)
    last = EventStream(place, SOURCE).append(again.stream, again.end, lines[3:])
    assert last.number == 5
    assert b"".join(collector.pieces("collector/1/alerts/a")).decode().splitlines() == [text for _, text in lines]
    other = EventStream(place, SOURCE).append("collector/1/alerts/a", 7, lines)  # not where it ends, nor behind a line
    assert (other.stream, other.end, other.number) == ("collector/1/alerts/a.2", 0, 0)
    assert EventStream(place, SOURCE).append(other.stream, 0, lines).number == 5
    (listed,) = [one for one in collector.streams("alerts") if one["stream"] == "collector/1/alerts/a.2"]
    assert listed["source"]["kind"] == "events"


def test_a_collector_that_is_away_is_told_of(collector: Collector) -> None:
    place = Place("127.0.0.1", collector.port)
    collector.kill()
    found = EventStream(place, SOURCE).append("collector/1/alerts/a", 0, [(1, "{}")])
    assert (found.number, "refused" in found.trouble) == (0, True)


# What is kept.


def test_a_clock_that_was_set_is_told_from_time_that_has_passed() -> None:
    assert set_by_ms((1000.0, 5.0), (5600.0, 4605.5)) == 0
    assert set_by_ms((1000.0, 5.0), (4601.0, 6.0)) == 3_600_000
    assert set_by_ms((1000.0, 5.0), (1.0, 6.0)) == -1_000_000


def test_a_second_viewer_of_a_store_evaluates_nothing_and_says_why(tmp_path: Path) -> None:
    first, second = Kept(tmp_path), Kept(tmp_path)
    assert first.take() == ""
    assert "another viewer" in second.take()
    first.give_back()
    assert second.take() == ""
    assert second.is_there()
    (tmp_path / "alerts.lock").unlink()
    assert not second.is_there()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"v": 9}', '{"v": 1, "id": 3}', "\0"])
def test_a_file_that_cannot_be_used_is_begun_anew_and_told(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    book, why = Kept(tmp_path).load()
    assert (book.cursor, FILE in why) == (None, True)
    assert Kept(tmp_path).save('{"v": 1}') == ""
    assert (tmp_path / FILE).read_text() == '{"v": 1}'
    assert "cannot be written" in Kept(tmp_path / "gone").save("{}")


# All of it.

# What fires must be told before it is over: the window is longer than a busy machine keeps the viewer waiting.
RULES = """
[alerts]
webhook = {hook}
group_wait = "1s"
quiet = "1s"

[query.fives]
text = "status:5xx"

[alert.errors]
query = "@fives"
above = 2
window = "10s"
every = "1s"
resolve_after = "0s"
by = "server"
labels = {{ severity = "page" }}

[alert.echo]
query = "event:alert or errors or silence or echo"
above = 0
window = "4s"
every = "1s"

[alert.silence]
query = "program:heart"
absent = true
window = "3s"
every = "1s"
resolve_after = "0s"
webhook = ""
"""
LINE = '10.0.0.1:1 [23/Nov/2026:20:00:30.000] http app/{} 0/0/0/5/5 503 295 - - ---- 1/1/0/0/0 0/0 "GET /p HTTP/1.1"\n'


class Fleet:
    """Collector and viewer over one store."""

    def __init__(self, folder: Path, collector: Collector, receiver: Receiver) -> None:
        self.collector, self.receiver = collector, receiver
        self.store = folder / "store"
        self.config = folder / "logship.toml"
        self.config.write_text(RULES.format(hook=json.dumps(receiver.url)))
        options = ["--config", str(self.config), "--to", collector.url, "--instance", "1"]
        self.viewer = Viewer(self.store, *options)
        self.viewer.start()

    def append(self, path: str, text: str) -> None:
        """Lines, as any client appends them."""
        for method in ("POST", "PUT", "POST"):
            connection = http.client.HTTPConnection("127.0.0.1", self.collector.port, timeout=60)
            body = text.encode() if method == "POST" else b""
            connection.request(method, f"/v1/stream/{path}", body, {"Content-Type": "application/octet-stream"})
            status = connection.getresponse().status
            connection.close()
            if method == "POST" and status in (200, 204):
                return
        raise AssertionError(status)

    def fail(self, server: str, count: int = 3) -> None:
        """Requests that failed."""
        self.append("ha/1/haproxy/i", LINE.format(server) * count)

    def alerts(self) -> list[dict[str, Any]]:
        """What the viewer says of them."""
        return self.viewer.records("/api/alerts")

    def events(self) -> list[dict[str, Any]]:
        """The lines of the alerts' own stream, out of the store."""
        found = self.viewer.records("/api/logs?query=kind:events+event:alert&n=1000")
        return [json.loads(one["text"]) for one in found if one["type"] == "line"]

    def is_evaluating(self) -> bool:
        """Whether it reads what comes, and has kept from where on: killed before that it would begin anew."""
        whole = self.alerts()[-1]
        kept = self.store / FILE
        is_kept = kept.exists() and json.loads(kept.read_text())["cursor"] is not None
        return bool(whole["evaluates"]) and whole["cursor"] is not None and is_kept

    def told(self) -> list[int]:
        """The firings of `errors` that the webhook was told."""
        bodies = [body for _, body in [*self.receiver.got] if body["groupLabels"]["alertname"] == "errors"]
        said = [one["annotations"]["firing"] for body in bodies for one in body["alerts"]]
        return [int(part) for text in said for part in text.split(", ")]


@pytest.fixture
def fleet(tmp_path: Path, collector: Collector, receiver: Receiver) -> Iterator[Fleet]:
    found = Fleet(tmp_path, collector, receiver)
    eventually(found.is_evaluating, "it does not begin to evaluate")
    yield found
    found.viewer.stop()


def test_an_alert_fires_is_told_and_is_over(fleet: Fleet) -> None:
    fleet.fail("s1")
    fleet.fail("s2", 2)
    eventually(lambda: bool(fleet.receiver.got), "the webhook is not told")
    key, body = fleet.receiver.got[0]
    assert body["status"] == "firing"
    assert [one["labels"] for one in body["alerts"]] == [{"alertname": "errors", "server": "s1", "severity": "page"}]
    assert body["alerts"][0]["annotations"]["query"] == "status:5xx"
    assert key.rpartition("-")[2] == str(body["notification"])
    eventually(lambda: fleet.receiver.got[-1][1]["status"] == "resolved", "it is never over")
    eventually(lambda: len([one for one in fleet.events() if one["alert"] == "errors"]) == 2, "the lines do not come")
    first, second = [one for one in fleet.events() if one["alert"] == "errors"]
    assert (first["status"], first["group"], first["value"], first["firing"]) == ("firing", {"server": "s1"}, 3, 1)
    assert (second["status"], second["firing"]) == ("resolved", 1)
    eventually(lambda: any(one["alert"] == "silence" for one in fleet.events()), "silence is not told")
    assert not [body for _, body in fleet.receiver.got if body["groupLabels"]["alertname"] == "silence"]
    # Lines of alerts count for none: `echo` matches all of them, and nothing else.
    cursor = int(fleet.alerts()[-1]["cursor"])
    fleet.append("web/1/app/i", "something else\n")
    eventually(lambda: int(fleet.alerts()[-1]["cursor"]) > cursor, "it does not read on")
    *listed, whole = fleet.alerts()
    assert {(one["alert"], one["state"]) for one in listed} == {
        ("errors", "quiet"), ("echo", "quiet"), ("silence", "firing")
    }  # fmt: skip
    assert (whole["evaluates"], whole["given_up"], whole["troubles"], whole["firing"]) == (True, 0, [], 1)
    assert whole["webhooks"][0]["webhook"] == f"http://127.0.0.1:{fleet.receiver.port}"
    (source,) = fleet.viewer.records("/api/sources?q=collector:alerts")
    assert (source["kind"], source["unknown"]["lag_bytes"].partition(":")[0]) == (
        "events", "it is brought by the viewer that evaluates alerts",
    )  # fmt: skip
    metrics = fleet.viewer.ask("/metrics")[2].decode()
    assert 'logship_alerts{alert="silence",state="firing"} 1' in metrics
    assert 'logship_alert_firings_total{alert="errors"} 1' in metrics
    assert 'logship_alert_firings_total{alert="echo"} 0' in metrics
    assert "logship_alert_notifications_given_up_total 0" in metrics
    assert "secret" not in metrics + json.dumps(fleet.alerts()) + json.dumps(fleet.events())


def test_the_command_lists_alerts_and_says_by_its_status_whether_one_fires(fleet: Fleet) -> None:
    quiet = logs(fleet.viewer, "errors", "--exit-code", command="alerts")
    assert (quiet.returncode, quiet.stderr) == (0, b"")
    assert quiet.stdout.decode().splitlines() == [
        "ALERT   STATE  SINCE  VALUE  GROUP  CONDITION", "errors  quiet  -      0      -      more than 2 lines in 10s",
    ]  # fmt: skip
    eventually(lambda: any(one.get("state") == "firing" for one in fleet.alerts()), "silence does not fire")
    fires = logs(fleet.viewer, "--exit-code", command="alerts")
    assert fires.returncode == 1
    assert fires.stdout.decode().splitlines()[1].split()[:2] == ["silence", "firing"]
    as_json = logs(fleet.viewer, "-o", "json", "silence", command="alerts")
    (record,) = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert (record["alert"], record["state"], record["value"]) == ("silence", "firing", 0)
    wrong = logs(fleet.viewer, "eror", command="alerts")
    assert wrong.returncode == 2
    assert b"did you mean errors?" in wrong.stderr


def test_a_webhook_that_fails_is_tried_again_and_delays_nothing_else(fleet: Fleet) -> None:
    fleet.receiver.manner = 500
    fleet.fail("s1")
    eventually(lambda: fleet.receiver.asked >= 2, "it is not tried again")
    eventually(lambda: any(one["alert"] == "errors" for one in fleet.events()), "the line waits for the webhook")
    assert "answers 500" in json.dumps(fleet.alerts()[-1]["webhooks"])
    fleet.receiver.manner = 404
    eventually(lambda: fleet.alerts()[-1]["given_up"] == 1, "it is not given up")
    found = fleet.viewer.records("/api/logs?query=event:alert-not-told")
    eventually(lambda: bool(fleet.viewer.records("/api/logs?query=event:alert-not-told")), f"not told: {found}")
    fleet.receiver.manner = TAKE
    fleet.fail("s3")
    eventually(lambda: bool(fleet.told()), "the next one does not go out")


def test_a_burst_while_the_viewer_was_down_is_told_late(fleet: Fleet) -> None:
    fleet.viewer.stop(signal.SIGKILL)
    fleet.fail("s1", 9)
    time.sleep(12)  # it is over, too, before anybody looks
    fleet.append("web/1/app/i", "something else\n")
    fleet.viewer.start()
    eventually(lambda: bool(fleet.told()), "the burst was missed")
    entry = next(body["alerts"][0] for _, body in fleet.receiver.got if body["groupLabels"]["alertname"] == "errors")
    assert (entry["annotations"]["value"], entry["status"]) in (("9", "firing"), ("0", "resolved"))
    assert entry["labels"]["server"] == "s1"


def test_a_bad_file_at_sighup_leaves_the_alerts_as_they_were_and_a_good_one_changes_them(fleet: Fleet) -> None:
    process = fleet.viewer.process
    assert process is not None
    assert process.stdout is not None
    good = fleet.config.read_text()
    fleet.config.write_text(good.replace("above = 2", "abov = 2"))
    process.send_signal(signal.SIGHUP)
    said = json.loads(process.stdout.readline())
    assert said["event"] == "settings refused"
    assert "did you mean above?" in said["why"]
    assert {one["alert"] for one in fleet.alerts()[:-1]} == {"errors", "echo", "silence"}
    fleet.config.write_text(good.replace("[alert.echo]", "[alert.other]").replace("above = 2", "above = 0"))
    process.send_signal(signal.SIGHUP)
    assert json.loads(process.stdout.readline())["event"] == "settings read"
    fleet.fail("s1", 1)
    eventually(lambda: bool(fleet.told()), "the new threshold does not count")
    assert {one["alert"] for one in fleet.alerts()[:-1]} == {"errors", "other", "silence"}


def test_a_viewer_with_a_bad_alert_ends_with_status_2_and_the_line(tmp_path: Path) -> None:
    file = tmp_path / "logship.toml"
    file.write_text('[alert.a]\nquery = "status:5xx"\nabove = 1\nwindow = "7s"\nevery = "2s"\n[alerts]\nquit = "1s"\n')
    words = [sys.executable, "-m", "logship", "view", "--store", str(tmp_path), "--config", str(file)]
    found = subprocess.run(
        [*words, "--listen", "127.0.0.1:0"], cwd=TREE, env=environment(), capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert f"{file}:5: 7s is not so many times 2s" in found.stderr
    assert f"{file}:7: there is no quit in [alerts]; did you mean quiet?" in found.stderr


def kill_again_and_again(fleet: Fleet, seed: int, rounds: int) -> None:
    """Requests fail now and then, viewer, collector and webhook are killed or fail at random instants."""
    chance = random.Random(seed)
    fleet.receiver.manner = TAKE
    for _ in range(rounds):
        fleet.fail(chance.choice(["s1", "s2"]), chance.choice([1, 3, 4]))
        time.sleep(chance.uniform(0, 2.5))
        what = chance.random()
        if what < 0.6:
            fleet.viewer.stop(signal.SIGKILL)
            fleet.viewer.start()
        elif what < 0.75:
            fleet.collector.kill()
            fleet.collector.start()
        else:
            manners: list[str | int] = [TAKE, 500, CLOSE, RESET, TAKE]
            fleet.receiver.manner = chance.choice(manners)
    fleet.receiver.manner = TAKE


def check_nothing_was_left_out(fleet: Fleet, seed: int) -> None:
    """Each firing is told, under one number, and each line of it is stored once."""

    def is_over() -> bool:
        *listed, whole = fleet.alerts()
        quiet = [one["state"] for one in listed if one["alert"] == "errors"] == ["quiet"]
        waiting = whole["lines_waiting"] + sum(one["waiting"] for one in whole["webhooks"])
        return quiet and not whole["behind_bytes"] and not waiting

    eventually(is_over, f"seed {seed}: something never ends: {fleet.alerts()}")
    lines = [one for one in fleet.events() if one["alert"] == "errors"]
    fired = [one["firing"] for one in lines if one["status"] == "firing"]
    assert fired == [*range(1, len(fired) + 1)], f"seed {seed}"
    numbers = [one["number"] for one in fleet.events()]
    assert numbers == sorted({*numbers}), f"seed {seed}: a line is stored twice"
    eventually(lambda: {*fleet.told()} == {*fired}, f"seed {seed}: fired {fired}, told {fleet.told()}")
    by_key: dict[str, dict[str, Any]] = {}
    for key, body in fleet.receiver.got:
        assert by_key.setdefault(key, body) == body, f"seed {seed}: one number, two notifications"
    assert len({body["notification"] for body in by_key.values()}) == len(by_key), f"seed {seed}"


def test_killed_at_random_each_firing_is_told_and_says_its_number(fleet: Fleet) -> None:
    seed = random.SystemRandom().randrange(10**6)
    kill_again_and_again(fleet, seed, 6)
    check_nothing_was_left_out(fleet, seed)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_at_random_for_long_each_firing_is_told_and_says_its_number(fleet: Fleet) -> None:
    seed = random.SystemRandom().randrange(10**6)
    kill_again_and_again(fleet, seed, 80)
    check_nothing_was_left_out(fleet, seed)
