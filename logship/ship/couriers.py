"""Run: the couriers, as one: jobs in, results out; where they go may change.

Left to others: one job (``courier``), what to send (``run``).
"""

from __future__ import annotations

from queue import SimpleQueue

from logship.ship.ahead import Shelf
from logship.ship.book import Book
from logship.ship.courier import Courier, Job, Result
from logship.ship.http_sink import Place
from logship.ship.schedule import IN_FLIGHT_MAX


class Couriers:
    """As many as there may be requests out. ``results`` has None where somebody wants the loop to look around."""

    def __init__(self, place: Place, book: Book | None = None) -> None:
        self.place = place
        self._book = book
        self.results: SimpleQueue[Result | None] = SimpleQueue()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()

    def start(self) -> None:
        """Let them work."""
        shelf = Shelf(IN_FLIGHT_MAX)
        for _ in range(IN_FLIGHT_MAX):
            Courier(self.place, self._jobs, self.results, shelf, self._book).start()

    def put(self, job: Job) -> None:
        """Carry this."""
        self._jobs.put(job)

    def go_to(self, place: Place, book: Book | None = None) -> None:
        """Work with another collector from now on; what is out is still brought back."""
        for _ in range(IN_FLIGHT_MAX):
            self._jobs.put(None)
        self.place, self._book, self._jobs = place, book, SimpleQueue()
        self.start()
