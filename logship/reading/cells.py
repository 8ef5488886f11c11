"""Core: lines as rows of CSV: the columns of the field table, quoted as RFC 4180 says.

A spreadsheet takes a cell that begins with one of FORMULA for a formula and runs it, and what stands in a log line was
often chosen by a stranger. Such a text gets a ``'`` before it, unless one asks for it as it is; numbers stay.
"""

from __future__ import annotations

import base64
import csv
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from logship.values import Invalid
from logship.view.fields import FIELDS, JSON, of_line
from logship.view.select import Identity

OWN = ("time", "stream", "offset", "src", "service", "instance", "program", "kind", "flags", "line", "base64")
"""Columns that are not fields of a line, but where it stands and what it is; ``base64`` where it is no UTF-8."""
COLUMNS = (*OWN[:8], *(name for name, field in FIELDS.items() if not field.of_stream), *OWN[8:])
FORMULA = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)


class _Text(Protocol):
    def write(self, text: str, /) -> Any: ...


def columns(text: str) -> tuple[str, ...] | Invalid:
    """The columns that a list with commas names."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in COLUMNS and not (name.startswith(JSON) and len(name) > len(JSON)):
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(COLUMNS)}, json.KEY"
            return Invalid(f"no field is called {name[:60]!r}{hint}")
    return names or Invalid("it names no field")


class Rows:
    """Writes rows to ``out``. ``formulas``: texts are written as they are."""

    def __init__(self, out: _Text, names: Sequence[str], *, formulas: bool) -> None:
        self._writer = csv.writer(out)
        self._names = names
        self._formulas = formulas
        self.neutralised = 0

    def head(self) -> None:
        """The names of the columns."""
        self._writer.writerow(self._names)

    def line(self, record: Mapping[str, Any], identity: Identity) -> None:
        """A line, as the API gives it."""
        text = base64.b64decode(record["base64"]).decode("utf-8", "replace") if "base64" in record else record["text"]
        found: dict[str, Any] = dict(of_line(identity.kind, text))
        found |= {
            "time": record["time"], "stream": record["stream"], "offset": record["offset"], "src": identity.place,
            "service": identity.service, "instance": identity.instance, "program": identity.program,
            "kind": identity.kind, "flags": " ".join(record.get("flags", ())), "line": text,
            "base64": record.get("base64"),
        }  # fmt: skip
        self._writer.writerow([self._cell(found.get(name)) for name in self._names])

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        text = str(value)
        if self._formulas or not text or text[0] not in FORMULA or _NUMBER.fullmatch(text):
            return text
        self.neutralised += 1
        return f"'{text}"
