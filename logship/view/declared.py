"""Edge: what ``logship view`` reads of logship.toml: queries and alerts that have names. Read again at SIGHUP.

The file is taken as a whole or not at all, and all that is wrong with it is said at once. Its other tables are
others'.
"""

from __future__ import annotations

import contextlib
import json
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from logship.errors import USAGE, Fault
from logship.places import Places
from logship.spool.layout import stamp
from logship.view import saved
from logship.view.alerts.declaring import ALERTS_MAX, parse_of_all, parse_rule
from logship.view.alerts.rule import OF_ALL, OfAll, Rule
from logship.view.saved import Saved

FILE_BYTES_MAX = 1024 * 1024
QUERIES_MAX = 1000
WEBHOOKS_MAX = 20


@dataclass(frozen=True, slots=True)
class Declared:
    """What a file declares."""

    queries: Mapping[str, Saved] = field(default_factory=dict)
    alerts: Mapping[str, Rule] = field(default_factory=dict)
    of_all: OfAll = field(default_factory=lambda: OfAll(OF_ALL))


class Declaration:
    """The file at ``path`` (None: there is none), as it was when it was taken last. ``now`` is what counts."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.now = Declared() if path is None else read(path)

    def reload(self) -> None:
        """Take the file as it is now. Raises Fault, and then all is as before."""
        if self.path is not None:
            self.now = read(self.path)

    def hang_up(self) -> None:
        """What SIGHUP does; a line says what came of it."""
        try:
            self.reload()
        except Fault as fault:
            said: dict[str, Any] = {"event": "settings refused", "why": str(fault), "in_use": "what was read before"}
        else:
            said = {"event": "settings read" if self.path else "no settings to read", "queries": len(self.now.queries)}
            said["alerts"] = len(self.now.alerts)
        with contextlib.suppress(OSError):
            print(json.dumps({"time": stamp(time.time()), **said}), flush=True)


def read(path: Path) -> Declared:
    """What the file says. Raises Fault (status 2) that names each line that is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise _fault(path, f"it is larger than {FILE_BYTES_MAX} bytes", "is it the right file?")
        text = data.decode()
        tables = tomllib.loads(text)
    except OSError as error:
        raise _fault(path, str(error.strerror), "give a file that can be read") from None
    except ValueError as error:  # no TOML, no UTF-8
        raise _fault(path, str(error), "correct it") from None
    reading = _Reading(path, Places(text))
    queries = reading.queries(tables.get("query", {}))
    of_all = reading.of_all(tables.get("alerts", {}))
    alerts = reading.alerts(tables.get("alert", {}), of_all, queries)
    reading.check()
    return Declared(queries, alerts, of_all)


class _Reading:
    """One reading of a file; what is wrong is gathered."""

    def __init__(self, path: Path, places: Places) -> None:
        self._path, self._places = path, places
        self._faults: list[tuple[int, str, str]] = []

    def queries(self, table: Any) -> dict[str, Saved]:
        """``[query.NAME]``."""
        found = {}
        for name, one in self._tables("query", table, QUERIES_MAX).items():
            read_one = saved.parse_saved(name, one)
            if isinstance(read_one, saved.Fault):
                self._wrong(["query", name, read_one.key], read_one.cause, read_one.hint)
            else:
                found[name] = read_one
        return found

    def of_all(self, table: Any) -> OfAll:
        """``[alerts]``."""
        if not isinstance(table, dict):
            self._wrong(["alerts"], "alerts is no table", "write [alerts]; one alert is [alert.NAME]")
            return OfAll(OF_ALL)
        found = parse_of_all(table)
        if isinstance(found, OfAll):
            return found
        self._wrong(["alerts", found.key], found.cause, found.hint)
        return OfAll(OF_ALL)

    def alerts(self, table: Any, of_all: OfAll, queries: Mapping[str, Saved]) -> dict[str, Rule]:
        """``[alert.NAME]``."""
        found = {}
        for name, one in self._tables("alert", table, ALERTS_MAX).items():
            rule = parse_rule(name, one, of_all, queries)
            if isinstance(rule, Rule):
                found[name] = rule
            else:
                self._wrong(["alert", name, rule.key], rule.cause, rule.hint)
        if len({rule.webhook for rule in found.values()}) > WEBHOOKS_MAX:
            self._wrong(["alert"], f"they have more than {WEBHOOKS_MAX} webhooks", "let one program pass them on")
        return found

    def _tables(self, of: str, table: Any, most: int) -> dict[str, dict[str, Any]]:
        """The tables in a table, those that are ones."""
        if not isinstance(table, dict):
            self._wrong([of], f"{of} is no table", f"write [{of}.NAME]")
            return {}
        for name, one in table.items():
            if not isinstance(one, dict):
                self._wrong([of, name], f"{of}.{name} is no table", f"write [{of}.{name}]")
        if len(table) > most:
            self._wrong([of], f"there are more than {most} of them", "leave some out")
        return {name: one for name, one in table.items() if isinstance(one, dict)}

    def _wrong(self, place: list[str], cause: str, hint: str) -> None:
        self._faults.append((self._places.line([part for part in place if part]), cause, hint))

    def check(self) -> None:
        """Raises Fault where anything was wrong."""
        if not self._faults:
            return
        (line, cause, hint), *others = sorted(self._faults)
        more = "".join(f"\n{self._path}:{at}: {why}; {what}" for at, why, what in others)
        raise _fault(f"{self._path}:{line}", cause, f"{hint}{more}")


def _fault(where: object, cause: str, hint: str) -> Fault:
    return Fault("take the settings of", str(where), cause, hint, USAGE)
