"""``logship stats haproxy``: of a file and of the store the same, and what HAProxy's own halog says of it."""

from __future__ import annotations

import gzip
import json
import math
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from logship.reading.explain_cli import knowledge
from tests.logship.reading.test_reading_logs import logs
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import PATIENCE_SECONDS, TREE, Viewer, environment

STATES = ["----", "----", "--VN", "sH--", "SC--", "CD--", "sQ--", "PR--", "LR--"]


def made(seed: int, count: int, sound: bool = False) -> list[str]:
    """Lines of option httplog; all of them with all times where they are ``sound``."""
    print("seed", seed)
    chance = random.Random(seed)
    found = []
    for number in range(count):
        times = [chance.randrange(4), chance.randrange(50), chance.randrange(9), chance.randrange(3000)]
        status, state = chance.choice([200, 200, 204, 301, 404, 500, 503, 101]), chance.choice(STATES)
        server = f"s{chance.randrange(5)}"
        lost = 4 if sound else chance.choice([1, 2, 3, 4, 4, 4, 4, 4, 4])
        if lost < 4:
            times[lost:] = [-1] * (4 - lost)
            status, server = chance.choice([503, 504, 408, -1]), server if lost == 3 else "<NOSRV>"
        total = sum(one for one in times if one > 0) + chance.randrange(20)
        queue = f"{chance.randrange(3)}/{chance.randrange(2)}" if chance.random() < 0.2 else "0/0"
        retries = f"{chance.choice(['', '+'])}{chance.randrange(1, 4)}" if chance.random() < 0.1 else "0"
        found.append(
            f"192.0.2.{chance.randrange(20)}:{1024 + number % 60000} [30/Nov/2026:13:05:{number % 60:02}.594] "
            f"web~ app/{server} {'/'.join(map(str, times))}/{total} {status} {chance.randrange(99999)} - - {state} "
            f"9/8/7/6/{retries} {queue} "
            f'"GET /p/{chance.randrange(12)}{chance.choice(["", "?q=1"])} HTTP/1.1"'
        )
    return found


def ours(line: str, number: int) -> str:
    """The same line as templates/haproxy.cfg.j2 has it: with fields behind the request."""
    return f"{line} id=01a22c8f-77fb-7da6-a9e7-2b277b1b5a97 pid=42 lc={number} tt={number} n={number}"


def stock(line: str) -> str:
    """The same line as it comes through syslog."""
    return f"Nov 30 13:05:29 host haproxy[7]: {line}"


def stats(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "logship", "stats", "haproxy", *arguments]
    return subprocess.run(
        command, cwd=TREE, env=environment(), capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )


def rows(*arguments: str) -> list[dict[str, Any]]:
    found = stats(*arguments, "-o", "json")
    assert found.returncode == 0, found.stderr
    return [one for one in map(json.loads, found.stdout.splitlines()) if one["type"] == "row"]


def test_of_a_file_and_of_the_store_it_says_the_same(tmp_path: Path, shelf: Shelf, viewer: Viewer) -> None:
    lines = [ours(line, number) for number, line in enumerate(made(1, 600))]
    text = "".join(f"{line}\n" for line in lines).encode()
    file = tmp_path / "haproxy.log"
    file.write_bytes(text)
    (tmp_path / "haproxy.log.gz").write_bytes(gzip.compress(text))
    (tmp_path / "stock.log").write_text("".join(f"{stock(line)}\n" for line in lines), encoding="utf-8")
    shelf.now_ms = 1_796_044_000_000  # after 2026-11-30T13:05
    shelf.append("ha/1/haproxy/i", text[:5000])
    shelf.append("ha/1/haproxy/i", text[5000:], packed=True)
    shelf.append("ha/1/haproxy/i", b"[NOTICE] (7) : New worker (9) forked\n")
    for more in ([], ["--by", "path"], ["--by", "client"], ["--by", "status,server"], ["-q", "status:5xx"]):
        of_store = logs(viewer, "haproxy", "ha", *more, command="stats")
        of_file = stats("--file", str(file), *more)
        assert of_file.returncode == of_store.returncode == 0, of_store.stderr
        assert of_file.stdout == of_store.stdout
        assert of_file.stdout.count(b"\n") > 3
        assert stats("--file", str(tmp_path / "stock.log"), *more).stdout == of_file.stdout
        assert stats("--file", str(tmp_path / "haproxy.log.gz"), *more).stdout == of_file.stdout
    told = logs(viewer, "haproxy", command="stats").stderr.decode()
    assert "logship stats: 1 lines are not HAProxy's of a request or connection" in told
    since = "2026-11-30T13:05:30Z"
    late = logs(viewer, "haproxy", "-S", since, "--by", "server", command="stats").stdout
    assert late == stats("--file", str(file), "--since", since, "--by", "server").stdout
    assert sum(row["requests"] for row in rows("--file", str(file), "--since", since, "--by", "server")) == 300


