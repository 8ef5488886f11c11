"""What init asks of supervisord: the narrow waist between deciding (``run.py``) and supervisord itself (``pid1.py``).

Names are those of programs, hidden checks included. Nothing here waits; what a call sets off is told by a Change.
"""

from __future__ import annotations

from typing import Protocol


class Processes(Protocol):
    """Supervisord's processes of one life (from start, or reload, to its end)."""

    def state(self, name: str) -> str:
        """Supervisord's word: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, UNKNOWN."""

    def pid(self, name: str) -> int:
        """The process, or 0."""

    def begun(self, name: str) -> bool:
        """Whether it was started in this life, by init or by a person."""

    def stopped_by_person(self, name: str) -> bool:
        """Whether it is down because a stop was asked for."""

    def spawn(self, name: str) -> bool:
        """Start it; False when it is not down."""

    def stop(self, name: str) -> None:
        """Send its stop signal (SIGKILL follows); from BACKOFF it is STOPPED at once; else nothing."""

    def kill(self, name: str) -> None:
        """Send SIGKILL to it, or its group, now."""

    def hold(self, name: str, due: bool) -> None:
        """In BACKOFF: whether the next start is due. Said again in every turn, or supervisord decides itself."""

    def never_restart(self, name: str) -> None:
        """In this life supervisord does not start it again by itself."""

    def end(self, mode: str) -> None:
        """All is down: supervisord's loop ends (shutdown), or starts anew with everything stopped (restart)."""
