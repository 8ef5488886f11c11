"""One name as option, variable and field."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import pytest

from logship import config, settings
from logship.errors import Fault
from logship.settings import setting


@dataclass(frozen=True)
class Table:
    """One of each kind."""

    some_path: Path = setting(Path("/default"), "a path")
    some_bytes: int = setting(5, "a size")
    some_text: str = setting("text", "a text")


def load(words: list[str], environment: dict[str, str]) -> Table:
    parser = argparse.ArgumentParser()
    settings.add_options(parser, Table, "T", "some_path", "some_bytes", "some_text")
    return settings.load(Table, "T", parser.parse_args(words), environment)


def test_an_option_wins_over_a_variable_and_a_variable_over_the_default() -> None:
    assert load([], {}) == Table()
    assert load([], {"T_SOME_PATH": "/variable"}).some_path == Path("/variable")
    assert load(["--some-path", "/option"], {"T_SOME_PATH": "/variable"}).some_path == Path("/option")
    assert load(["--some-bytes", "7"], {}).some_bytes == 7


def test_an_empty_text_is_a_value_and_an_empty_variable_of_another_kind_is_none() -> None:
    assert load([], {"T_SOME_TEXT": "", "T_SOME_BYTES": "", "T_SOME_PATH": ""}) == Table(some_text="")
    assert load(["--some-text", ""], {"T_SOME_TEXT": "variable"}).some_text == ""


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--some-bytes", "many"], {}, "--some-bytes: 'many' is no whole number"),
        ([], {"T_SOME_BYTES": "1.5"}, "T_SOME_BYTES: '1.5' is no whole number"),
        ([], {"T_SOME_BYTES": "1MiB"}, "T_SOME_BYTES: '1MiB' is no whole number\n  hint: give bytes: 1048576"),
        (["--some-bytes", "2 GB"], {}, "hint: give bytes: 2000000000"),
        (["--some-bytes", "1.5MiB"], {}, "hint: correct it"),
        (["--some-path", ""], {}, "--some-path: '' is no path"),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_fault_that_names_where_it_stands(
    words: list[str], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(Fault) as raised:
        load(words, environment)
    assert said in str(raised.value)
    assert raised.value.status == 2


def test_the_help_of_an_option_names_its_variable_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    config.add_options(parser, "spool_bytes_max")
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    assert "LOGSHIP_SPOOL_BYTES_MAX, default 2147483648" in " ".join(capsys.readouterr().out.split())
