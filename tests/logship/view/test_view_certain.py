"""What a query is sure of: no line that it matches is without the tokens that it is said to have."""

from __future__ import annotations

import json
import os
import random
import re

import pytest
import regex

from logship.lake.tokens import Either, Every, Has, Need, answered, keys, readings
from logship.values import Invalid
from logship.view.certain import certain
from logship.view.certain_pattern import pieces_of
from logship.view.language import parse
from logship.view.select import identify, parse_pattern
from logship.view.where import Where
from tests.logship.view.test_view_where import LINES

CASES = int(os.environ.get("LOGSHIP_TEST_CERTAIN_CASES", "3000"))
WORDS = (
    "deadbeef", "request", "timeout_ms", "ABCDEFGHIJ", "01a22c8f", "2b277b1b5a97", "7da6", "task\u017f", "mi\u212ae",
    "stra\u00dfe", "STRASSE", "\u0130stanbul", "d\u0131rect", "caf\u00e9s", "\ufb01nished", "12345678",
    "1234567.25", "1e22", "successs", "zzzzzzzzz1111",
)  # fmt: skip
SIGNS = (" ", " ", "-", ":", "/", ".", '"', "\\", "\u2013", "\ufffd", "", "=", "\\n", "\t", "'", "_")
SIGNS_OF_PATTERNS = (
    "a", "request", " ", ".", "*", "+?", "(", ")", "(?:", "|", "[", "]", "^", "\\b", "\\", "{2}", "{", "$",
)  # fmt: skip
NUMBERS = (
    "12345678",
    "12345678.0",
    "1.2345678e7",
    "1234567812e-2",
    "123456789012345678901.5",
    "1E22",
    "Infinity",
    "true",
)
IDENTITY = identify("web/1/app/i", {})


def certain_of(query: str) -> Need | None:
    node = parse(query)
    assert not isinstance(node, Invalid), node
    return certain(node)


def told(need: Need | None) -> str:
    """As a text: & binds what all holds, | what one of holds."""
    if need is None:
        return "-"
    if isinstance(need, Has):
        return need.key.decode()
    return f"({(' & ' if isinstance(need, Every) else ' | ').join(map(told, need.parts))})"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("timeout", "timeout"),
        ("Deadbeef01", "(deadbeef & adbeef01)"),
        ("time", "-"),
        ("timeout*", "-"),
        ("timeouts_*", "timeouts"),
        ("*timeouts", "timeouts"),
        ("abc/orders*ghijk-x", "-"),
        ("abc/orders/1*ghijk-x", "orders"),
        ("01a22c8f-77fb-7da6-a9e7-2b277b1b5a97", "(01a22c8f & 2b277b1b & 7b1b5a97)"),
        ('"01a22c8f-77fb-7da6-a9e7-2b277b1b5a97"', "(01a22c8f & 2b277b1b)"),
        ('"deadbeef01"', "-"),
        ('"a connection refused"', "(connecti & nnection)"),
        ('"connection refused"', "nnection"),
        ("request alpha99", "(request & alpha99)"),
        ("request or alpha99", "(request | alpha99)"),
        ("request or status:200", "-"),
        ("request status:200 level>=error kind:haproxy", "request"),
        ("-request", "-"),
        ("path:/api/orders/*", "orders"),
        ("path:/api/orders*", "-"),
        ('path:"/STRA\u00dfE/x"', "strasse"),
        ("path!=/api/orders/1", "-"),
        ("src:webapp/2", "-"),
        ("json.id:12345678", "12345678"),
        ("json.id:12345678.5", "-"),
        ("json.id:12345678*", "-"),
        ("json.id:1234567a*", "1234567a"),
        (r"json.message:/\bTraceback \(most/", "(tracebac & raceback)"),
        (r"/\bdeadlock\b after [5-9][0-9][0-9] ms/", "(deadlock & after)"),
        ("/deadlock/", "-"),
        ("/ deadlock /i", "deadlock"),
        ("/(?i) deadlock /", "deadlock"),
        ("/^request: (alpha99|beta_8) x/", "request"),
        ("/ (alpha99 |beta888 )/", "-"),
        ("/x( alpha99 | beta888 )/", "(alpha99 | beta888)"),
        (r"/(^|\s)request(:| )/", "request"),
        ("/ alpha(9)9 /", "alpha99"),
        ("/ request( timeout )?/", "-"),
        ("/ request ( timeout )?/", "request"),
        ("/( request )+x/", "request"),
        ("/ reques?t /", "-"),
        ("/ request +/", "request"),
        ("/ request[ :]/", "request"),
        ("/ request[ a]/", "-"),
        (r"/ request[^\w]/", "request"),
        ("/ request[^x]/", "-"),
        (r"/(?<!\w)request(?!\w)/", "request"),
        (r"/(?<!x)request /", "-"),
        (r"/ request .*\Bx/", "request"),
        (r"/(?:deadlock){e<=1} request /", "-"),
        (r"/\p{L} request /", "-"),
    ],
)
def test_a_query_is_sure_of_these(query: str, said: str) -> None:
    assert told(certain_of(query)) == said


def test_a_pattern_beside_the_query_counts_too() -> None:
    grep = parse_pattern(" deadlock ", False)
    assert not isinstance(grep, Invalid)
    node = parse("request")
    assert not isinstance(node, Invalid)
    assert told(certain(node, grep)) == "(request & deadlock)"
    assert told(certain(None, grep)) == "deadlock"
    assert certain(None) is None


def a_text(chance: random.Random) -> str:
    return "".join(chance.choice(WORDS) + chance.choice(SIGNS) for _ in range(chance.randrange(1, 7)))


