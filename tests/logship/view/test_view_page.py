"""The page of lines in a real browser: live, paused, filtered, without JavaScript, and against hostile lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from logship.values import Loss, StreamPath
from supervise.evidence.browser import find
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import PATIENCE_SECONDS, Viewer

HOSTILE = [
    b"<script>window.owned = 1</script>",
    b'<img src=x onerror="window.owned=1">',
    b'"><svg onload=window.owned=1>',
    b"' onmouseover='window.owned=1",
    b"javascript:window.owned=1",
    b"{{ 7*7 }} ${7*7} <%= 7*7 %> &lt;b&gt; &amp;",
    b"</li></ol><h1>owned</h1>",
    b"\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07 bell\x07",
    "\u202egnp.exe \u2066isolate \u200bzero".encode(),
    b"\x00\xff\xfe \xc3",
    "שלום العربية 日本".encode(),
]
SHOWN = [
    "<script>window.owned = 1</script>",
    '<img src=x onerror="window.owned=1">',
    '"><svg onload=window.owned=1>',
    "' onmouseover='window.owned=1",
    "javascript:window.owned=1",
    "{{ 7*7 }} ${7*7} <%= 7*7 %> &lt;b&gt; &amp;",
    "</li></ol><h1>owned</h1>",
    r"red link bell\x07",
    r"\u202egnp.exe \u2066isolate \u200bzero",
    r"\x00\xff\xfe \xc3",
    "שלום العربية 日本",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find(os.environ)
    if path is None:
        pytest.skip("no browser is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        options = ["--headless", "--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
        found = playwright.chromium.launch(executable_path=path, args=options)
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must not run into its policy, nor into an error of its own."""
    context = browser.new_context(timezone_id="America/New_York", viewport={"width": 1280, "height": 720})
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    found = context.new_page()
    wrong: list[str] = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("console", lambda message: wrong.append(message.text) if "Policy" in message.text else None)
    yield found
    context.close()
    assert wrong == []


def texts(page: Page) -> list[str]:
    return page.locator("#list .text").all_text_contents()


def test_rows_are_there_without_javascript_and_the_form_asks(shelf: Shelf, viewer: Viewer, browser: Browser) -> None:
    shelf.append("web/1/app/i", b"2026-11-23 20:00:00,000 hello\n2026-11-23 20:00:00,000 other\n")
    shelf.now_ms += 1000
    shelf.append("ha/1/serf/i", b"bye\n")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(viewer.url)
    assert page.url == f"{viewer.url}/logs"
    assert len(texts(page)) == 3
    row = page.locator("#list > li").first
    assert row.locator(".tag").inner_text() == "web/1"
    assert row.locator("time").inner_text() == "Nov 23 20:00:00.000"
    page.fill("[name=grep]", "hello|bye")
    page.click("[type=submit]")
    assert "grep=hello" in page.url
    assert len(texts(page)) == 2
    page.click("text=ha/1")
    assert texts(page) == ["bye"]
    page.goto(f"{viewer.url}/logs?q=nosuch")
    assert "no stream is meant by nosuch" in page.locator(".fault").inner_text()
    context.close()


def test_lines_come_live_in_order_and_a_restart_of_the_viewer_loses_none(
    shelf: Shelf, viewer: Viewer, page: Page
) -> None:
    shelf.append("web/1/app/i", b"first\n")
    page.goto(viewer.url)
    expect(page.locator("#state")).to_have_text("live")
    for number in range(5):
        shelf.append(f"web/{number % 2}/app/i", b"live %d\n" % number)
        expect(page.locator("#list > li")).to_have_count(number + 2)
    viewer.stop()
    expect(page.locator("#state")).to_contain_text("connection lost")
    shelf.append("web/1/app/i", b"meanwhile\n")
    viewer.start()
    expect(page.locator("#list > li")).to_have_count(7)
    assert texts(page) == ["first", *(f"live {number}" for number in range(5)), "meanwhile"]
    expect(page.locator("#state")).to_have_text("live")


