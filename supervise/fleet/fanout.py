"""Ask many containers at once: a thread each, up to a bound, and an answer for every one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

from logship.errors import Fault

WIDTH = 32
"""Questions under way at a time; the engine keeps as many connections."""

T = TypeVar("T")
R = TypeVar("R")


def at_once(ask: Callable[[T], R], items: Sequence[T]) -> list[R | Fault]:
    """``ask`` of every item, in the order of the items; a Fault stands where its answer would.

    Every question bounds its own time. Other exceptions are defects and are raised. Ctrl-C ends the wait at once, which
    is why this is no ThreadPoolExecutor: that one, and the interpreter's end, wait for its threads.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, R | None, BaseException | None]] = queue.SimpleQueue()
    for index in range(len(items)):
        todo.put(index)

    def work() -> None:
        while True:
            try:
                index = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((index, ask(items[index]), None))
            except BaseException as error:
                done.put((index, None, error))

    for _ in range(min(WIDTH, len(items))):
        threading.Thread(target=work, daemon=True, name="ask").start()
    answers: list[R | Fault | None] = [None] * len(items)
    for _ in items:
        index, answer, error = done.get()
        if error is not None and not isinstance(error, Fault):
            raise error
        answers[index] = answer if error is None else error
    return cast("list[R | Fault]", answers)
