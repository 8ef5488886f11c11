r"""Core: texts and patterns of a query -> patterns of RE2, which DuckDB has, and where those find the same.

Patterns are Python's. RE2 knows no letters beyond ASCII for ``\w``, ``\d``, ``\s`` and ``\b``, and folds case a little
differently; so of each there are two: ``sure`` finds exactly the same in ASCII, ``may`` finds in any text at least what
Python finds. What is not regular (looking around, references) or not written the same way in both is not translated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SIZE_MAX = 2_000
"""Signs of a pattern with its repetitions written out: RE2 refuses one that takes too much memory."""
REPEATS_MAX = 1_000
"""RE2's own bound of ``{n}``."""
DEPTH_MAX = 20
_BEYOND = r"\x{80}-\x{10FFFF}"
_LETTER = "0-9A-Za-z_"
_CLASSES = {"d": "0-9", "w": _LETTER, "s": r"\t-\r "}
_NOT_CLASSES = {
    "D": r"\x00-/:-\x7F",
    "W": r"\x00-/:-@\[-\^`{-\x7F",
    "S": r"\x00-\x08\x0E-\x1F!-\x7F",
}
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_FOLDED_INTO_ASCII = frozenset("\u0130\u0131\u017f\u212a")
"""Beyond ASCII and, whatever its case, a letter of it: dotted and dotless i, long s, the Kelvin sign."""
_QUANTITY = re.compile(r"\{(\d{0,4})(,?)(\d{0,4})\}")


@dataclass(frozen=True, slots=True)
class Re2:
    """What finds a pattern. ``exact``: ``may`` finds the same in any text, so ``sure`` is not needed."""

    may: str
    sure: str
    exact: bool


@dataclass(frozen=True, slots=True)
class _Piece:
    may: str
    sure: str
    size: int = 1
    repeats: bool = True  # whether a quantity may follow


class _NotTheSame(Exception):
    """A part that is not written, or not meant, the same way in both."""


def of_text(text: str) -> Re2 | None:
    """A text as it stands, whatever its case."""
    if not _is_plain(text):
        return None
    return _folded([_literal(each, True) for each in text])


def of_word(text: str) -> Re2 | None:
    """A whole word, ``*`` for more of it: no letter, digit or _ beside it (as in ``view.where``)."""
    if not _is_plain(text):
        return None
    before = rf"(?:\A|[^{_LETTER}])" if text[0].isalnum() or text[0] == "_" else ""
    after = rf"(?:\z|[^{_LETTER}])" if text[-1].isalnum() or text[-1] == "_" else ""
    more = _Piece(f"[{_LETTER}{_BEYOND}]*", f"[{_LETTER}]*")
    inner = [more if part == "" else part for part in _cut(text)]
    # ``may`` without its borders: that is found four times as fast
    return _folded([_Piece("", before), *_literals(inner), _Piece("", after)])


def of_glob(text: str) -> Re2 | None:
    """All of a text, ``*`` for anything in it, whatever its case."""
    if not _is_plain(text):
        return None
    anything = _Piece("(?s:.*)", "(?s:.*)")
    inner = [anything if part == "" else part for part in _cut(text)]
    return _folded([_Piece(r"\A", r"\A"), *_literals(inner), _Piece(r"\z", r"\z")])


def of_pattern(text: str, ignore_case: bool) -> Re2 | None:
    """A regular expression of Python; None where it is not known to be the same."""
    try:
        text.encode()
        reader = _Reader(text, ignore_case)
        found = reader.alternatives(0)
        if reader.at < len(text):
            raise _NotTheSame
    except (_NotTheSame, UnicodeEncodeError):
        return None
    head = "(?i)" if ignore_case else ""
    if found.size > SIZE_MAX:
        return None
    return Re2(head + found.may, head + found.sure, not reader.differs)