def test_the_report_says_it_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("".join(f"{line}\n" for line in made(2, 200)), encoding="utf-8")
    text = stats("--file", str(file)).stdout.decode()
    assert re.match(r"200 requests, \d+ errors \(\d+\.\d%\), ", text)
    heads = ["SERVER ", "STATE ", "QUEUED AT ", "PERCENTILE "]
    assert [head for head in heads if f"\n{head}" not in text] == []
    for state in {line[:2] for line in STATES}:
        assert f"{knowledge().meaning(state)}\n" in text
    assert knowledge().meaning("sH").startswith("The server did not answer")
    assert knowledge().meaning("UQ") != ""
    assert knowledge().meaning("??") == ""


def test_numbers_are_those_that_a_plain_count_finds(tmp_path: Path) -> None:
    lines = made(3, 500)
    file = tmp_path / "log"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (total,) = [row for row in rows("--file", str(file)) if row["table"] == "total"]
    parts = [line.split() for line in lines]
    status = [int(part[5]) for part in parts]
    times = [[int(one) for one in part[4].split("/")] for part in parts]
    assert (total["requests"], total["errors"]) == (500, sum(one >= 500 or one < 0 for one in status))
    assert [total[f"{n}xx"] for n in range(1, 6)] == [sum(one // 100 == n for one in status) for n in range(1, 6)]
    assert total["bytes"] == sum(int(part[6]) for part in parts)
    assert total["redispatched"] == sum("+" in part[10] for part in parts)
    assert total["retries"] == sum(int(part[10].split("/")[4]) for part in parts)
    assert total["queued"] == sum(part[11] != "0/0" for part in parts)
    for at, name in enumerate(("t_request", "t_queue", "t_connect", "t_response", "t_active")):
        values = sorted(one[at] for one in times if one[at] >= 0)
        assert total[f"{name}_count"] == len(values)
        assert total[f"{name}_avg"] == pytest.approx(sum(values) / len(values))
        for share in (50, 95, 99):
            assert total[f"{name}_p{share}"] == values[math.ceil(share * len(values) / 100) - 1]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--file", "no/such"], 2, "cannot read no/such: No such file"),
        (["--file", "README.md"], 0, "no line of HAProxy's matches"),
        (["--file", "README.md", "ha"], 2, "TARGETs are of the store"),
        (["--file", "README.md", "-o", "csv"], 2, "take one by --by server"),
        (["--file", "README.md", "--by", "servre"], 2, "did you mean server?"),
        (["-q", "a | count"], 2, "there is one pipe in a query"),
    ],
)
def test_what_cannot_be_told_is_said_in_a_sentence(arguments: list[str], status: int, said: str) -> None:
    found = stats(*arguments)
    assert (found.returncode, found.stdout) == (status, b"")
    assert said in found.stderr.decode()
    assert "Traceback" not in found.stderr.decode()


# HAProxy's own tool, from Debian's package, which is unpacked and not installed.


@pytest.fixture(scope="module")
def halog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed = shutil.which("halog")
    if installed:
        return Path(installed)
    folder = tmp_path_factory.mktemp("halog")
    try:
        subprocess.run(["apt-get", "download", "haproxy"], cwd=folder, capture_output=True, timeout=120, check=True)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", str(package), "x"], cwd=folder, capture_output=True, timeout=60, check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        pytest.skip(f"halog cannot be had from Debian's package haproxy here: {error}")
    return folder / "x" / "usr" / "bin" / "halog"


