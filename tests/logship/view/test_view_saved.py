"""Queries that have names: what a file declares, what ``@NAME`` means, and how the viewer answers it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import Fault
from logship.values import Invalid
from logship.view.declared import Declaration, read
from logship.view.language import Either, Every, parse, parse_piped
from logship.view.saved import Saved, expanded, is_named, parse_saved, put, read_saved
from tests.logship.reading.test_reading_logs import logs
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import TREE, Viewer, environment, eventually

ERRORS = Saved("errors", "status:5xx or timeout", "what went wrong", "1h")
TABLE = Saved("servers", "| count by server")
KNOWN = {one.name: one for one in (ERRORS, TABLE)}


def test_a_name_alone_is_its_query_and_more_is_added_to_it() -> None:
    assert expanded("@errors", KNOWN) is ERRORS
    assert expanded("  @servers ", KNOWN) is TABLE
    more = expanded("@errors path:/api/*", KNOWN)
    assert isinstance(more, Saved)
    assert (more.text, more.since) == ("(status:5xx or timeout) path:/api/*", "1h")
    node = parse(more.text)
    assert isinstance(node, Every)
    assert isinstance(node.parts[0], Either)
    piped = expanded("@errors | count by server", KNOWN)
    assert isinstance(piped, Saved)
    found = parse_piped(piped.text)
    assert not isinstance(found, Invalid)
    assert found.pipe is not None
    assert found.node == parse("status:5xx or timeout")


def test_a_query_that_begins_with_no_name_is_left_alone() -> None:
    for text in ("status:5xx", '"@errors"', "a @errors", "me@errors", "@errors:x", "-@errors", "", "@a.b"):
        assert expanded(text, KNOWN) is None, text
        assert not is_named(text)


def test_a_name_that_is_not_there_is_refused_with_the_nearest_one() -> None:
    for said, hint in (("@error", "did you mean @errors?"), ("@x", "there are: @errors, @servers"), ("@", "@errors")):
        found = expanded(said, KNOWN)
        assert isinstance(found, Invalid)
        assert hint in found.reason
    none = expanded("@errors", {})
    assert isinstance(none, Invalid)
    assert "none is" in none.reason


def test_behind_a_query_with_a_pipe_stands_nothing() -> None:
    found = expanded("@servers status:5xx", KNOWN)
    assert isinstance(found, Invalid)
    assert "has a pipe already" in found.reason


def test_a_range_of_time_is_that_of_who_asks_where_he_says_one() -> None:
    asked = {"query": ["@errors"], "q": ["ha"]}
    assert put(asked, KNOWN) is None
    assert asked == {"query": ["status:5xx or timeout"], "q": ["ha"], "since": ["1h"]}
    asked = {"query": ["@errors"], "until": ["5m"]}
    assert put(asked, KNOWN) is None
    assert asked == {"query": ["status:5xx or timeout"], "until": ["5m"]}
    assert isinstance(put({"query": ["@nothing"]}, KNOWN), Invalid)


words = st.text('ab:/"()|@*- 5x\\', max_size=30)


@given(words, st.dictionaries(st.sampled_from(["text", "description", "since", "until", "txt"]), words, max_size=4))
def test_whatever_a_table_says_it_is_taken_or_what_is_wrong_is_told(said: str, table: dict[str, str]) -> None:
    found = parse_saved("name", table)
    if isinstance(found, Saved):
        assert read_saved(json.loads(json.dumps(found.record()))) == found
        more = expanded(f"@name {said}", {"name": found})
        if isinstance(more, Saved) and said.strip():
            whole = parse_piped(more.text)
            assert isinstance(whole, Invalid) or whole.node is not None or whole.pipe is not None
    else:
        assert found.cause
        assert found.hint


FILE = """[ship]
to = "http://elsewhere:1"

[query.errors]
text = "status:5xx"
description = "what went wrong"
since = "1h"

[query.servers]
text = "kind:haproxy | count by server"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "logship.toml"
    found.write_text(FILE)
    return found


def test_all_that_is_wrong_in_a_file_is_said_at_once_each_with_its_line(file: Path) -> None:
    file.write_text(
        '[query.a]\ntext = "status:=x"\n\n[query."b c"]\ntext = "x"\n\n[query.d]\ntxt = "x"\n\n'
        '[query]\nf = 1\n\n[query.g]\ntext = "x"\nsince = "then"\n\n[query.h]\n[query.i]\ntext = 5\n'
        '\n[query.k]\ntext = "@a"\n'
    )
    with pytest.raises(Fault) as caught:
        read(file)
    said = str(caught.value)
    assert caught.value.status == 2
    for line, words_of in ((2, "status is a number"), (4, "no name of a query"), (8, "did you mean text?"),
                           (11, "query.f is no table"), (15, "'then' is no time"), (17, "has no text"),
                           (19, "text is no text"), (22, "the name of another one")):  # fmt: skip
        assert any(f":{line}: " in part and words_of in part for part in said.splitlines()), (line, said)


