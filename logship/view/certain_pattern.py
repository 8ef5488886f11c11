"""Core: a regular expression -> what every text that it matches surely has, piece by piece; and the tokens in that.

Only what is in common use is understood: of all else nothing is said. A piece is a character that stands there, an EDGE
(where it stands no letter, digit or _ does, or the text is over), a GAP (anything, or nothing), or an Option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from logship.lake.tokens import FOLDED, KEY_BYTES, LENGTH_MIN, Has, Need, either, every

DEPTH_MAX = 50


class Place(Enum):
    """A piece that is no character."""

    EDGE = "edge"
    GAP = "gap"


EDGE, GAP = Place.EDGE, Place.GAP


@dataclass(frozen=True, slots=True)
class Option:
    """One of several, with gaps around."""

    pieces: tuple[tuple[Piece, ...], ...]


Piece = str | Place | Option


def need_of(pieces: list[Piece], *, fold: bool = True, besides: re.Pattern[str] | None = None) -> Need | None:
    """The keys of tokens that surely stand where the pieces do, but for what is ``besides``.

    ``fold``: a letter that may be one of ASCII where case is ignored is that one.
    """
    found: list[Need | None] = []
    run, begins = "", False
    for each in [*pieces, GAP]:
        piece = each.translate(FOLDED) if isinstance(each, str) and fold else each
        if isinstance(piece, str) and _is_of_token(piece):
            run += piece
            continue
        ends = piece is EDGE or isinstance(piece, str)
        if not (besides and besides.fullmatch(run)):
            found += map(Has, _keys(run.lower().encode(), begins, ends))
        if isinstance(piece, Option):
            found.append(either([need_of(list(one), fold=fold, besides=besides) for one in piece.pieces]))
        run, begins = "", ends
    return every(found)


def _keys(run: bytes, begins: bool, ends: bool) -> list[bytes]:
    """Of a run whose token begins or ends with it, as far as is known."""
    if begins and ends and len(run) < KEY_BYTES:
        return [run] if len(run) >= LENGTH_MIN else []
    if len(run) < KEY_BYTES:
        return []
    first, last = run[:KEY_BYTES], run[-KEY_BYTES:]
    return ([first] if begins else []) + ([last] if ends and (last != first or not begins) else [])


def pieces_of(pattern: str) -> list[Piece] | None:
    """The pieces of a regular expression; None where it has something that is not understood here."""
    reader = _Reader(pattern.removeprefix("(?i)"))
    try:
        found = reader.alternatives(0)
    except _Strange:
        return None
    return found if reader.is_done else None


class _Strange(Exception):
    """Something that is not understood."""


_QUANTIFIER = re.compile(r"(?:([*?])|(\+)|\{(\d+)(?:,\d*)?\})[?+]?")
_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?|\*))")
_NOT_BESIDE = re.compile(r"\(\?<?!\\w\)")
_SPACES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v"}
_STRANGE_IN_SET = ("[", "&&", "||", "--", "~~")
"""Sets in sets, and what is made of two, if the module's other version read it."""


class _Reader:
    """Reads a pattern from its beginning on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._text)

    def alternatives(self, depth: int) -> list[Piece]:
        """One or more of what stands between ``|``, up to the end or a parenthesis."""
        if depth > DEPTH_MAX:
            raise _Strange
        found = [self._sequence(depth)]
        while self._takes("|"):
            found.append(self._sequence(depth))
        if len(found) == 1:
            return found[0]
        if all(one and _is_edge(one) for one in found):
            return [EDGE]
        return [Option(tuple(map(tuple, found)))]

    def _sequence(self, depth: int) -> list[Piece]:
        found: list[Piece] = []
        while not self.is_done and self._text[self._at] not in "|)":
            atom = self._atom(depth)
            quantifier = _QUANTIFIER.match(self._text, self._at)
            if quantifier is None:
                if self._text.startswith(("{", "*", "+", "?"), self._at):
                    raise _Strange
                found += atom
                continue
            self._at = quantifier.end()
            if quantifier[1] or (quantifier[3] and not int(quantifier[3])):
                found.append(GAP)
            elif _is_edge(atom):
                found += atom  # once at least, and wherever it is repeated there is an edge, too
            else:
                found += [GAP, Option((tuple(atom),)), GAP]
        return found

    def _atom(self, depth: int) -> list[Piece]:
        text, character = self._text, self._text[self._at]
        if character == "\\":
            return [self._escaped()]
        if character == "[":
            return [self._set()]
        if character == "(":
            return self._group(depth)
        if character in "{*+?":
            raise _Strange
        self._at += 1
        if character == ".":
            return [GAP]
        return [EDGE] if character in "^$" else [text[self._at - 1]]

    def _escaped(self) -> Piece:
        following = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if following in _SPACES:
            return _SPACES[following]
        if following in ("b", "s", "W", "A", "Z"):
            return EDGE
        if following in ("d", "w", "D", "S", "B"):
            return GAP
        if not following or (following.isascii() and following.isalnum()):
            raise _Strange
        return following

    def _set(self) -> Piece:
        """A set of characters: an edge, where none of them is in a word."""
        end = self._at + 1
        end += self._text.startswith("^", end)
        begin = end
        end += self._text.startswith("]", end)
        while not self._text.startswith("]", end):
            if end >= len(self._text) or self._text.startswith(_STRANGE_IN_SET, end):
                raise _Strange
            end += 2 if self._text[end] == "\\" else 1
        inside = self._text[begin:end]
        is_negated = self._text[begin - 1] == "^"
        self._at = end + 1
        if is_negated:
            return EDGE if inside == "\\w" else GAP
        plain = re.sub(r"\\[sWntrfv]|\\[^A-Za-z0-9]", "", inside)
        is_edge = all(each.isascii() and not _is_of_token(each) and each not in "-\\" for each in plain)
        return EDGE if is_edge else GAP

    def _group(self, depth: int) -> list[Piece]:
        beside = _NOT_BESIDE.match(self._text, self._at)
        if beside is not None:
            self._at = beside.end()
            return [EDGE]
        begin = _GROUP.match(self._text, self._at)
        if begin is None:
            raise _Strange
        self._at = begin.end()
        found = self.alternatives(depth + 1)
        if not self._takes(")"):
            raise _Strange
        return found

    def _takes(self, character: str) -> bool:
        found = self._text.startswith(character, self._at)
        self._at += found
        return found


def _is_edge(pieces: list[Piece]) -> bool:
    return all(piece is EDGE or (isinstance(piece, str) and not _is_of_token(piece)) for piece in pieces)


def _is_of_token(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")
