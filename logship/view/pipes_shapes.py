"""Core: the shape of a line: what changes from line to line masked, so that lines that say the same are the same."""

from __future__ import annotations

import re

CHARACTERS_MAX = 1000
"""So much of a line is looked at."""
SHAPE_MAX = 256
NUMBER, ID, ADDRESS, TIME, VALUE = "<n>", "<id>", "<addr>", "<time>", '"*"'
KEPT = frozenset({"event", "level", "message", "msg", "error"})
"""Keys of JSON whose values say what a line is: they keep their words."""

_MASKED = re.compile(
    r'(?P<value>"(?:\\.|[^"\\])*"|(?<!\w)\'[^\']*\'(?!\w))'
    r"|(?P<time>\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\.\d+)?(?: [+-]\d{4})?"
    r"|\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\b|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b)"
    r"|(?P<id>\b[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}\b"
    r"|\b(?=[0-9A-Fa-f]*\d)(?=[0-9A-Fa-f]*[A-Fa-f])[0-9A-Fa-f]{8,}\b|\b0x[0-9A-Fa-f]+\b)"
    r"|(?P<address>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|(?<![\w:])(?=[0-9A-Fa-f:]*::|(?:[0-9A-Fa-f]{1,4}:){7})[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]))"
    r"|(?P<number>(?<!\w)[-+]?\d+(?:\.\d+)?|\d+)"
    r"|(?P<space>\s+)|(?P<sequence>\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~])"
)
_KEY = re.compile(r'"([^"\\]*)"\s*:\s*$')
_KEY_CHARACTERS_MAX = 80
_MASKS = {"time": TIME, "id": ID, "address": ADDRESS, "number": NUMBER, "space": " ", "sequence": ""}


def shape(text: str) -> str:
    """The shape of a line, cut at SHAPE_MAX."""
    found = _masked(text[:CHARACTERS_MAX].strip(), deep=True)
    return found if len(found) <= SHAPE_MAX else f"{found[:SHAPE_MAX]}…"


def _masked(text: str, deep: bool) -> str:
    def mask(match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        if kind != "value":
            return _MASKS[kind]
        if not deep or match[0][0] == "'":
            return VALUE
        if text[match.end() :].lstrip()[:1] == ":" and text.startswith("{"):
            return match[0]  # a key
        key = _KEY.search(text, max(0, match.start() - _KEY_CHARACTERS_MAX), match.start())
        if key is not None and key[1] in KEPT:
            return f'"{_masked(match[0][1:-1], deep=False)}"'
        return VALUE

    return _MASKED.sub(mask, text)