def a_line(chance: random.Random) -> str:
    """Plain, HAProxy's, or JSON with escapes where they need not be."""
    kind = chance.randrange(4)
    if kind == 0:
        line = chance.choice([line for lines in LINES.values() for line in lines])
        return line.replace("/api/items", "/" + re.sub(r'[\s"]', "", a_text(chance)))
    if kind > 1:
        return a_text(chance)
    is_ascii = chance.random() < 0.5
    value = chance.choice([json.dumps(a_text(chance), ensure_ascii=is_ascii), chance.choice(NUMBERS)])
    text = f'{{"a": {value}, "path": {json.dumps(a_text(chance), ensure_ascii=is_ascii)}}}'
    at = [place for place in range(len(text)) if text[place].isalpha() and text[place - 1] in " abcdefgh"]
    for place in chance.sample(at, min(len(at), chance.randrange(3)))[:1]:
        text = f"{text[:place]}\\u{ord(text[place]):04x}{text[place + 1 :]}"
    return text


def a_slice(chance: random.Random, text: str) -> str:
    if not text:
        return "request"
    start = chance.randrange(len(text))
    return text[start : start + chance.randrange(1, 40)]


def cased(chance: random.Random, text: str) -> str:
    return chance.choice([text, text, text.upper(), text.lower(), text.casefold(), text.swapcase()])


def a_pattern(chance: random.Random, text: str) -> str:
    """A pattern made of a part of the text, mostly still one that finds it."""
    parts = []
    for each in re.findall(r"\w+|\W", text):
        choice = chance.randrange(14)
        if choice == 0:
            parts.append(r"\w+" if each[0].isalnum() else r"\W")
        elif choice == 1:
            parts.append(f"({re.escape(each)})")
        elif choice == 2:
            parts.append(f"(?:{re.escape(each)}|xyz {re.escape(each[::-1])} )")
        elif choice == 3:
            parts.append(f"{re.escape(each)}{chance.choice('?*+')}")
        elif choice == 4:
            parts.append(rf"\b{re.escape(each)}\b" if each[0].isalnum() else re.escape(each))
        elif choice == 5:
            parts.append(f"(?:{re.escape(each)}){{1,2}}")
        elif choice == 6:
            parts.append(f"[{re.escape(each[0])}]{re.escape(each[1:])}")
        elif choice == 7:
            parts.append(re.sub(r"(\w)\1+$", r"\1+", re.escape(each)))
        else:
            parts.append(re.escape(each))
    return "".join(parts)


def a_part(chance: random.Random, line: str) -> str:
    source = line
    name = ""
    if line.startswith("{") and chance.random() < 0.7:
        try:
            said = json.loads(line)
        except ValueError:
            said = {"path": line}
        key = chance.choice(["json.a", "path"])
        source = str(said.get(key.removeprefix("json."), ""))
        source = "true" if source == "True" else source
        name = f"{key}:"
    elif not line.startswith("{") and chance.random() < 0.2:
        name, source = "path:", (re.search(r' (/[^" ]*)', line) or re.match("()", line))[1]  # type: ignore[index]
    text = a_slice(chance, source) if chance.random() < 0.6 else source
    choice = chance.randrange(4)
    if choice == 0:
        return f"{name}/{a_pattern(chance, text).replace('/', chr(92) + '/')}/{chance.choice(['', 'i'])}"
    if choice == 1:
        escaped = cased(chance, text).replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}"{escaped}"'
    words = [word for word in re.split(r"[\s()\"]+", cased(chance, text)) if word]
    word = chance.choice(words) if words else "request"
    if name:
        globs = [f"*{word}*"] if re.search(r'[\s()"]', source) else [source, f"*{word}*", f"{word}*", f"*{word}"]
        word = chance.choice(globs)
    elif chance.random() < 0.3:
        at = chance.randrange(len(word))
        word = f"{word[:at]}*{word[at + chance.randrange(3) :]}"
    return name + word


def a_query(chance: random.Random, line: str) -> str:
    parts = [a_part(chance, line) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
    return chance.choice([" ", " ", " or "]).join(parts)


def test_no_line_that_a_query_matches_is_without_what_it_is_sure_of() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    matched = 0
    for _ in range(CASES):
        line = a_line(chance).replace("\n", " ")
        query = a_query(chance, line)
        node = parse(query)
        if isinstance(node, Invalid):
            continue
        need = certain(node)
        test = Where(node).of(IDENTITY)
        content = line.encode("utf-8", "surrogatepass")
        if need is None or isinstance(test, bool) or not test(content):
            continue
        matched += 1
        held = {key for reading in (content, *readings(content)) for key in keys(reading)}
        assert answered(need, lambda key, held=held: int(key in held)), (line, query, told(need))  # type: ignore[misc]
    assert matched > CASES // 20


def test_patterns_are_cut_into_pieces_or_not_understood_at_all_whatever_they_are() -> None:
    """What is understood compiles; what cannot be does no harm."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    understood = 0
    for _ in range(3000):
        text = "".join(chance.choice(SIGNS_OF_PATTERNS) for _ in range(chance.randrange(9)))
        found = pieces_of(text)
        try:
            regex.compile(text)
        except regex.error:
            continue
        understood += found is not None
    assert understood > 200


def test_either_and_every_are_answered_by_group() -> None:
    ask = {b"a": 0b0011, b"b": 0b0110, b"c": 0b1000}.__getitem__
    assert answered(Every((Has(b"a"), Has(b"b"))), ask) == 0b0010
    assert answered(Either((Has(b"a"), Every((Has(b"b"), Has(b"c"))))), ask) == 0b0011