def _cut(text: str) -> list[str]:
    """The parts between stars, with an empty one for each run of stars."""
    return [part for part in re.split(r"(\*+)", text) if part for part in ([""] if part[0] == "*" else [part])]


def _literals(parts: list[str | _Piece]) -> list[_Piece]:
    found: list[_Piece] = []
    for part in parts:
        found += [part] if isinstance(part, _Piece) else [_literal(each, True) for each in part]
    return found


def _is_plain(text: str) -> bool:
    """Whether it is UTF-8, and no sign of it stands for one of ASCII."""
    return not any("\ud800" <= each <= "\udfff" or each in _FOLDED_INTO_ASCII for each in text)


def _folded(pieces: list[_Piece]) -> Re2:
    may, sure = ("".join(parts) for parts in zip(*((one.may, one.sure) for one in pieces), strict=True))
    return Re2(f"(?i){may}", f"(?i){sure}", False)


def _literal(sign: str, ignore_case: bool) -> _Piece:
    sure = sign if sign.isalnum() and sign.isascii() else f"\\x{{{ord(sign):x}}}"
    if not ignore_case:
        return _Piece(sure, sure)
    if not sign.isascii():
        return _Piece("(?s:.)", sure)
    return _Piece("[iI\\x{130}\\x{131}]" if sign in "iI" else sure, sure)


