"""Something else answers at the URL than a viewer: every command that reads over HTTP says so, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from logship import cli
from tests.logship.view.test_view_reading import answering

HTML = (b"<html><body>Statistics Report</body></html>\n", "text/html; charset=utf-8")
JSON = (b'{"service":"webapp","node":"webapp/1"}\n', "application/json")
COMMANDS = [
    ["logs"],
    ["logs", "-f"],
    ["logs", "-q", "@saved"],
    ["losses"],
    ["sources"],
    ["alerts"],
    ["query", "| count"],
    ["query", "SELECT 1", "--sql"],
    ["query", "@"],
    ["stats", "haproxy"],
    ["verify"],
    ["verify", "web/1/app/i", "--file", "/dev/null"],
    ["export", "--format", "raw", "-o", "FOLDER/new"],
    ["export", "--format", "jsonl", "-o", "FOLDER/new"],
]


@pytest.mark.parametrize("given", [HTML, JSON], ids=["html", "json"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_who_asks_something_else_is_told_that_it_is_no_viewer(
    command: list[str],
    given: tuple[bytes, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    body, kind = given
    with answering((200, body), kind=kind) as url:
        status = cli.main([*(word.replace("FOLDER", str(tmp_path)) for word in command), "--url", url], {})
    out, err = capfd.readouterr()
    assert (status, out) == (4, ""), err
    assert f"cannot ask the viewer at {url}: what answers there is no `logship view`: its answer to /" in err
    assert f"is {kind}, not application/" in err
    assert not [*tmp_path.iterdir()]
    assert "hint: give the URL of `logship view` by --url or LOGSHIP_URL" in err