def test_a_viewer_with_a_bad_file_ends_with_status_2_and_the_line(file: Path, shelf: Shelf) -> None:
    file.write_text('[query.a]\ntext = "status:=x"\n')
    words_of = [sys.executable, "-m", "logship", "view", "--store", str(shelf.folder), "--config", str(file)]
    found = subprocess.run(
        [*words_of, "--listen", "127.0.0.1:0"], cwd=TREE, env=environment(), capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert f"{file}:2: status is a number" in found.stderr


@pytest.fixture
def viewer(shelf: Shelf, file: Path) -> Iterator[Viewer]:
    """A viewer with that file."""
    found = Viewer(shelf.folder, "--config", str(file))
    found.start()
    yield found
    found.stop()


def write(shelf: Shelf) -> None:
    line = '10.0.0.1:1 [23/Nov/2026:20:00:30.000] http app/{} 0/0/0/5/5 {} 295 - - ---- 1/1/0/0/0 0/0 "GET /p HTTP/1.1"'
    said = [line.format(f"s{n % 2}", 503 if n < 3 else 200) for n in range(10)]
    shelf.append("ha/1/haproxy/i", "".join(f"{each}\n" for each in said).encode())


def test_the_viewer_lists_its_queries_and_answers_them_by_name(shelf: Shelf, viewer: Viewer) -> None:
    write(shelf)
    assert viewer.records("/api/queries") == [
        {"type": "query", "name": "errors", "text": "status:5xx", "description": "what went wrong", "since": "1h",
         "makes_table": False},
        {"type": "query", "name": "servers", "text": "kind:haproxy | count by server", "makes_table": True},
    ]  # fmt: skip
    all_times = "until=2100-01-01"
    lines = [one for one in viewer.records(f"/api/logs?query=@errors&{all_times}") if one["type"] == "line"]
    assert len(lines) == 3
    tables = [one for one in viewer.records("/api/query?query=@servers") if one["type"] == "table"]
    assert tables[-1]["rows"] == [["s0", 5], ["s1", 5]]
    tables = viewer.records(f"/api/query?query=@errors+|+count+by+server&{all_times}")
    assert next(one for one in tables if one["type"] == "table" and not one["partial"])["rows"] == [
        ["s0", 2],
        ["s1", 1],
    ]
    status, _, body = viewer.ask("/api/logs?query=@eror")
    assert status == 404
    assert json.loads(body)["error"] == "unknown-query"
    assert "did you mean @errors?" in json.loads(body)["text"]


def test_the_commands_take_a_name_where_they_take_a_query(shelf: Shelf, viewer: Viewer, tmp_path: Path) -> None:
    write(shelf)
    found = logs(viewer, "@servers", command="query")
    assert (found.returncode, found.stdout.decode().splitlines()) == (
        0,
        ["SERVER  COUNT", "s0          5", "s1          5"],
    )
    since = ["--since", "@0"]
    assert len(logs(viewer, "-q", "@errors", *since).stdout.splitlines()) == 3
    assert logs(viewer, "-q", "@errors").stdout == b""  # its own range, 1h, is over
    assert logs(viewer, "@errors s0/app or s1", *since, command="query").returncode == 0
    assert logs(viewer, "@errors | count", *since, command="query").stdout == b"3\n"
    out = tmp_path / "out.jsonl"
    assert logs(viewer, "--format", "jsonl", "-q", "@errors", *since, "-o", str(out), command="export").returncode == 0
    assert len(out.read_text().splitlines()) == 3
    stats = logs(viewer, "haproxy", "-q", "@errors", "--by", "status", *since, command="stats")
    assert b"503" in stats.stdout
    for command in (["-q", "@eror"], ["@eror"]):
        wrong = logs(viewer, *command, command="logs" if command[0] == "-q" else "query")
        assert wrong.returncode == 2
        assert b"did you mean @errors?" in wrong.stderr
    listed = logs(viewer, "@", command="query")
    assert listed.stdout.decode().splitlines() == [
        "NAME      SINCE  QUERY                           DESCRIPTION",
        "@errors   1h     status:5xx                      what went wrong",
        "@servers  -      kind:haproxy | count by server",
    ]


def test_at_sighup_the_file_is_read_again_and_a_bad_one_changes_nothing(
    file: Path, shelf: Shelf, viewer: Viewer
) -> None:
    write(shelf)
    process = viewer.process
    assert process is not None
    assert process.stdout is not None

    def hang_up() -> dict[str, object]:
        process.send_signal(signal.SIGHUP)
        assert process.stdout is not None
        found: dict[str, object] = json.loads(process.stdout.readline())
        return found

    file.write_text('[query.errors]\ntext = "(status:5xx"\n')
    said = hang_up()
    assert said["event"] == "settings refused"
    assert f"{file}:2" in str(said["why"])
    assert len(viewer.records("/api/queries")) == 2
    file.write_text('[query.other]\ntext = "status:200"\n')
    assert hang_up()["event"] == "settings read"
    eventually(lambda: [one["name"] for one in viewer.records("/api/queries")] == ["other"], "it was not read")


def test_a_viewer_without_a_file_has_no_queries() -> None:
    declaration = Declaration(None)
    declaration.reload()
    assert declaration.now.queries == {}