class _Reader:
    """Reads a pattern from ``at`` on. ``differs``: a part finds something else beyond ASCII."""

    def __init__(self, text: str, ignore_case: bool) -> None:
        self.at = 0
        self.differs = ignore_case
        self._text, self._ignore_case = text, ignore_case

    def alternatives(self, depth: int) -> _Piece:
        if depth > DEPTH_MAX:
            raise _NotTheSame
        found = [self._sequence(depth)]
        while self._next() == "|":
            self.at += 1
            found.append(self._sequence(depth))
        may, sure = ("|".join(parts) for parts in zip(*((one.may, one.sure) for one in found), strict=True))
        return _Piece(may, sure, sum(one.size for one in found) + len(found))

    def _sequence(self, depth: int) -> _Piece:
        may, sure, size = "", "", 1
        while (sign := self._next()) and sign not in "|)":
            piece = self._quantity(self._part(depth))
            may, sure, size = may + piece.may, sure + piece.sure, size + piece.size
        return _Piece(may, sure, size)

    def _next(self) -> str:
        return self._text[self.at : self.at + 1]

    def _take(self) -> str:
        sign = self._next()
        if not sign:
            raise _NotTheSame
        self.at += 1
        return sign

    def _part(self, depth: int) -> _Piece:
        sign = self._take()
        if sign == "(":
            return self._group(depth)
        if sign == "[":
            return self._set()
        if sign == ".":
            return _Piece(r"[^\n]", r"[^\n]")
        if sign == "^":
            return _Piece(r"\A", r"\A", repeats=False)
        if sign == "$":
            return _Piece(r"\z", r"\z", repeats=False)
        if sign == "\\":
            return self._escaped()
        if sign in "*+?{}]":
            raise _NotTheSame
        return self._literal(sign)

    def _literal(self, sign: str) -> _Piece:
        if self._ignore_case and sign in _FOLDED_INTO_ASCII:
            raise _NotTheSame
        return _literal(sign, self._ignore_case)

    def _group(self, depth: int) -> _Piece:
        if self._next() == "?":
            head = re.compile(r"\?(?::|P?<[A-Za-z_]\w*>)", re.ASCII).match(self._text, self.at)
            if head is None:
                raise _NotTheSame
            self.at = head.end()
        inner = self.alternatives(depth + 1)
        if self._take() != ")":
            raise _NotTheSame
        return _Piece(f"(?:{inner.may})", f"(?:{inner.sure})", inner.size)

    def _escaped(self) -> _Piece:
        sign = self._take()
        if sign in _CLASSES:
            self.differs = True
            return _Piece(f"[{_CLASSES[sign]}{_BEYOND}]", f"[{_CLASSES[sign]}]")
        if sign in _NOT_CLASSES:
            self.differs = True
            return _Piece(f"[{_NOT_CLASSES[sign]}{_BEYOND}]", f"[{_NOT_CLASSES[sign]}]")
        if sign in "bB":
            self.differs = True
            return _Piece("", rf"\{sign}", repeats=False)
        if sign in "AZ":
            return _Piece(*((r"\A",) * 2 if sign == "A" else (r"\z",) * 2), repeats=False)
        return self._literal(self._sign_of(sign))

    def _sign_of(self, sign: str) -> str:
        if sign in _CONTROL:
            return _CONTROL[sign]
        if sign == "x":
            digits = self._text[self.at : self.at + 2]
            if re.fullmatch("[0-9A-Fa-f]{2}", digits) is None:
                raise _NotTheSame
            self.at += 2
            return chr(int(digits, 16))
        if sign.isalnum() or not sign.isascii():
            raise _NotTheSame
        return sign

    def _set(self) -> _Piece:
        """A set of signs. Sets in sets, and what looks like one made of two, are not read."""
        negated = self._next() == "^"
        self.at += negated
        items, classes = "", False
        first = True
        while (sign := self._take()) != "]" or first:
            first = False
            if sign in "[]" or self._text[self.at - 1 : self.at + 1] in ("--", "&&", "||", "~~"):
                raise _NotTheSame
            if sign == "\\":
                name = self._take()
                if name in _CLASSES or name in _NOT_CLASSES:
                    items += _CLASSES.get(name) or _NOT_CLASSES[name]
                    classes = True
                    if self._next() == "-":
                        raise _NotTheSame
                    continue
                sign = self._sign_of(name)
            items += self._range(sign)
        if self._ignore_case and not items.isascii():
            raise _NotTheSame
        self.differs |= classes
        sure = f"[{'^' if negated else ''}{items}]"
        if not classes and not self._ignore_case:
            return _Piece(sure, sure)
        return _Piece(f"(?:{sure}|[{_BEYOND}])", sure, 2)

    def _range(self, low: str) -> str:
        if self._next() != "-" or self._text[self.at + 1 : self.at + 2] in ("]", ""):
            return self._one(low)
        self.at += 1
        high = self._take()
        if high in "[]-":
            raise _NotTheSame
        if high == "\\":
            high = self._sign_of(self._take())
        if high < low:
            raise _NotTheSame
        return f"{self._one(low)}-{self._one(high)}"

    def _one(self, sign: str) -> str:
        if self._ignore_case and not sign.isascii():
            raise _NotTheSame
        return sign if sign.isalnum() and sign.isascii() else f"\\x{{{ord(sign):x}}}"

    def _quantity(self, piece: _Piece) -> _Piece:
        sign = self._next()
        if not sign or sign not in "*+?{":
            return piece
        if not piece.repeats:
            raise _NotTheSame
        least, most, end = 0, 1, self.at + 1
        said = sign
        if sign == "{":
            match = _QUANTITY.match(self._text, self.at)
            if match is None or not (match[1] or match[3]):
                raise _NotTheSame
            least = int(match[1] or 0)
            most = least if not match[2] else int(match[3]) if match[3] else max(least, 1)
            if max(least, most) > REPEATS_MAX or (match[3] and most < least):
                raise _NotTheSame
            said = f"{{{least}{match[2]}{match[3]}}}"
            end = match.end()
        self.at = end
        if self._next() == "?":
            self.at += 1  # as few as possible: the same texts are found
        if self._next() and self._next() in "*+?{":
            raise _NotTheSame
        size = piece.size * max(least, most, 2) + 1
        if size > SIZE_MAX:
            raise _NotTheSame
        return _Piece(f"(?:{piece.may}){said}", f"(?:{piece.sure}){said}", size)