def test_a_pause_holds_the_view_and_nothing_is_lost_by_it(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    shelf.append("web/1/app/i", b"first\n")
    page.goto(viewer.url)
    expect(page.locator("#state")).to_have_text("live")
    page.locator("#rows").focus()
    page.keyboard.press("Space")
    expect(page.locator("#state")).to_have_text("paused")
    shelf.append("web/1/app/i", b"one\ntwo\n")
    expect(page.locator("#pill")).to_have_text("2 new lines ↓")
    assert texts(page) == ["first"]
    page.keyboard.press("Space")
    expect(page.locator("#list > li")).to_have_count(3)
    expect(page.locator("#pill")).to_be_hidden()
    shelf.append("web/1/app/i", b"three\n")
    expect(page.locator("#list > li")).to_have_count(4)
    assert texts(page) == ["first", "one", "two", "three"]


def test_who_looks_at_older_rows_is_not_moved(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    shelf.append("web/1/app/i", b"".join(b"old %d\n" % number for number in range(150)))
    page.goto(viewer.url)
    expect(page.locator("#state")).to_have_text("live")
    page.evaluate("document.getElementById('rows').scrollTop = 200")
    expect(page.locator("#pill")).to_have_text("To the newest ↓")
    shelf.append("web/1/app/i", b"new\n")
    expect(page.locator("#pill")).to_have_text("1 new line ↓")
    assert page.evaluate("document.getElementById('rows').scrollTop") == 200
    page.click("#pill")
    expect(page.locator("#list > li")).to_have_count(151)
    expect(page.locator("#list > li").last).to_be_in_viewport()


def test_the_page_opens_at_the_newest_line(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    shelf.append("web/1/app/i", b"".join(b"%d " % number + b"wide " * 100 + b"\n" for number in range(300)))
    page.goto(viewer.url)
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#list > li").last).to_be_in_viewport()
    expect(page.locator("#pill")).to_be_hidden()


def test_the_form_changes_rows_and_address_without_a_new_page(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    shelf.append("web/1/app/i", b"hello\nother\n")
    shelf.append("ha/1/serf/i", b"hello too\n")
    page.goto(viewer.url)
    expect(page.locator("#list > li")).to_have_count(3)
    page.evaluate("window.same = 1")
    page.fill("[name=grep]", "hello")
    page.keyboard.press("Enter")
    expect(page.locator("#list > li")).to_have_count(2)
    assert page.url == f"{viewer.url}/logs?grep=hello&n=200"
    shelf.append("web/1/app/i", b"not wanted\nhello again\n")
    expect(page.locator("#list > li")).to_have_count(3)
    page.fill("[name=grep]", "(")
    page.keyboard.press("Enter")
    expect(page.locator(".fault")).to_contain_text("is no pattern")
    page.fill("[name=grep]", "")
    page.fill("[name=query]", "again or too -src:web/*")
    page.keyboard.press("Enter")
    expect(page.locator("#list > li")).to_have_count(2)
    page.fill("[name=query]", "src:web/* again")
    page.keyboard.press("Enter")
    expect(page.locator("#list > li")).to_have_count(1)
    shelf.append("web/1/app/i", b"not this\nonce AGAIN\n")
    expect(page.locator("#list > li")).to_have_count(2)
    page.fill("[name=query]", "statsu:500")
    page.keyboard.press("Enter")
    expect(page.locator(".fault")).to_contain_text("did you mean status?")
    assert page.evaluate("window.same") == 1


@pytest.mark.case(55, 109)
def test_hostile_lines_are_text_at_first_and_live(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => { window.violated = event.violatedDirective; })"
    )
    shelf.append("web/1/app/i", b"\n".join(HOSTILE) + b"\n")
    page.goto(viewer.url)
    expect(page.locator("#state")).to_have_text("live")
    shelf.append("web/2/app/i", b"\n".join(HOSTILE) + b"\n")
    expect(page.locator("#list > li")).to_have_count(2 * len(HOSTILE))
    assert page.locator("#list .text").all_text_contents() == SHOWN + SHOWN
    assert page.evaluate("[window.owned, window.violated, document.querySelectorAll('h1, img, svg').length]") == [
        None,
        None,
        1,
    ]


def test_lines_too_many_to_show_are_a_row_with_their_number_and_can_be_loaded(
    shelf: Shelf, viewer: Viewer, page: Page
) -> None:
    shelf.append("web/1/app/i", b"hit first\n")
    page.goto(f"{viewer.url}/logs?grep=hit")
    expect(page.locator("#state")).to_have_text("live")
    page.click("#pause")
    for number in range(12):
        shelf.append("web/1/app/i", b"x" * 1_000_000 + b"\nhit %d\n" % number)
    expect(page.locator("#pill")).to_have_text("12 new lines ↓")
    page.click("#pause")
    expect(page.locator(".gap")).to_contain_text("lines were left out")
    page.click(".gap button")
    expect(page.locator("#list .text")).to_have_count(13)
    assert texts(page) == ["hit first", *(f"hit {number}" for number in range(12))]


def test_a_long_line_is_cut_with_the_number_of_bytes_left_out(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    shelf.append("web/1/app/i", b"z" * 20_000_000 + b"\nnext\n")
    page.goto(viewer.url)
    expect(page.locator("#list .text").last).to_have_text("next")
    parts = page.locator("#list .said").all_text_contents()[:-1]
    assert len(parts) == 20
    assert parts[0] == "z" * 4096 + "1,044,480 bytes more" + "part"


def height(page: Page, row: int) -> float:
    box = page.locator("#list > li").nth(row).bounding_box()
    assert box is not None
    return box["height"]


def test_a_long_line_takes_one_row_and_opens_by_a_click_without_javascript_too(
    shelf: Shelf, viewer: Viewer, browser: Browser
) -> None:
    shelf.append("web/1/app/i", b"short\n" + b"word " * 300 + b"\n")
    for with_script in (False, True):
        context = browser.new_context(java_script_enabled=with_script, viewport={"width": 1280, "height": 720})
        page = context.new_page()
        page.goto(viewer.url)
        assert height(page, 1) == height(page, 0)
        page.locator("summary").click()
        assert height(page, 1) > 5 * height(page, 0)
        page.locator("summary").click(position={"x": 5, "y": 5})
        assert height(page, 1) == height(page, 0)
        page.check("[name=wrap]")
        if not with_script:
            page.click("[type=submit]")
        page.wait_for_url("**wrap=1*")
        assert height(page, 1) > 5 * height(page, 0)
        context.close()


def test_columns_stand_below_each_other_however_long_names_are(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    shelf.append("web/1/app/i", b"first\n")
    page.goto(viewer.url)
    expect(page.locator("#state")).to_have_text("live")
    shelf.append(f"{'service-' * 5}/{'instance-' * 5}/{'program-' * 5}/i", b"wide " * 100 + b"\n")
    expect(page.locator("#list > li")).to_have_count(2)
    for selector in ("time", ".program", ".said"):
        boxes = [page.locator(f"#list > li:nth-child({row}) {selector}").bounding_box() for row in (1, 2)]
        assert boxes[0] is not None
        assert boxes[1] is not None
        assert boxes[0]["x"] == boxes[1]["x"]
    said = page.locator("#list > li:nth-child(2) .said").bounding_box()
    assert said is not None
    assert said["width"] > 600
    assert page.locator("#list > li:nth-child(2) .tag").get_attribute("title") == f"{'service-' * 5}/{'instance-' * 5}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_row_is_the_same_whether_the_server_made_it_or_the_script(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    """One row of each sort; what came live is compared with what a fresh page shows."""
    page.goto(f"{viewer.url}/logs?n=50&wrap=1")
    expect(page.locator("#state")).to_have_text("live")
    shelf.append("web/1/app/i", b"short\n" + b"long " * 2000 + b"\n" + HOSTILE[2] + b"\n")
    shelf.append("web/1/app/i", b"torn")
    at = shelf.state.streams[StreamPath("web/1/app/i")].next_offset
    shelf.append("web/1/app/i", b"anew\n", starts=((at, "2026-11-23T20:00:00Z"),))
    shelf.append("foreign/stream", b"x\n")
    shelf.lose(Loss("<one>", "web/1/app/i", at, 512, reason="<b>over</b> budget"))
    shelf.lose(Loss("two", None, count=3, unit="events"))
    expect(page.locator("#list > li")).to_have_count(9)

    def rows() -> dict[str, str]:
        found = page.evaluate("[...document.querySelectorAll('#list > li')].map((row) => [row.id, row.outerHTML])")
        return dict(found)

    live = rows()
    page.reload()
    expect(page.locator("#list > li")).to_have_count(9)
    assert rows() == live


def test_snapshots_are_hidden_and_counted_until_asked_for(shelf: Shelf, viewer: Viewer, page: Page) -> None:
    snapshot = b'{"time":"2026-11-23T20:00:00.000Z","event":"snapshot","v":1}\n'
    shelf.append("web/1/supervise/i", snapshot + b'{"time":"2026-11-23T20:00:00.000Z","event":"exit"}\n' + snapshot)
    page.goto(viewer.url)
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#list > li")).to_have_count(1)
    expect(page.locator("#hidden")).to_have_text("(2 hidden)")
    shelf.append("web/1/supervise/i", snapshot)
    expect(page.locator("#hidden")).to_have_text("(3 hidden)")
    page.check("[name=snapshots]")
    expect(page.locator("#list > li")).to_have_count(4)
    expect(page.locator("#hidden")).to_have_text("")
    assert "snapshots=1" in page.url
    shelf.append("web/1/supervise/i", snapshot)
    expect(page.locator("#list > li")).to_have_count(5)
    page.uncheck("[name=snapshots]")
    expect(page.locator("#list > li")).to_have_count(1)
    expect(page.locator("#hidden")).to_have_text("(4 hidden)")


def test_a_page_reads_another_store_anew(shelf: Shelf, viewer: Viewer, page: Page, tmp_path: Path) -> None:
    shelf.append("web/1/app/i", b"old\n" * 50)
    page.goto(viewer.url)
    expect(page.locator("#list > li")).to_have_count(50)
    expect(page.locator("#state")).to_have_text("live")
    shelf.folder.rename(tmp_path / "kept")
    other = Shelf(shelf.folder)
    other.append("web/1/app/j", b"new\n")
    expect(page.locator("#list > li")).to_have_count(1)
    assert texts(page) == ["new"]
    expect(page.locator("#state")).to_have_text("live")
    other.append("web/1/app/j", b"newer\n")
    expect(page.locator("#list > li")).to_have_count(2)
    other.close()
