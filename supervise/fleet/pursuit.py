"""Core: what to ask supervisord next, so that a program ends up started, or stopped.

Level-triggered: at every look the program's present state decides, whoever changed it. The states are supervisord's
words; each table below has all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

EXITED_SECONDS = 1.5
"""How long EXITED has to last before it is believed: supervisord restarts a program within a second of its end."""

_SHUTDOWN_STATE, _BAD_NAME, _NO_FILE, _NOT_EXECUTABLE = 6, 10, 20, 21
_SPAWN_ERROR, _ALREADY_STARTED, _NOT_RUNNING = 50, 60, 70
_REFUSALS = {
    _SHUTDOWN_STATE: "the container is being stopped",
    _BAD_NAME: "the container has no such program",
    _NO_FILE: "its command is not there",
    _NOT_EXECUTABLE: "its command cannot be run",
}


@dataclass(frozen=True)
class Facts:
    """A program at one moment. ``ready`` is None when nobody says; ``last_exit`` is in words."""

    state: str
    pid: int
    ready: bool | None
    last_exit: str = ""


@dataclass(frozen=True)
class Step:
    """What to do: ``ask`` supervisord to start or stop, wait, or end with done or failed and a reason."""

    kind: str
    reason: str = ""


START, STOP, WAIT = Step("start"), Step("stop"), Step("wait")
LOST = Step("failed", "its state is unknown to supervisord")
LOOK, DOWN, EXITED, GONE = Step("look"), Step("down"), Step("exited"), Step("gone")  # decided by more than the state

_TO_STOP = {
    "RUNNING": STOP,
    "STARTING": STOP,
    "BACKOFF": STOP,
    "STOPPING": WAIT,
    "STOPPED": DOWN,
    "EXITED": EXITED,
    "FATAL": Step("done", "it had been given up"),
    "UNKNOWN": LOST,
}
_TO_START = {
    "RUNNING": LOOK,
    "STARTING": WAIT,
    "BACKOFF": STOP,  # waits for its next try: begin anew at once
    "STOPPING": WAIT,
    "STOPPED": START,
    "EXITED": START,
    "FATAL": START,
    "UNKNOWN": LOST,
}
_STARTED = {
    "RUNNING": LOOK,
    "STARTING": WAIT,
    "BACKOFF": WAIT,
    "STOPPING": WAIT,
    "STOPPED": Step("failed", "somebody stopped it meanwhile"),
    "EXITED": EXITED,
    "FATAL": GONE,
    "UNKNOWN": LOST,
}


class Pursuit:
    """One program on its way to ``goal`` ("start" or "stop").

    Tell it every look (``next``) and every refusal of supervisord (``refused``); do what it says until a Step is done
    or failed. Who calls it bounds the time.
    """

    def __init__(self, goal: str) -> None:
        assert goal in ("start", "stop")
        self.goal = goal
        self.asked_to_start = self.asked_to_stop = False
        self._exited_since: float | None = None

    def next(self, facts: Facts, now: float) -> Step:
        """What to do about a program that is as ``facts`` say at ``now`` (seconds of any clock that only goes on)."""
        table = _TO_STOP if self.goal == "stop" else _STARTED if self.asked_to_start else _TO_START
        step = table.get(facts.state, LOST)
        if step is not EXITED:
            self._exited_since = None
        if step is START:
            self.asked_to_start = True
        elif step is STOP:
            self.asked_to_stop = True
        elif step is DOWN:
            step = Step("done", "" if self.asked_to_stop else "it was not running")
        elif step is LOOK:
            step = self._look(facts)
        elif step is GONE:
            step = Step("failed", _ended("it was given up", facts))
        elif step is EXITED:
            step = self._exited(facts, now)
        return step

    def refused(self, code: int, text: str) -> Step:
        """What it means that supervisord refused the last thing asked.

        Of a state that had already come: look again. So, too, of a spawn error: it is also said of a program that ended
        before the call could return, which supervisord will try again like any other that ends too soon.
        """
        if code in (_ALREADY_STARTED, _NOT_RUNNING, _SPAWN_ERROR):
            return WAIT
        return Step("failed", _REFUSALS.get(code, text))

    def overdue(self, facts: Facts) -> str:
        """Why it is not done yet, for the one who stops waiting."""
        if self.goal == "start" and facts.state == "RUNNING":
            return "running, but not ready"
        return _ended(f"still {facts.state}", facts) if facts.state == "BACKOFF" else f"still {facts.state}"

    def _look(self, facts: Facts) -> Step:
        if facts.ready is False:
            return WAIT
        if facts.ready is None:
            return Step("done", "running; whether it is ready nobody says (no state.json)")
        return Step("done", "" if self.asked_to_start else "it was running")

    def _exited(self, facts: Facts, now: float) -> Step:
        if self._exited_since is None:
            self._exited_since = now
        if now - self._exited_since < EXITED_SECONDS:
            return WAIT
        if self.goal == "stop":
            return Step("done", "it had ended by itself")
        return Step("failed", _ended("it ended", facts))


def _ended(text: str, facts: Facts) -> str:
    return f"{text}: {facts.last_exit}" if facts.last_exit else text
