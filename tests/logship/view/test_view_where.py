"""What a query means for lines: each sign by example, and generated queries against a plain reference."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from logship.values import Invalid
from logship.view.fields import of_line
from logship.view.language import parse
from logship.view.select import Slow, identify
from logship.view.where import Where

HAPROXY = (
    "172.28.0.1:44084 [30/Nov/2026:13:05:29.594] http app/5928e7c68bdc-172-28-0-5 0/0/0/9/10 200 295 - - --VN "
    "19/18/2/1/0 0/0 "
    '"GET /api/items?x=1 HTTP/1.1" id=01a22c8f-77fb-7da6-a9e7-2b277b1b5a97 pid=42 lc=43506 tt=1500 n=43507'
)
FAILED = (
    "192.0.2.9:50000 [30/Nov/2026:13:05:30.000] http app/<NOSRV> 3/-1/-1/-1/5 503 217 - - sQ-- 3/3/3/0/+2 4/7 "
    '{a b} {} "POST / HTTP/1.1" '
)
STOCK = (
    "<134>Nov 30 13:05:29 host haproxy[7]: 192.0.2.9:1 [30/Nov/2026:13:05:29.594] web~ app/s1 0/0/0/9/10 404 295 "
    "- - ---- 1/1/0/0/0 0/0 "
    '"GET /old HTTP/1.1"'
)
TCP = "192.0.2.9:1 [30/Nov/2026:13:05:29.594] sql db/db1 0/1/3000 212 cD 1/1/0/0/0 0/0"
SERF = "    2026/11/30 13:05:25 [WARN] serf: EventMemberLeave: 38e2e6dbeff8 172.28.0.4"
SUPERVISORD = "2026-11-30 13:05:25,123 CRIT Supervisor is running as root"
EVENT = '{"time": "2026-11-30T13:05Z", "level": "info", "event": "generation", "n": 13, "user": {"id": 7, "ok": true}}'
ERROR = '{"status": 404, "path": "/x", "level": "error", "t_total": "2s"}'
LINES = {
    "ha/1/haproxy/a": [HAPROXY, FAILED, "[NOTICE] (7) : New worker (9) forked", "", "caf\xe9 au lait", TCP],
    "webapp/2/serf/b": [SERF, "no time, no level: Timeout", "timeout_ms and time-out"],
    "ha/1/supervisord/c": [SUPERVISORD],
    "ha/1/balance/d": [
        EVENT,
        "{broken",
        ERROR,
        '["a list"]',
    ],
    "web-9/host/file/e": [STOCK, "plain words: Error 500, path=/x", "a\tb \x1b[31mred\x1b[0m"],
}


def found(query: str) -> list[str]:
    node = parse(query)
    assert not isinstance(node, Invalid), node
    result = []
    for path, lines in LINES.items():
        test = Where(node).of(identify(path, {}))
        for line in lines:
            if test if isinstance(test, bool) else test(line.encode("utf-8")):
                result.append(line)
    return result


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("TIMEOUT", ["no time, no level: Timeout"]),
        ("timeout*", ["no time, no level: Timeout", "timeout_ms and time-out"]),
        ("*out", ["no time, no level: Timeout", "timeout_ms and time-out"]),
        ("time-out", ["timeout_ms and time-out"]),
        ('"time, no"', ["no time, no level: Timeout"]),
        ("caf\xe9", ["caf\xe9 au lait"]),
        ("caf", []),
        ("/T[io]me/", ["no time, no level: Timeout"]),
        (r"/\x1b\[31m/", ["a\tb \x1b[31mred\x1b[0m"]),
        ("status:200", [HAPROXY]),
        ("status:5xx", [FAILED]),
        ("status:400..404", [ERROR, STOCK]),
        ("kind:haproxy status!=200", [FAILED]),
        ("kind:haproxy -status:200 -status:*", LINES["ha/1/haproxy/a"][2:]),
        ("t_response:-1", [FAILED]),
        ("t_response<100", [HAPROXY, STOCK]),
        ("t_total>1s", [HAPROXY, TCP, ERROR]),
        ("t_total>=1.5s t_total<=1500ms", [HAPROXY]),
        ("retries>0", [FAILED]),
        ("redispatched:1", [FAILED]),
        ("srv_queue:4 backend_queue:7", [FAILED]),
        ("state:sQ*", [FAILED]),
        ("state:cd", [TCP]),
        ("server:<NOSRV>", [FAILED]),
        ("path:/api/*", [HAPROXY]),
        ("path:/items/", [HAPROXY]),
        ('path:"/"', [FAILED]),
        ("method:post", [FAILED]),
        ("request_id:01a22c8f-* pid:42 line_count:43506", [HAPROXY]),
        ("client_ip:192.0.2.9 -kind:haproxy", [STOCK]),
        ("frontend:web~", [STOCK]),
        ("level:warning", [SERF]),
        ("level:notice", ["[NOTICE] (7) : New worker (9) forked"]),
        ("level>=error", [SUPERVISORD, ERROR]),
        ("event:generation", [EVENT]),
        ("json.n:13 json.user.id=7 json.user.ok:true", [EVENT]),
        ("json.n>12", [EVENT]),
        ("json.n:1*", [EVENT]),
        ("src:webapp/* -level:*", ["no time, no level: Timeout", "timeout_ms and time-out"]),
        ("program:supervisord or event:*", [SUPERVISORD, EVENT]),
        ("service:web*", LINES["webapp/2/serf/b"] + LINES["web-9/host/file/e"]),
        ("stream:ha/1/balance/d list", ['["a list"]']),
    ],
)
def test_a_query_finds_these_lines(query: str, lines: list[str]) -> None:
    assert found(query) == lines


@pytest.mark.parametrize("kind", ["haproxy", "plain"])
@pytest.mark.parametrize(
    "part",
    ["x", "1:", "a:1 [", "a:1 [] a a/a ", '"', HAPROXY.partition(' "')[0] + " ", TCP.rpartition(" ")[0] + " "],
)
def test_fields_of_a_line_of_a_mebibyte_are_looked_for_once_not_from_each_of_its_bytes(kind: str, part: str) -> None:
    """From each byte, or each word, on to the end it would take hours."""
    assert of_line(kind, part * (1 << 20 if len(part) == 1 else (1 << 20) // len(part))).get("status") is None


def test_a_line_of_haproxy_is_one_behind_any_header_of_syslog() -> None:
    for header in (
        "",
        "<134>1 2026-11-30T13:05:29.594+01:00 host-9 haproxy 7 - - ",
        "Nov 30 13:05:29 10.0.0.1:514 haproxy[7]: ",
    ):
        assert of_line("plain", header + HAPROXY).get("status") == 200
        assert of_line("haproxy", header + TCP).get("t_total") == 3000
    assert of_line("haproxy", f"a line that quotes {HAPROXY}").get("status") == 200


def test_a_number_that_no_float_can_hold_is_none_and_stops_no_reading() -> None:
    node = parse("json.n>12")
    assert not isinstance(node, Invalid)
    test = Where(node).of(identify("a/b/c/d", {}))
    assert not isinstance(test, bool)
    assert [test(text) for text in (b'{"n": 13}', b'{"n": 1%s}' % (b"0" * 400), b'{"n": 1e999}')] == [
        True,
        False,
        False,
    ]


def test_streams_in_which_nothing_can_match_need_not_be_read() -> None:
    def decided(query: str) -> list[bool | None]:
        node = parse(query)
        assert not isinstance(node, Invalid)
        tests = [Where(node).of(identify(path, {})) for path in LINES]
        return [test if isinstance(test, bool) else None for test in tests]

    assert decided("src:webapp/2 timeout") == [False, None, False, False, False]
    assert decided("src:webapp/2 or kind:haproxy") == [True, True, False, False, False]
    assert decided("-src:webapp/2") == [True, False, True, True, True]
    assert decided("src:webapp/2 or timeout") == [None, True, None, None, None]


def test_a_pattern_that_takes_for_ever_is_stopped() -> None:
    node = parse(r"/(a|aa)+$/")
    assert not isinstance(node, Invalid)
    test = Where(node).of(identify("a/b/c/d", {}))
    assert not isinstance(test, bool)
    with pytest.raises(Slow):
        test(b"a" * 5000 + b"b")


# Queries made by chance, each with what it means written down beside it in plain Python over the raw text.

Reference = Callable[[str, str], bool]
STATUS = re.compile(r" (\d{3}) \d+ - - ")


def status(line: str) -> int | None:
    match = STATUS.search(line)
    return int(match[1]) if match else None


def has(word: str) -> Reference:
    return lambda _path, line: word.lower() in re.split(r"\W+", line.lower())


LEAVES: list[tuple[str, Reference]] = [
    *((word, has(word)) for word in ("get", "Timeout", "info", "serf", "404", "x", "nothing")),
    *((f'"{text}"', lambda _, line, text=text: text.lower() in line.lower()) for text in ("no ", "HTTP/1.1", "/")),
    ("/[0-9]{5}/", lambda _, line: re.search("[0-9]{5}", line) is not None),
    *(
        (f"kind:haproxy status>={n}", lambda path, line, n=n: "haproxy" in path and (status(line) or 0) >= n)
        for n in (200, 201, 504)
    ),
    ("kind:haproxy status:2xx", lambda path, line: "haproxy" in path and (status(line) or 0) // 100 == 2),
    ("src:ha/1", lambda path, _: path.startswith("ha/1/")),
    ("program:s*", lambda path, _: path.split("/")[2].startswith("s")),
]


def made(chance: random.Random, depth: int) -> tuple[str, Reference]:
    if depth == 0 or chance.random() < 0.3:
        text, reference = chance.choice(LEAVES)
        return (f"({text})" if " " in text and not text.startswith('"') else text), reference
    if chance.random() < 0.3:
        text, inner = made(chance, depth - 1)
        return f"{chance.choice(['-', 'not '])}({text})", lambda path, line: not inner(path, line)
    parts = [made(chance, depth - 1) for _ in range(chance.randint(2, 3))]
    if chance.random() < 0.5:
        join = chance.choice([" ", " and "])
        return f"({join.join(text for text, _ in parts)})", lambda path, line: all(
            test(path, line) for _, test in parts
        )
    return f"({' or '.join(text for text, _ in parts)})", lambda path, line: any(test(path, line) for _, test in parts)


def test_three_hundred_generated_queries_find_what_the_reference_finds() -> None:
    chance = random.Random(7)
    hits = 0
    for _ in range(300):
        query, reference = made(chance, 3)
        wanted = [line for path, lines in LINES.items() for line in lines if reference(path, line)]
        assert found(query) == wanted, query
        hits += 0 < len(wanted) < sum(map(len, LINES.values()))
    assert hits > 150, "queries that find all or nothing prove little"
