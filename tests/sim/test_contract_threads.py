"""Contract of threads, their queues and the clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.contract import WAIT_SECONDS, Machine


def test_a_queue_gives_in_order_and_waits_no_longer_than_asked(machine: Machine) -> None:
    def body(on: Any) -> None:
        items = on.queue.SimpleQueue()
        with pytest.raises(on.queue.Empty):
            items.get_nowait()
        before = on.time.monotonic()
        with pytest.raises(on.queue.Empty):
            items.get(timeout=0.05)
        assert on.time.monotonic() - before >= 0.049
        for item in (1, 2, 3):
            items.put(item)
        assert items.qsize() == 3
        assert [items.get(), items.get(timeout=1.0), items.get_nowait()] == [1, 2, 3]

    machine.run(body)


def test_who_waits_at_a_queue_gets_what_another_thread_puts(machine: Machine) -> None:
    def body(on: Any) -> None:
        asked, answered = on.queue.SimpleQueue(), on.queue.SimpleQueue()

        def work() -> None:
            while (item := asked.get()) is not None:
                answered.put(item * 2)

        thread = on.threading.Thread(target=work, daemon=True)
        thread.start()
        for item in (1, 2, 3):
            asked.put(item)
            assert answered.get(timeout=WAIT_SECONDS) == item * 2
        assert thread.is_alive()
        asked.put(None)
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()

    machine.run(body)


def test_a_lock_is_waited_for(machine: Machine) -> None:
    def body(on: Any) -> None:
        lock, order = on.threading.Lock(), []

        def work() -> None:
            with lock:
                order.append("other")

        thread = on.threading.Thread(target=work, daemon=True)
        with lock:
            thread.start()
            on.time.sleep(0.05)
            order.append("first")
        thread.join(WAIT_SECONDS)
        assert order == ["first", "other"]

    machine.run(body)


def test_the_clocks_go_on_together(machine: Machine) -> None:
    def body(on: Any) -> None:
        before, wall, after = on.time.monotonic(), on.time.time(), on.time.monotonic()
        on.time.sleep(0.05)
        assert on.time.monotonic() - after >= 0.049
        before_later, wall_later, after_later = on.time.monotonic(), on.time.time(), on.time.monotonic()
        assert before_later - after - 0.01 <= wall_later - wall <= after_later - before + 0.01
        assert on.time.time() - 0.001 <= on.time.time_ns() / 1e9 <= on.time.time() + 0.001

    machine.run(body)


def test_a_thread_that_ends_wakes_nobody_who_waits_for_something_else(machine: Machine) -> None:
    def body(on: Any) -> None:
        began, items = on.time.monotonic(), on.queue.SimpleQueue()
        on.threading.Thread(target=lambda: None, daemon=True).start()
        with pytest.raises(on.queue.Empty):
            items.get(timeout=0.05)
        assert on.time.monotonic() - began >= 0.049

    machine.run(body)
