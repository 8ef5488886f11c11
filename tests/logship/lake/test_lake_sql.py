"""Queries as SQL: what DuckDB finds in the lake is what Python finds in the lines, wherever these lie."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import regex

from logship.lake.re2 import Re2, of_glob, of_pattern, of_text, of_word
from logship.lake.sql import Truth, truth
from logship.values import Invalid
from logship.view import query, seeking, where
from logship.view.counting import Counting
from logship.view.history import History
from logship.view.items import TimedLine
from logship.view.journal_reader import Journal
from logship.view.language import parse
from logship.view.lines import Line
from logship.view.pipes_result import making_of
from logship.view.select import identify
from supervise.init import events
from tests.logship.lake.lakes import seal
from tests.logship.view.shelf import BORN_MS, Shelf
from tests.logship.view.test_view_where import FAILED, HAPROXY, LINES, TCP
from tests.logship.view.test_view_where import LEAVES as PLAIN_LEAVES

# Patterns of Python as patterns of RE2.

ATOMS = [
    "a", "b", "k", "s", "i", "E", "é", "K", "_", "-", " ", r"\.", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S",
    r"\b", r"\B", "^", "$", ".", "[a-c]", "[^a-c]", r"[\w-]", r"[^\s]", r"[^\W]", r"\x41", r"\t", "[.$]",
    "[é-ü]", "[^é]", r"\/", "[]a]", "[a-]", "[-a]", r"[\]]", "ß", "\u0130", "\u0131", "\u017f", "{", "}",
    "a{", r"\Z", r"\A", "[a&&b]", r"\1", "(?i)", "[[:alpha:]]", "(?=a)", r"\p{L}",
]  # fmt: skip
QUANTITIES = ["", "", "", "", "*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "+?", "++", "{2}?"]
SIGNS = "abckKsSiIE_- .09\t$[]{}/&éüß\u0130\u0131\u017f\u212a\ufffd日\x0b\x1f\x00\r"


def a_pattern(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.4:
        return chance.choice(ATOMS) + chance.choice(QUANTITIES)
    first, second = a_pattern(chance, depth - 1), a_pattern(chance, depth - 1)
    quantity = chance.choice(QUANTITIES)
    return chance.choice(
        [f"{first}{second}", f"({first}|{second}){quantity}", f"(?:{first}){quantity}", f"{first}|{second}"]
    )


def a_text(chance: random.Random) -> str:
    signs = SIGNS[: chance.choice([14, 14, 24, len(SIGNS)])]
    return "".join(chance.choice(signs) for _ in range(chance.randrange(9)))


def hold(found: Re2, texts: list[str], wanted: Callable[[str], bool]) -> None:
    """What it promises of these texts."""
    select = "SELECT text, regexp_matches(text, ?), regexp_matches(text, ?) FROM (SELECT unnest(?) AS text)"
    rows = duckdb.execute(select, [found.may, found.sure, texts]).fetchall()
    for text, may, sure in rows:
        expected = wanted(text)
        assert may or not expected, (found, text)
        assert not text.isascii() or sure == expected, (found, text)
        assert not found.exact or may == expected, (found, text)


def test_patterns_find_in_duckdb_what_they_find_in_python() -> None:
    chance = random.Random(3)
    translated = exact = 0
    for _ in range(1500):
        text, ignore_case = a_pattern(chance, 3), chance.random() < 0.4
        try:
            compiled = regex.compile(text, regex.IGNORECASE if ignore_case else 0)
        except regex.error:
            continue
        found = of_pattern(text, ignore_case)
        if found is not None:
            translated += 1
            exact += found.exact
            texts = [a_text(chance) for _ in range(20)]
            hold(found, texts, lambda said, compiled=compiled: compiled.search(said) is not None)  # type: ignore[misc]
    assert translated > 400
    assert 100 < exact < translated


def test_words_texts_and_values_with_stars_find_in_duckdb_what_they_find_in_python() -> None:
    chance = random.Random(5)
    for _ in range(400):
        text = "".join(chance.choice("abkKsi_*é./ß\u212a\u0131\u01309-") for _ in range(chance.randrange(1, 5)))
        around = ["", "x", " ", "é"]
        texts = [a_text(chance) for _ in range(5)]
        texts += [chance.choice(around) + text.swapcase().replace("*", chance.choice(around)) + chance.choice(around)]
        glob = regex.compile(".*".join(map(regex.escape, re.split(r"\*+", text))), regex.IGNORECASE | regex.DOTALL)
        asked: list[tuple[Re2 | None, Any]] = [
            (of_text(text), regex.compile(regex.escape(text), regex.IGNORECASE).search),
            (of_glob(text), glob.fullmatch),
        ]
        if any(each.isalnum() or each == "_" for each in text):
            asked.append((of_word(text), where._word(text).compiled.search))
        for found, match in asked:
            if found is not None:
                hold(found, texts, lambda said, match=match: match(said) is not None)  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        "a{1001}",
        "(a{40}){60}",
        "(?=a)b",
        r"(a)\1",
        "[a--b]",
        "a{e<=1}",
        r"\p{L}",
        "[[:alpha:]]",
        "(?i)a",
        "a++",
        "(?>a)",
    ],
)
def test_a_pattern_that_is_not_surely_the_same_in_both_is_not_translated(text: str) -> None:
    assert of_pattern(text, False) is None


# Which rows are asked for.


def truth_of(text: str, path: str = "ha/1/haproxy/a") -> Truth:
    node = parse(text)
    assert not isinstance(node, Invalid)
    return truth(node, identify(path, {}), typed=True)


@pytest.mark.parametrize(
    ("text", "sql", "values"),
    [
        ("status:5xx", '("status" >= ? AND "status" <= ?)', (500, 599)),
        ("status:404 -server:*", '("status" = ? AND ("server" IS NOT NULL) IS NOT TRUE)', (404,)),
        ("t_total>1.5s", '"t_total" >= ?', (1501,)),
        ("t_queue<5", '("t_queue" >= ? AND "t_queue" <= ?)', (0, 4)),
        ("t_queue:1.5", "false", ()),
        ("/GET .api/", 'regexp_matches("line", ?)', (r"GET\x{20}[^\n]api",)),
        ("/GET/ or src:ha/1", "true", ()),
        ("/GET/ src:web/*", "false", ()),
    ],
)
def test_what_columns_decide_is_exact_with_bound_values(text: str, sql: str, values: tuple[Any, ...]) -> None:
    found = truth_of(text)
    assert found.is_exact
    assert (found.may.text, found.may.values) == (sql, values)


def test_nothing_that_somebody_types_stands_in_the_sql() -> None:
    for text in ("path:nosuch", "nosuch", '"nosuch"', "/nosuch/", "level:error", "json.k:nosuch", "client_ip:nosuch"):
        assert "nosuch" not in truth_of(text).may.text + truth_of(text).sure.text


# Three hundred questions, each with what it means in plain Python over the raw text; the lines in three places.

Reference = Callable[[str, bytes], bool]
SNAPSHOT = events.line(BORN_MS / 1000, "snapshot", {"v": 1}).decode().rstrip("\n")
RAW: dict[str, list[bytes]] = {path: [line.encode() for line in lines] for path, lines in LINES.items()}
RAW["ha/1/haproxy/a"] += [
    HAPROXY.replace("/api/items?x=1", "/caf%C3%A9/\u00e9?Timeout").encode(),
    HAPROXY.replace("200 295", "404 295").replace("GET", "get").encode(),
    FAILED.encode().replace(b"/ HTTP", b"/\xff\xfe HTTP"),
    b"\xff\xfe timeout \xc3", "timeout\u0301 TIMEOUT \u017ftatus \u212a k".encode(), b"\x00 GET \x1b info\r",
    (HAPROXY + " " + "y" * 17_000 + " timeout").encode(),
]  # fmt: skip
RAW["ha/1/balance/d"] += [
    b'{"status": "none", "level": 30}', b'{"status": 404.0, "path": 5, "level": "INFO"}', b'{"level": "\\u0065rror"}',
    b'{"event": "snapshot", "status": 200}', '{"path": "/\u00e9", "level": "warn"}'.encode(), b'{"path": null}',
]  # fmt: skip
RAW["ha/1/supervise/f"] = [
    SNAPSHOT.encode(),
    b'{"time": "x", "event": "snapshot_of", "status": 5}',
    b"timeout snapshot",
]


def text_of(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def json_of(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text_of(line))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def said_status(path: str, line: bytes) -> Any:
    if text_of(line).startswith("{"):
        return json_of(line).get("status")
    match = re.search(r"\] \S+ \S+ [-\d/+]+ (-?\d+) \+?\d+ - - ", text_of(line))
    return int(match[1]) if match and path.split("/")[2] not in ("serf", "supervisord") else None


def is_number(said: Any, low: float, high: float) -> bool:
    return isinstance(said, int | float) and low <= said <= high


def of_haproxy(path: str, line: bytes) -> bool:
    return said_status(path, line) is not None and not line.startswith(b"{")


def plain(test: Callable[[str, str], bool]) -> Reference:
    return lambda path, line: test(path, text_of(line))


def finds(pattern: str, flags: int = 0) -> Reference:
    return lambda _, line: re.search(pattern, text_of(line), flags) is not None


def status(low: float, high: float) -> Reference:
    return lambda path, line: is_number(said_status(path, line), low, high)


LEAVES: list[tuple[str, Reference]] = [
    *((text, plain(test)) for text, test in PLAIN_LEAVES if "status" not in text and not text.isalnum()),
    *((word, finds(rf"(?<!\w){word}(?!\w)", re.I)) for word in ("get", "Timeout", "info", "404", "x", "caf\u00e9")),
    *((f'"{part}"', finds(re.escape(part), re.I)) for part in ("out ", "T T", "5]")),
    *((f"/{each}/", finds(each)) for each in (r"\d\d\d", r"\bT\w+t\b", "[^ -~]", "GET|get")),
    *((f"/{each}/", finds(each)) for each in (r"x=\d+$", r"^\S+ \[", "(?<=G)ET")),
    ("/timeout/i", finds("timeout", re.I)),
    ("/\ufffd/", lambda _, line: "\ufffd".encode() in line),  # a plain text is looked for in the bytes as they are
    *((f"status>={n}", status(n, 1e9)) for n in (5, 201, 404, 504)),
    *((f"status:{n}", status(n, n)) for n in (200, 404)),
    ("status:2xx", status(200, 299)),
    ("status:*", lambda path, line: said_status(path, line) is not None),
    ("status!=200", lambda path, line: said_status(path, line) not in (None, 200)),
    ("json.level:*", lambda _, line: json_of(line).get("level") is not None),
    ("json.status:404*", lambda _, line: str(json_of(line).get("status")).startswith("404")),
    ("json.user.id:7", lambda _, line: (json_of(line).get("user") or {}).get("id") == 7),
    ("event:snapshot", lambda _, line: json_of(line).get("event") == "snapshot"),
    ("method:GET", lambda path, line: of_haproxy(path, line) and '"get ' in text_of(line).lower()),
    ("path:*\u00c9*", lambda _, line: "\u00e9" in text_of(line) and (b"HTTP" in line or line.startswith(b'{"path'))),
    ("retries:0", lambda path, line: line == TCP.encode() or (of_haproxy(path, line) and b"+2 " not in line)),
]  # fmt: skip


def made(chance: random.Random, depth: int) -> tuple[str, Reference]:
    if depth == 0 or chance.random() < 0.3:
        text, reference = chance.choice(LEAVES)
        return (f"({text})" if " " in text and text[0] not in '"/' else text), reference
    if chance.random() < 0.3:
        text, inner = made(chance, depth - 1)
        return f"{chance.choice(['-', 'not '])}({text})", lambda path, line: not inner(path, line)
    parts = [made(chance, depth - 1) for _ in range(chance.randint(2, 3))]
    if chance.random() < 0.5:
        return f"({' '.join(text for text, _ in parts)})", lambda path, line: all(test(path, line) for _, test in parts)
    return f"({' or '.join(text for text, _ in parts)})", lambda path, line: any(test(path, line) for _, test in parts)


@dataclass
class Place:
    """A store with the same lines; ``history`` reads it."""

    name: str
    shelf: Shelf
    history: History

    def asked(self, text: str, **more: str) -> tuple[Any, Any]:
        """A reading of lines, and the picture that it is of."""
        parameters = {name: [value] for name, value in {"query": text, **more}.items() if value}
        found = query.parse(parameters, self.shelf.now_ms)
        assert isinstance(found, query.Query), found
        return found.wanted, self.history.journal.picture()

    def lines(self, text: str, **more: str) -> list[Line]:
        """All lines that match, in order."""
        wanted, picture = self.asked(text, **more)
        items = self.history.everything(picture, wanted, picture.end, with_open=False)
        return [item.line for item in items if isinstance(item, TimedLine)]

    def last(self, text: str, count: int, **more: str) -> list[Line]:
        """The last ones."""
        wanted, picture = self.asked(text, **more)
        *_, items = self.history.tail(picture, wanted, count, picture.end, with_open=False)
        return [item.line for item in items or () if isinstance(item, TimedLine)]

    def table(self, text: str, **more: str) -> Any:
        """What a pipe makes of them, and how the reading went."""
        parameters = {"query": [text], **{name: [value] for name, value in more.items()}}
        asked = query.parse(parameters, self.shelf.now_ms, query.TABLE_PARAMETERS)
        assert isinstance(asked, query.Query), asked
        assert asked.piped.pipe is not None
        picture = self.history.journal.picture()
        making = making_of(asked.piped.pipe, asked.wanted.since_ms, asked.wanted.until_ms)
        counting = Counting(self.history, picture, asked.wanted, asked.piped.node, making, picture.end, time.monotonic)
        for _ in counting.steps():
            pass
        return making.tables(), counting.progress


def fill(shelf: Shelf, halves: int) -> None:
    """The lines in two halves, of which so many are sealed and gone from the journal."""
    for number in range(2):
        for path, lines in RAW.items():
            if part := lines[number::2]:
                shelf.now_ms += 1000
                shelf.append(path, b"\n".join(part) + b"\n", packed=number == 1)
        shelf.rotate()
        if number == halves - 1:
            seal(shelf.folder)
            shelf.drop_oldest(halves)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    found = []
    for name, drops in (("both", 1), ("journal", 0), ("lake", 2)):
        shelf = Shelf(tmp_path_factory.mktemp(name) / "store")
        fill(shelf, drops)
        found.append(Place(name, shelf, History(Journal(shelf.folder))))
    yield found
    for place in found:
        place.shelf.close()


def test_three_hundred_generated_questions_have_the_same_answers_in_the_journal_and_in_the_lake(
    places: list[Place],
) -> None:
    chance = random.Random(7)
    hits = 0
    for number in range(300):
        text, reference = made(chance, 3)
        wanted = Counter(path for path, lines in RAW.items() for line in lines if reference(path, line))
        hits += 0 < sum(wanted.values()) < sum(map(len, RAW.values()))
        for place in (places[0], places[1 + number % 2]):
            tables, progress = place.table(f"{text} | count by stream", snapshots="1")
            assert {row[0]: row[1] for row in tables[""].rows} == wanted, (place.name, text)
            assert (progress.matched, progress.damaged) == (sum(wanted.values()), 0), (place.name, text)
    assert hits > 150, "questions that find all or nothing prove little"


PIPES = [
    "| count", "| count by status:class, method", "| rate 1m by level", "| count 3s by program", "| count 1d by src",
    "| p50,p99,avg t_total by server", "| max,min,sum bytes 5s by path:bare", "| avg status 2s",
    "| p10 t_queue by kind, state:pair", "| top 3 path", "| top path:shape, level", "| haproxy", "| haproxy by server",
    "| patterns", "| count by client_ip",
    "| avg,max t_total 1m by status:class", "| p50 bytes by status:class, server", "| top 2 status:class",
    "| p50 json.n", "| count by event, level", "| sum t_active by service, instance, backend, frontend",
]  # fmt: skip
"""Of each kind; some have no SQL."""


def test_tables_are_the_same_in_the_journal_and_in_the_lake(places: list[Place]) -> None:
    chance = random.Random(11)
    for number in range(60):
        pipe = PIPES[number % len(PIPES)]
        text = f"{made(chance, 2)[0]} {pipe}" if number >= len(PIPES) else pipe
        more = {}
        if chance.random() < 0.3:
            more["since"] = f"@{BORN_MS / 1000 + chance.randrange(20)}"
        if chance.random() < 0.3:
            more["until"] = f"@{BORN_MS / 1000 + chance.randrange(20)}"
        if chance.random() < 0.2:
            more["grep"], more["exclude"] = chance.choice(["GET", r"\d+", "t"]), chance.choice(["POST", r"\bcaf", "q"])
        if chance.random() < 0.3:
            more["snapshots"] = "1"
        answers = [place.table(text, **more) for place in places]
        for place, (tables, progress) in zip(places, answers, strict=True):
            assert tables == answers[0][0], (place.name, text, more)
            first = answers[0][1]
            assert (progress.matched, progress.hidden) == (first.matched, first.hidden), (place.name, text, more)


@pytest.mark.parametrize("rows_max", [seeking.ROWS_MAX, 2])
def test_lines_are_the_same_in_the_journal_and_in_the_lake_whether_they_are_few_or_many(
    places: list[Place], monkeypatch: pytest.MonkeyPatch, rows_max: int
) -> None:
    monkeypatch.setattr(seeking, "ROWS_MAX", rows_max)
    monkeypatch.setattr(seeking, "MORE", 1)
    chance = random.Random(rows_max)
    for number in range(60):
        text = made(chance, 3)[0] if number else ""
        more = {}
        if chance.random() < 0.3:
            more["since"] = f"@{BORN_MS / 1000 + chance.randrange(20)}"
        if chance.random() < 0.2:
            more["snapshots"] = "1"
        if chance.random() < 0.2:
            more["q"] = chance.choice(["ha", "webapp:serf", "ha/1/haproxy/a"])
        count = chance.choice([1, 3, 10, 100])
        first, *others = [place.lines(text, **more) for place in places]
        assert all(sorted(map(at, found)) == sorted(map(at, first)) for found in others), (text, more)
        for place in places:
            assert place.last(text, count, **more) == place.lines(text, **more)[-count:], (
                place.name,
                text,
                more,
                count,
            )


def at(line: Line) -> tuple[Any, ...]:
    return line.stream, line.offset, line.data, line.received_ms, line.flags


def test_of_a_file_with_many_lines_the_last_ones_are_found_without_a_look_at_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path / "store")
    lines = [f"2026-11-23 19:{n // 60:02}:{n % 60:02},000 GET {n} {'x' if n % 7 else 'rare'}\n" for n in range(3000)]
    for number in range(3):
        shelf.append(f"web/{number}/app/i", "".join(lines).encode())
    shelf.rotate()
    seal(shelf.folder)
    shelf.drop_oldest(1)
    place = Place("lake", shelf, History(Journal(shelf.folder)))
    looked_at = []
    really = seeking.Seeking._few

    def few(*asked: Any) -> Any:
        found = really(*asked)
        looked_at.append(len(found or ()))
        return found

    monkeypatch.setattr(seeking.Seeking, "_few", staticmethod(few))
    try:
        for text in ("", "get", "rare -x", "src:web/1", '"get 29"'):
            assert place.last(text, 5) == place.lines(text)[-5:], text
            place.last(text, 5)
            assert looked_at[-1] <= 3 * (2 * 5 + seeking.MORE), text
    finally:
        shelf.close()
