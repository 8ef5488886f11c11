"""How settings work in both packages: one name each, as option, environment variable and field.

A setting ``run_dir`` of ``supervise`` is the option ``--run-dir`` where a command offers it, else the variable
``SUPERVISE_RUN_DIR``, else its default. An empty option is a value; an empty variable is one only for text (compose
writes empty variables where nobody set one). The tables themselves are ``supervise/config.py`` and
``logship/config.py``; the environment is read once, in ``__main__.py``.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import Field, field, fields
from typing import Any, TypeVar

from logship.errors import USAGE, Fault

Table = TypeVar("Table")


def setting(default: Any, text: str) -> Any:
    """A field of a frozen dataclass with its line of help; the type of ``default`` reads the text of a value."""
    return field(default=default, metadata={"help": text})


def add_options(parser: argparse.ArgumentParser, table: type[Any], prefix: str, *names: str) -> None:
    """Offer the settings ``names`` of ``table`` as options of a command."""
    by_name = {item.name: item for item in fields(table)}
    for name in names:
        item = by_name[name]
        parser.add_argument(
            _option(name), help=f"{item.metadata['help']} ({prefix}_{name.upper()}, default {item.default})"
        )


def load(table: type[Table], prefix: str, options: argparse.Namespace, environment: Mapping[str, str]) -> Table:
    """Settings from options, then environment, then defaults. Raises Fault (status 2) for a value of the wrong kind."""
    values: dict[str, Any] = {}
    for item in fields(table):  # type: ignore[arg-type]  # a type variable cannot say "some dataclass"
        option, variable = getattr(options, item.name, None), f"{prefix}_{item.name.upper()}"
        if option is not None:
            values[item.name] = _value(item, option, _option(item.name))
        elif environment.get(variable) or (variable in environment and isinstance(item.default, str)):
            values[item.name] = _value(item, environment[variable], variable)
    return table(**values)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _value(item: Field[Any], text: str, place: str) -> Any:
    kind: type[Any] = type(item.default)
    try:
        if text == "" and kind is not str:
            raise ValueError
        return kind(text)
    except ValueError:
        wanted = {"int": "whole number", "PosixPath": "path"}.get(kind.__name__, kind.__name__)
        hint = _in_bytes(text) if kind is int else ""
        raise Fault("take the setting", place, f"{text!r} is no {wanted}", hint or "correct it", USAGE) from None


def _in_bytes(text: str) -> str:
    """What to write for a size with its unit; "" for what is none. K is 1000 and Ki 1024, as their makers say."""
    found = re.fullmatch(r"\s*([0-9]{1,15})\s*([kKMGT])(i?)[bB]?\s*", text)
    if found is None:
        return ""
    number, unit, binary = found.groups()
    power = "KMGT".index(unit.upper()) + 1
    return f"give bytes: {int(number) * (1024 if binary else 1000) ** power}"
