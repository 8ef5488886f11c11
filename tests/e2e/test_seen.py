"""A request is one line of HAProxy's, and whoever watches sees it at once: on the terminal, and on the page."""

from __future__ import annotations

import http.client
import os
import re
import secrets
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from statistics import median

import pytest
from playwright.sync_api import Page, sync_playwright

from supervise.evidence.browser import find
from tests.e2e.stack import TREE, Stack, eventually

pytestmark = pytest.mark.engine

REQUESTS = 300
SECONDS_MAX = 20
"""Far from what is measured (printed): a busy machine is no fault of the lines."""
OPTIONS = ["--headless", "--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
IDENTITY = re.compile(r" id=([0-9a-f-]{36}) ")
OBSERVE = """() => {
  window.seen = [];
  const note = (node) => {
    const found = / id=([0-9a-f-]{36}) /.exec(node.textContent);
    if (found) window.seen.push([found[1], Date.now() / 1000]);
  };
  new MutationObserver((changes) => changes.forEach((each) => each.addedNodes.forEach(note)))
    .observe(document.getElementById("list"), { childList: true });
}"""


class Follower:
    """`logship logs -f` of what matches; when it printed each request's line, by the request's id."""

    def __init__(self, stack: Stack, mark: str) -> None:
        url = f"http://127.0.0.1:{stack.ports['VIEWER_PORT']}"
        command = [str(TREE / ".venv" / "bin" / "logship"), "logs", "--url", url, "-f", "-n", "0", "-o", "raw"]
        self.seen: list[tuple[str, float]] = []
        self._process = subprocess.Popen(
            [*command, "-g", mark, "ha:haproxy"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._last = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._last = line
            found = IDENTITY.search(line)
            if found:
                self.seen.append((found[1], time.time()))

    def told(self) -> str:
        """The last thing it said, a complaint perhaps."""
        return self._last

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(timeout=30)
        self._reader.join(30)


@pytest.fixture
def page() -> Iterator[Page]:
    path = find(os.environ)
    if path is None:
        pytest.skip("no browser is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser.new_page()
        browser.close()


def ask(host: str, path: str) -> tuple[str, float]:
    """One request: its id as the balancer says it, and when it was answered."""
    connection = http.client.HTTPConnection(host, 80, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        return str(answer.headers["X-Request-ID"]), time.time()
    finally:
        connection.close()


def told(who: str, asked: dict[str, float], seen: list[tuple[str, float]]) -> None:
    """The judgement of one who watched: each request once, and soon; what was measured is printed."""
    assert Counter(identity for identity, _ in seen) == Counter([*asked]), f"{who}: each request is one line"
    late = sorted(moment - asked[identity] for identity, moment in seen)
    figures = f"half within {median(late):.2f} s, 95 % within {late[len(late) * 95 // 100]:.2f} s, all {late[-1]:.2f} s"
    print(f"{who}: {len(late)} lines seen after their answers: {figures}")
    assert late[-1] < SECONDS_MAX


def test_each_of_300_requests_is_seen_once_on_the_terminal_and_on_the_page(stack: Stack, page: Page) -> None:
    mark, host = secrets.token_hex(6), stack.ha_address()
    follower = Follower(stack, mark)
    try:
        page.goto(f"http://127.0.0.1:{stack.ports['VIEWER_PORT']}/logs?q=ha:haproxy&grep={mark}")
        page.evaluate(OBSERVE)
        asked: dict[str, float] = {}

        def add(path: str) -> None:
            identity, moment = ask(host, path)
            asked[identity] = moment

        def shown() -> list[tuple[str, float]]:
            return [(identity, moment) for identity, moment in page.evaluate("() => window.seen")]

        def both_watch() -> bool:
            add(f"/{mark}/first")
            time.sleep(0.5)
            return bool(follower.seen and shown())

        eventually("both watch", both_watch, explain=lambda: f"terminal: {follower.told()}, page: {shown()}")
        watched = dict(asked)  # these may have been before one of them began to watch
        asked.clear()
        for number in range(REQUESTS):
            add(f"/{mark}/{number}")
        eventually("the follower has all", lambda: _has(follower.seen, asked))
        eventually("the page has all", lambda: _has(shown(), asked))
        told("logship logs -f", asked, [item for item in follower.seen if item[0] not in watched])
        told("the page", asked, [item for item in shown() if item[0] not in watched])
    finally:
        follower.stop()


def _has(seen: list[tuple[str, float]], asked: dict[str, float]) -> bool:
    return asked.keys() <= {identity for identity, _ in seen}