def said(halog: Path, file: Path, option: str) -> list[list[str]]:
    """What halog prints, a list of words a line, without its head."""
    with file.open("rb") as lines:
        found = subprocess.run([halog, option], stdin=lines, capture_output=True, text=True, timeout=60, check=True)
    assert ", 0 parsing errors" in found.stderr
    return [line.split() for line in found.stdout.splitlines() if not line.startswith("#")]


@pytest.mark.long
@pytest.mark.parametrize("form", ["stock", "ours"])
def test_it_agrees_with_halog(tmp_path: Path, halog: Path, form: str) -> None:
    lines = made(4, 3000)
    if form == "ours":
        lines = [ours(line, number) for number, line in enumerate(lines)]
    file = tmp_path / "haproxy.log"
    file.write_text("".join(f"{stock(line)}\n" for line in lines), encoding="utf-8")
    servers = {f"{row['backend']}/{row['server']}": row for row in rows("--file", str(file), "--by", "server")}
    theirs = said(halog, file, "-srv")
    assert {words[0] for words in theirs} == servers.keys()
    for name, *numbers in theirs:
        row = servers[name]
        classes = [row[one] for one in ("1xx", "2xx", "3xx", "4xx", "5xx", "other")]
        wanted = [*classes, row["requests"], row["t_response_count"]]
        assert [int(one) for one in numbers[:8]] == wanted, name
        times = [int(row[f"{one}_avg"] or 0) for one in ("t_connect", "t_response")]
        assert [int(one) for one in numbers[9:]] == times, name
    paths = {row["path:bare"]: row for row in rows("--file", str(file), "--by", "path")}
    clients = {row["client_ip"]: row for row in rows("--file", str(file), "--by", "client")}
    for option, ours_said in (("-u", paths), ("-ic", clients)):
        theirs = said(halog, file, option)
        assert {words[-1] for words in theirs} == ours_said.keys()
        for requests, unanswered, _, _, _, average, bytes_average, bytes_total, name in theirs:
            row = ours_said[name]
            found = [row["requests"], row["requests"] - row["t_response_count"], int(row["t_response_avg"] or 0)]
            found += [row["bytes"] // row["requests"], row["bytes"]]
            wanted = [int(one) for one in (requests, unanswered, average, bytes_average, bytes_total)]
            if option == "-ic":  # its errors and times are of the first timer
                wanted[1:3] = found[1:3]
            assert wanted == found, (option, name)
    states = {row["state:pair"]: row["requests"] for row in rows("--file", str(file), "--by", "state")}
    assert {words[0]: int(words[1]) for words in said(halog, file, "-tc")} == states
    statuses = {str(row["status"]): row["requests"] for row in rows("--file", str(file), "--by", "status")}
    assert {words[0]: int(words[1]) for words in said(halog, file, "-st")} == statuses
    (total,) = [row for row in rows("--file", str(file)) if row["table"] == "total"]
    assert len(said(halog, file, "-Q")) == total["queued"]
    assert len(said(halog, file, "-e")) == total["errors"]


@pytest.mark.long
def test_percentiles_agree_with_halog(tmp_path: Path, halog: Path) -> None:
    """Of a thousand lines that have all times: then each of its steps is a whole number of lines."""
    file = tmp_path / "haproxy.log"
    file.write_text("".join(f"{stock(line)}\n" for line in made(5, 1000, sound=True)), encoding="utf-8")
    ours_said = {row["percentile"]: row for row in rows("--file", str(file)) if row["table"] == "percentiles"}
    theirs = {f"p{words[0].removesuffix('.0')}": words for words in said(halog, file, "-pct")}
    assert len(ours_said.keys() & theirs.keys()) == len(ours_said)
    for name, row in ours_said.items():
        assert [int(theirs[name][at]) for at in (3, 4)] == [row["t_connect"], row["t_response"]], name
