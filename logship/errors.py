"""The one error that people meet: what was tried, on what, why it failed, what to do."""

from __future__ import annotations

USAGE = 2
"""Exit status for bad input: an unknown option, a wrong setting, a file that says something impossible."""


class Fault(Exception):
    """Something a person has to act on.

    ``operation`` is what was tried ("read the declaration"), ``subject`` on what ("/etc/supervise/supervise.toml"),
    ``cause`` why it failed, ``hint`` what to do about it, ``status`` the exit status of a command that ends on it.
    """

    def __init__(self, operation: str, subject: str, cause: str, hint: str = "", status: int = 1) -> None:
        super().__init__(operation, subject, cause, hint)
        self.operation = operation
        self.subject = subject
        self.cause = cause
        self.hint = hint
        self.status = status

    def __str__(self) -> str:
        text = f"cannot {self.operation} {self.subject}: {self.cause}".replace("  ", " ")
        return f"{text}\n  hint: {self.hint}" if self.hint else text
