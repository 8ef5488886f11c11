"""docs/supervise-toml.md tells every key with its true default, and its example is a good declaration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from supervise.init.declaration import _CONTAINER, _PROGRAM, _READY, _REQUIRED, _RESTART, _STOP, _TABLES, parse

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "supervise-toml.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, str]:
    """Keys and defaults of the table under a heading."""
    section = TEXT.split(f"\n{heading}\n")[1].split("\n#")[0]
    found = re.findall(r"^\| `([a-z_]+)` \|([^|]*)\|", section, re.MULTILINE)
    return {key: default.strip().strip("`") for key, default in found}


@pytest.mark.parametrize(
    ("heading", "keys", "others"),
    [
        ("## [container]", _CONTAINER, ()),
        ("## [program.NAME]", _PROGRAM, _TABLES),
        ("### ready", _READY, ()),
        ("### restart", _RESTART, ()),
        ("### stop", _STOP, ()),
    ],
)
def test_the_document_has_every_key_with_its_default(heading: str, keys: Any, others: Any) -> None:
    told = rows(heading)
    assert set(told) == {*keys, *others}
    for key, (_, default) in keys.items():
        if default is _REQUIRED:
            assert told[key] == "required"
        elif isinstance(default, bool):
            assert told[key] == str(default).lower()
        elif isinstance(default, int | float):
            assert float(told[key]) == default
        elif isinstance(default, str):
            assert told[key] == f'"{default}"'


def test_the_example_is_a_good_declaration() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    declaration, flaws = parse(example)
    assert flaws == []
    assert declaration is not None
    assert [program.name for program in declaration.programs] == ["spool", "webapp"]
