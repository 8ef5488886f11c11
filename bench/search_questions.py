"""What `make bench-search` asks, of whom, and how the answers are compared before anything is timed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.search_ask import Plain, Viewer, WrongAnswer, timed
from bench.search_lines import Fleet
from bench.search_store import Made

RAW, PACKED, AWK, PLAIN = "ripgrep on raw", "ripgrep on zstd", "awk on raw", "plain DuckDB"
ERRORS = "( 50[34] [0-9]+ - - .*(checkout|orders))"
DEADLOCK = r"\bdeadlock\b after [5-9][0-9][0-9] ms"
PERCENTILE_OFF_MAX = 0.005
"""By so much docs/query.md lets a percentile of many values be off."""

Asked = tuple[Any, float]
"""An answer in a form that all can be brought into, and the seconds it took."""


@dataclass(frozen=True)
class Question:
    """One row or two of the table: ``ours`` beside each of ``others``; ``at_most``: what is wanted of some of them."""

    name: str
    ours: Callable[[Viewer], Asked]
    others: Mapping[str, Callable[[], Asked]]
    at_most: Mapping[str, float]
    same: Callable[[Any, Any], bool] = lambda one, other: bool(one == other)


def questions(made: Made, fleet: Fleet, plain: Plain, rg: str) -> list[Question]:
    """All of them."""
    asking = _Asking(made, fleet, plain, rg)
    return [asking.needle(), asking.regex(), asking.rare_regex(), asking.minute(), asking.histogram(), asking.times()]


@dataclass(frozen=True)
class _Asking:
    made: Made
    fleet: Fleet
    plain: Plain
    rg: str
    haproxy: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "haproxy", [*self.made.texts("ours"), *self.made.texts("stock")])

    def needle(self) -> Question:
        """One request, wherever it left a line."""
        needle = self.fleet.needle()
        return Question(
            "needle: one request id in everything",
            lambda view: _texts(view, query=f'"{needle}"', n="all", bytes="all"),
            {
                RAW: lambda: self._lines("-F", needle),
                PACKED: lambda: self._lines("-F", needle, packed=True),
                PLAIN: lambda: self._plain_lines(f"contains(line, '{needle}')"),
            },
            {RAW: 0.6, PACKED: 0.08},
        )

    def regex(self) -> Question:
        """No word of it helps."""
        return self._count("regex over everything, count", ERRORS, 1.2)

    def rare_regex(self) -> Question:
        """A word of it is in few places."""
        return self._count("regex with a rare whole word, count", DEADLOCK, 0.2)

    def _count(self, name: str, pattern: str, at_most: float) -> Question:
        def ours(view: Viewer) -> Asked:
            answer = view.ask("/api/query", query=f"/{pattern}/ | count")
            return answer.rows()[0][0] if answer.rows() else 0, answer.seconds

        def count(*, packed: bool = False) -> Asked:
            found, seconds = self._ripgrep("-c", pattern, packed=packed)
            return sum(map(int, found.split())), seconds

        def plain() -> Asked:
            rows, seconds = self.plain.ask(f"SELECT count(*) FROM lines WHERE regexp_matches(line, '{pattern}')")
            return rows[0][0], seconds

        others = {RAW: count, PACKED: lambda: count(packed=True), PLAIN: plain}
        return Question(name, ours, others, {PACKED: at_most})

    def minute(self) -> Question:
        """All lines of a minute, whoever wrote them."""
        start = self.fleet.minute()
        end = start + timedelta(minutes=1)
        stamps = (r"\[%d/%b/%Y:%H:%M:", "%Y-%m-%d[T ]%H:%M:", "%Y/%m/%d %H:%M:", "^<78>%b %d %H:%M:")
        pattern = "|".join(start.strftime(stamp) for stamp in stamps)
        return Question(
            "one-minute window with all its lines",
            lambda view: _texts(view, since=f"{start:%FT%TZ}", until=f"{end:%FT%TZ}", n="all", bytes="all"),
            {
                RAW: lambda: self._lines(pattern),
                PLAIN: lambda: self._plain_lines(f"ts >= '{start:%F %T}' AND ts < '{end:%F %T}'"),
            },
            {RAW: 0.05},
        )

    def histogram(self) -> Question:
        """Requests by minute and class."""
        program = '{ if ($6 > 0) n[substr($2, 2, 17) " " substr($6, 1, 1)]++ } END { for (key in n) print key, n[key] }'

        def ours(view: Viewer) -> Asked:
            answer = view.ask("/api/query", query="kind:haproxy | count 1m by status:class")
            return {(_moment(row[0]), int(row[1][0])): row[2] for row in answer.rows()}, answer.seconds

        def awk() -> Asked:
            text, seconds = timed(["awk", program, *self.haproxy])
            rows = [line.split() for line in text.decode().splitlines()]
            found = {(datetime.strptime(at, "%d/%b/%Y:%H:%M"), int(kind)): int(count) for at, kind, count in rows}
            return found, seconds

        def plain() -> Asked:
            rows, seconds = self.plain.ask(
                "SELECT date_trunc('minute', ts), status // 100, count(*) FROM lines "
                "WHERE kind = 'haproxy' AND status > 0 GROUP BY ALL"
            )
            return {(at, kind): count for at, kind, count in rows}, seconds

        others = {AWK: awk, PLAIN: plain}
        return Question("histogram per minute by status class, all", ours, others, {AWK: 0.06})

    def times(self) -> Question:
        """How long the servers took."""
        program = (
            '{ n[substr($4, index($4, "/") + 1) " " substr($(NF - 1), 4)]++ } END { for (key in n) print key, n[key] }'
        )

        def ours(view: Viewer) -> Asked:
            answer = view.ask("/api/query", query="kind:haproxy | p50,p99 t_total by server")
            return {row[0]: tuple(row[1:4]) for row in answer.rows()}, answer.seconds

        def awk() -> Asked:
            text, seconds = timed(["awk", program, *self.made.texts("ours")])
            counts: dict[str, Counter[int]] = {}
            for line in text.decode().splitlines():
                server, value, count = line.split()
                counts.setdefault(server, Counter())[int(value)] += int(count)
            found = {server: (held.total(), _share(held, 0.5), _share(held, 0.99)) for server, held in counts.items()}
            return found, seconds

        def plain() -> Asked:
            rows, seconds = self.plain.ask(
                "SELECT server, count(*), quantile_disc(t_total, 0.5), quantile_disc(t_total, 0.99) FROM lines "
                "WHERE kind = 'haproxy' AND t_total >= 0 GROUP BY server"
            )
            return {row[0]: tuple(row[1:]) for row in rows}, seconds

        others = {AWK: awk, PLAIN: plain}
        return Question("p50, p99 of t_total by server, all", ours, others, {AWK: 0.1}, _near)

    def _lines(self, *words: str, packed: bool = False) -> Asked:
        text, seconds = self._ripgrep(*words, packed=packed)
        return sorted(text.splitlines()), seconds

    def _ripgrep(self, *words: str, packed: bool = False) -> tuple[bytes, float]:
        files = ["-z", *self.made.packed()] if packed else self.made.texts()
        return timed([self.rg, "--no-config", "-I", "-N", "--color=never", "-e", words[-1], *words[:-1], *files])

    def _plain_lines(self, where: str) -> Asked:
        rows, seconds = self.plain.ask(f'SELECT ts, stream, "offset", line FROM lines WHERE {where}')
        return sorted(row[3].encode() for row in rows), seconds


def compare(question: Question, view: Viewer) -> Any:
    """Ask everybody once; the answer. Raises WrongAnswer where they differ, and where nothing was found."""
    found, _ = question.ours(view)
    if not found:
        raise WrongAnswer(f"{question.name}: nothing was found")
    for name, ask in question.others.items():
        other, _ = ask()
        if not question.same(found, other):
            raise WrongAnswer(f"{question.name}: ours says {_short(found)}, {name} says {_short(other)}")
    return found


def _short(found: Any) -> str:
    size = f" ({len(found)} in all)" if hasattr(found, "__len__") else ""
    return f"{str(found)[:300]}{size}"


def _texts(view: Viewer, **parameters: str) -> Asked:
    answer = view.ask("/api/logs", **parameters)
    return sorted(answer.texts()), answer.seconds


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


def _share(held: Counter[int], part: float) -> int:
    """The least value that so many are not above."""
    wanted, seen = math.ceil(held.total() * part), 0
    for value in sorted(held):
        seen += held[value]
        if seen >= wanted:
            return value
    raise AssertionError("a counter without values")


def _near(one: Mapping[str, tuple[int, ...]], other: Mapping[str, tuple[int, ...]]) -> bool:
    """The same groups and counts, and percentiles as near as they are promised to be."""
    if {key: values[0] for key, values in one.items()} != {key: values[0] for key, values in other.items()}:
        return False
    return all(
        math.isclose(mine, theirs, rel_tol=PERCENTILE_OFF_MAX)
        for key, values in one.items()
        for mine, theirs in zip(values[1:], other[key][1:], strict=True)
    )
