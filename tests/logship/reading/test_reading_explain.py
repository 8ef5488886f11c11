"""`logship explain`: what HAProxy's lines say, in words."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from logship.reading.explain import LINE, PLACES
from logship.reading.explain_cli import knowledge
from logship.values import Invalid

TREE = Path(__file__).resolve().parents[3]
KNOWN = knowledge()
LETTERS = {
    "cause": "CSPLRIDUKcs-",
    "phase": "RQCHDLT-",
    "cookie_sent": "NIDVEOU-",
    "cookie_set": "NIUPRD-",
}
"""All that HAProxy's manual has (8.5, session state at disconnection)."""
FREQUENT = "-- CC CD cD CH cH CQ CR cR CT LR SC sC SD sD SH sH sQ PC PD PH PR PT RC"
"""The combinations that the manual tells of."""
LOGGED = (
    "192.0.2.7:59304 [24/Nov/2026:03:10:14.750] http app/webapp-2 0/0/1/-1/12 502 151 - - SHVN 64/64/0/0/+2 0/3 "
    '{curl} "GET /x HTTP/1.1" id=01a20b88-58df pid=37 lc=3 tt=12 n=9'
)


def told(word: str) -> str:
    found = KNOWN.explain(word)
    assert not isinstance(found, Invalid), found
    return "\n".join(found)


def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "logship", "explain", *words]
    return subprocess.run(command, cwd=TREE, input=stdin, capture_output=True, text=True, check=False)


def test_every_letter_of_a_state_is_known() -> None:
    assert {place: "".join(sorted(KNOWN.letters[place])) for place in PLACES} == {
        place: "".join(sorted(letters)) for place, letters in LETTERS.items()
    }


def test_every_state_there_can_be_is_told_with_each_of_its_letters() -> None:
    for letters in product(*LETTERS.values()):
        text = told("".join(letters))
        for place, letter in zip(PLACES, letters, strict=True):
            words = re.sub(r"\W+", " ", KNOWN.letters[place][letter]).strip()
            assert words.lower() in re.sub(r"\W+", " ", text).lower(), letters
        assert all(len(line) <= 120 for line in text.splitlines())


def test_the_frequent_pairs_have_a_likely_cause_and_something_to_check() -> None:
    assert set(FREQUENT.split()) <= KNOWN.pairs.keys()
    for pair in KNOWN.pairs.values():
        assert pair.letters[0] in LETTERS["cause"]
        assert pair.letters[1] in LETTERS["phase"]
        assert pair.alarm in ("none", "few", "any")
        assert pair.means.endswith(".")
        assert pair.likely.endswith(".")
        assert pair.check


def test_a_state_of_tcp_mode_has_two_letters() -> None:
    assert told("sC").startswith("sC  The server did not take the connection within timeout connect")
    assert "cookie" not in told("sC")


def test_the_fields_are_those_that_the_design_names_and_are_found_by_name_and_tag() -> None:
    names = """client_ip client_port frontend backend server t_request t_queue t_connect t_response t_active t_total
    status bytes state actconn feconn beconn srvconn retries redispatched srv_queue backend_queue method path version
    request_id pid line_count"""
    assert set(KNOWN.fields) == set(names.split())
    for field in KNOWN.fields.values():
        assert field.means in re.sub(r"\s+", " ", told(field.name))
        assert field.name in told(field.tag)
        assert field.name in told(field.tag.removeprefix("%"))


def test_a_whole_line_tells_what_happened_and_where_the_time_went() -> None:
    text = told(LOGGED)
    assert text.startswith("502 from app/webapp-2, 12 ms\nSHVN  The server closed before its answer's headers")
    assert "t_connect 1 " in text
    assert re.search(r"t_response -1 +They never were", text), "what -1 means there"
    assert "retries +2" in text
    assert "backend_queue 3" in text
    assert "srv_queue" not in text, "nobody waited there"


def test_the_line_of_our_own_template_and_the_stock_one_are_read() -> None:
    template = (TREE / "templates" / "haproxy.cfg.j2").read_text(encoding="utf-8")
    shape = "%ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq"
    assert shape in template, "what LINE reads stands in our format as in `option httplog`"
    found = LINE.search(LOGGED)
    assert found
    assert (found["state"], found["server"], found["retries"]) == ("SHVN", "webapp-2", "+2")


@pytest.mark.parametrize(
    ("word", "hint"), [("t_que", "did you mean t_queue?"), ("sX", "letter 2 is one of - C D"), ("x" * 5000, "no state")]
)
def test_a_word_that_is_not_known_is_exit_status_2_with_what_is_near(word: str, hint: str) -> None:
    result = run("sH--", word)
    assert (result.returncode, result.stdout) == (2, "")
    assert hint in result.stderr
    assert len(result.stderr) < 1000
    assert "hint: logship explain" in result.stderr


def test_the_most_frequent_state_begins_with_a_dash_and_is_no_option() -> None:
    result = run("--VN", "----")
    assert result.returncode == 0
    assert result.stdout.startswith("--VN  A request that went well.")


def test_lines_come_from_standard_input_up_to_a_bound() -> None:
    result = run("-", stdin=f"{LOGGED}\n\n{LOGGED}\n")
    assert result.stdout.count("SHVN  The server closed") == 2
    many = run("-", stdin=f"{LOGGED}\n" * 1001)
    assert (many.returncode, many.stdout) == (2, "")
    assert "1,001 lines" in many.stderr
