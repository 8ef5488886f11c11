"""Where in a TOML text each key stands, since ``tomllib`` does not say.

Owns line numbers only. The text is one that tomllib already took, so this is a scanner of table headers and keys that
knows just enough of strings, brackets and comments not to be misled by them. Keys inside an inline table have the
line of the key that holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

Path = tuple[str, ...]


class Places:
    """``line(path)`` for every table and key of a text; lines count from 1."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._scan(text)

    def line(self, path: Sequence[str]) -> int:
        """Line of the key, else of the nearest table that would hold it, else 1."""
        wanted = tuple(path)
        while wanted:
            if wanted in self._lines:
                return self._lines[wanted]
            wanted = wanted[:-1]
        return 1

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)
        self._lines[path] = line

    def _scan(self, text: str) -> None:
        table: Path = ()
        scanner = _Scanner(text)
        while scanner.skip_blank():
            line = scanner.line
            if scanner.peek() == "[":
                double = scanner.text.startswith("[[", scanner.at)
                scanner.advance(2 if double else 1)
                table = scanner.key()
                self._note(table, line)
                scanner.skip_line()
            else:
                self._note(table + scanner.key(), line)
                scanner.skip_value()


class _Scanner:
    """A position in the text that counts lines as it passes them. Never raises: at the end everything is empty."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def advance(self, count: int = 1) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at = min(len(self.text), self.at + count)

    def skip_line(self) -> None:
        end = self.text.find("\n", self.at)
        self.advance((len(self.text) if end < 0 else end + 1) - self.at)

    def skip_blank(self) -> bool:
        """Go to the next table header or key; False at the end of the text."""
        while (char := self.peek()) and (char.isspace() or char == "#"):
            if char == "#":
                self.skip_line()
            else:
                self.advance()
        return bool(char)

    def key(self) -> Path:
        """A dotted key up to ``=`` or ``]``, which is passed; its parts may be quoted."""
        parts: list[str] = []
        part = ""
        while (char := self.peek()) and char not in "=]\n":
            if char in "\"'":
                part = self.string()
            elif char == ".":
                parts.append(part)
                part = ""
                self.advance()
            else:
                part += char.strip()
                self.advance()
        self.advance()
        return (*parts, part)

    def string(self) -> str:
        """Pass a string of any of TOML's four kinds; its text without the quotes, escapes as they stand."""
        quote = self.peek()
        fence = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self.advance(len(fence))
        start = self.at
        while self.peek() and not self.text.startswith(fence, self.at):
            self.advance(2 if quote == '"' and self.peek() == "\\" else 1)
        found = self.text[start : self.at]
        self.advance(len(fence))
        while len(fence) == 3 and self.peek() == quote:
            self.advance()
        return found

    def skip_value(self) -> None:
        """Pass a value: to the end of the line, or of the line where its last bracket closes."""
        depth = 0
        while char := self.peek():
            if char in "\"'":
                self.string()
                continue
            if char == "#":
                self.skip_line()
                if depth == 0:
                    return
                continue
            depth += (char in "[{") - (char in "]}")
            self.advance()
            if char == "\n" and depth == 0:
                return
