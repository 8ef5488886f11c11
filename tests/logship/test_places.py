"""Line numbers of keys in a TOML text."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from logship.places import Places

TEXT = '''# a comment with [brackets] and key = 1
[container]
service = "a" # = trailing [x]

[program.web]
command = [
  "one = two",   # third = 3
  """
multi = "line"
""",
  '[not.a.table]',
]
after=["spool"]
ready = { http = "http://127.0.0.1:1/", status = 200 }

  [program."odd.name"]
  stop.seconds = 3
"quoted key" = \'\'\'
[nor.this]
\'\'\'
last = true
[program.web.restart]
tries = 1
'''


def test_every_key_has_the_line_it_stands_on() -> None:
    assert tomllib.loads(TEXT)
    places = Places(TEXT)
    lines = {
        ("container",): 2,
        ("container", "service"): 3,
        ("program", "web"): 5,
        ("program", "web", "command"): 6,
        ("program", "web", "after"): 13,
        ("program", "web", "ready"): 14,
        ("program", "odd.name"): 16,
        ("program", "odd.name", "stop"): 17,
        ("program", "odd.name", "stop", "seconds"): 17,
        ("program", "odd.name", "quoted key"): 18,
        ("program", "odd.name", "last"): 21,
        ("program", "web", "restart"): 22,
        ("program", "web", "restart", "tries"): 23,
    }
    assert {path: places.line(path) for path in lines} == lines


def test_a_key_in_an_inline_table_has_the_line_of_that_table() -> None:
    assert Places(TEXT).line(("program", "web", "ready", "status")) == 14


def test_a_missing_key_has_the_line_of_the_table_that_lacks_it() -> None:
    assert Places(TEXT).line(("container", "nothing")) == 2
    assert Places(TEXT).line(("elsewhere", "nothing")) == 1


def test_windows_line_ends_do_not_shift_lines() -> None:
    assert Places(TEXT.replace("\n", "\r\n")).line(("program", "web", "restart", "tries")) == 23


@given(st.text(alphabet="ab=.[]{}\"'#\\ \n\r\t,1", max_size=80))
def test_no_text_stops_the_scanner(text: str) -> None:
    """Whatever the text, the scanner comes to its end, and lines stay within the text."""
    places = Places(text)
    assert 1 <= places.line(("a",)) <= text.count("\n") + 1


WORDS = st.text(alphabet="abc =[]#{}.", max_size=12)
VALUES = st.one_of(
    WORDS.map(lambda text: f'"{text}"'),
    WORDS.map(lambda text: f"'''\n{text}\n'''"),
    st.lists(WORDS, max_size=3).map(lambda items: "[\n" + "".join(f'  "{item}", # x = [\n' for item in items) + "]"),
    st.just("{ a = 1, b = { c = [1, 2] } }"),
    st.just("1979-05-27T07:32:00Z # when = now"),
)


@given(st.lists(st.tuples(st.sampled_from("xyz"), VALUES, st.integers(0, 3)), max_size=8))
def test_a_generated_text_has_every_key_where_it_was_put(items: list[tuple[str, str, int]]) -> None:
    text, expected = "", {}
    for number, (letter, value, blank) in enumerate(items):
        text += "\n" * blank
        if letter == "z":
            text += f"[t{number}]\n"
        else:
            text += f"[t{number}] # [no]\n"
        expected[(f"t{number}", f"{letter}{number}")] = text.count("\n") + 1
        text += f"{letter}{number} = {value}\n"
    assert len(tomllib.loads(text)) == len(items)
    places = Places(text)
    assert {path: places.line(path) for path in expected} == expected
