"""Time and threads of a simulated world: one hub, a heap of what is due, and a greenlet for each thread.

Nothing runs by itself: the hub takes what is due first, moves the clock there and lets one greenlet run until it
blocks. What is due at the same instant runs in the order in which it became so. So a world is a function of its seed.

Left to others: what a process is (``process``), what threads wait for (``threads``, ``network``).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Protocol

from greenlet import getcurrent, greenlet

_CALL = -1
"""In the place of a task's ticket: what is due is to be called."""


class Killed(BaseException):
    """The end of a process, as its threads see it. Nothing in production code catches it."""


class Owner(Protocol):
    """Whose thread it is."""

    dead: bool
    tasks: dict[Task, None]


class Task:
    """One thread of a process."""

    __slots__ = ("blocked", "greenlet", "name", "owner", "ticket", "woken")

    def __init__(self, owner: Owner, name: str) -> None:
        self.owner = owner
        self.name = name
        self.ticket = 0
        self.blocked = True
        self.woken = False
        self.greenlet: greenlet | None = None


class Engine:
    """The clock and what is due. Times are seconds since the world began."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.current: Task | None = None
        self.failure: Exception | None = None  # ends the world wherever it was found
        self._due: list[tuple[float, int, Callable[[], object] | Task, int]] = []
        self._number = 0
        self._hub = getcurrent()
        self._until = 0.0
        self._done: Callable[[], bool] | None = None

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Have the hub call ``call`` then."""
        self._number += 1
        heapq.heappush(self._due, (when if when > self.now else self.now, self._number, call, _CALL))

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Have the hub call ``call`` so much later."""
        self.at(self.now + seconds, call)

    def spawn(self, owner: Owner, work: Callable[[], object], name: str) -> Task:
        """A new thread, to run as soon as the others due now have."""
        task = Task(owner, name)

        def body() -> None:
            try:
                if not owner.dead:
                    work()
            except Killed:
                pass
            finally:
                owner.tasks.pop(task, None)

        task.greenlet = greenlet(body, self._hub)  # where it goes on when the thread ends
        owner.tasks[task] = None
        self._push(self.now, task)
        return task

    def block(self, seconds: float | None) -> bool:
        """Let others run until somebody wakes this thread, or so many seconds; whether somebody did. Raises Killed."""
        task = self.current
        assert task is not None, "only a thread of a process can wait"
        if task.owner.dead:
            raise Killed
        task.ticket += 1
        task.blocked, task.woken = True, False
        if seconds is not None:
            self._push(self.now + seconds if seconds > 0.0 else self.now, task)
        if not self._goes_on(task):
            self._hub.switch()
        if task.owner.dead:
            raise Killed
        return task.woken

    def _goes_on(self, task: Task) -> bool:
        """Do as the hub would, as long as what is due is this thread or another one: that is two switches less.

        Whether this thread may go on at once.
        """
        due = self._due
        while due and self.failure is None:
            when, _, what, ticket = due[0]
            if ticket == _CALL or when > self._until or (when > self.now and self._done is not None):
                return False
            heapq.heappop(due)
            self.now = when
            self.steps += 1
            assert isinstance(what, Task)
            if what.blocked and what.ticket == ticket and not what.owner.dead:
                what.blocked = False
                self.current = what
                if what is task:
                    return True
                assert what.greenlet is not None
                what.greenlet.switch()
                return True
        return False

    def wake(self, task: Task) -> None:
        """End a thread's wait."""
        if task.blocked and not task.woken and not task.owner.dead:
            task.woken = True
            self._push(self.now, task)

    def reap(self, owner: Owner) -> None:
        """End all threads of a dead process: each unwinds, and can do nothing on its way out. From the hub only."""
        assert owner.dead
        for task in [*owner.tasks]:
            assert task.greenlet is not None
            if task.greenlet:  # has begun
                before, self.current = self.current, task
                task.greenlet.parent = getcurrent()
                task.greenlet.throw(Killed)
                self.current = before
        owner.tasks.clear()

    def run(self, until: float, done: Callable[[], bool] | None = None) -> None:
        """Let the world go on until then, or until ``done``, which is asked when the clock has moved."""
        self._hub = getcurrent()
        self._until, self._done = until, done
        due = self._due
        while due and due[0][0] <= until:
            when, _, what, ticket = heapq.heappop(due)
            if when > self.now:
                if done is not None and done():
                    heapq.heappush(due, (when, 0, what, ticket))
                    return
                self.now = when
            self.steps += 1
            if ticket == _CALL:
                what()  # type: ignore[operator]  # not a task
            elif what.blocked and what.ticket == ticket and not what.owner.dead:  # type: ignore[union-attr]
                what.blocked = False  # type: ignore[union-attr]  # a task
                self.current = what  # type: ignore[assignment]
                try:
                    what.greenlet.switch()  # type: ignore[union-attr]
                finally:
                    self.current = None
            if self.failure is not None:
                failure, self.failure = self.failure, None
                raise failure
        if not due or due[0][0] > until:
            self.now = max(self.now, until)

    def _push(self, when: float, task: Task) -> None:
        self._number += 1
        heapq.heappush(self._due, (when, self._number, task, task.ticket))
