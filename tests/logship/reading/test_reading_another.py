"""Something else answers at the URL than a viewer: every command that reads over HTTP says so, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from logship import cli
from tests.logship.view.test_view_reading import answering

HTML = (200, b"<html><body>Statistics Report</body></html>\n", "text/html; charset=utf-8")
JSON = (200, b'{"service":"webapp","node":"webapp/1"}\n', "application/json")
MISSING = (404, b"<html>\n<h1>Error response</h1>\nFile not found\n</html>\n", "text/html; charset=utf-8")
GATEWAY = (502, b"", "text/plain")
TEXT = (200, b"some words\n", "application/x-ndjson")
NUMBERS = (200, b"1\n2\n", "application/x-ndjson")
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


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (HTML, "is text/html; charset=utf-8, not application/"),
        (JSON, "is application/json, not application/"),
        (MISSING, "is of status 404 and says not why, as a viewer's would"),
        (GATEWAY, "is of status 502 and says not why, as a viewer's would"),
        (TEXT, ""),
        (NUMBERS, ""),
    ],
    ids=["html", "json", "404", "502", "text as records", "numbers as records"],
)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_who_asks_something_else_is_told_that_it_is_no_viewer(
    command: list[str],
    given: tuple[int, bytes, str],
    what: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answer, body, kind = given
    with answering((answer, body), kind=kind) as url:
        status = cli.main([*(word.replace("FOLDER", str(tmp_path)) for word in command), "--url", url], {})
    out, err = capfd.readouterr()
    assert (status, out) == (4, ""), err
    assert f"cannot ask the viewer at {url}: what answers there is no `logship view`: its answer to /" in err
    assert what in err
    assert not [*tmp_path.iterdir()]
    assert "hint: give the URL of `logship view` by --url or LOGSHIP_URL" in err


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://127.0.0.1:x", "http://[::1", "http://", "ftp://a"])
def test_what_is_no_url_is_refused_with_status_2(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["logs", "--url", url], {}) == 2
    assert f"cannot ask the viewer at {url}: it is no URL of a viewer" in capfd.readouterr().err
