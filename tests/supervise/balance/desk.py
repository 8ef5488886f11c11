"""A balancer between a listing and a model of HAProxy, with real files and a clock of the test's own."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervise.balance.log import Log
from supervise.balance.publish import Publisher, Variables
from supervise.balance.render import render
from supervise.balance.run import Balancer
from supervise.balance.store import Store
from tests.supervise.balance.haproxy_model import Model
from tests.supervise.balance.listings import Lister

TEMPLATE = Path(__file__).resolve().parents[3] / "templates" / "haproxy.cfg.j2"
KEY = b"key"


@dataclass
class Desk:
    """Everything a balancer works with, below ``folder``. ``begin`` starts one, again and again if one likes."""

    folder: Path
    lister: Lister = field(default_factory=Lister)
    haproxy: Model = field(default_factory=Model)
    now: float = 1000.0
    out: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        (self.folder / "templates").mkdir()
        self.template(TEMPLATE.read_text())
        self.cfg.write_text(render(TEMPLATE.read_text(), (), 1, 8000).text)
        self.haproxy.path = self.cfg
        self.haproxy.start()
        self.store = Store(self.folder / "balance", self.cfg, self.folder / "nodes", self.folder / "templates")
        self.store.open()
        self.begin()

    @property
    def cfg(self) -> Path:
        return self.folder / "haproxy.cfg"

    def template(self, text: str) -> None:
        """Put a template in place."""
        place = self.folder / "templates" / "haproxy.cfg.j2"
        place.with_suffix(".new").write_text(text)
        place.with_suffix(".new").replace(place)

    def begin(self, store: Any = None, haproxy: Any = None) -> None:
        """A new balancer, as after a crash or restart; with other edges where given."""
        store, haproxy = store or self.store, haproxy or self.haproxy
        log = Log(self.out)
        publisher = Publisher(store, haproxy, Variables(1, 8000), log, lambda: self.now, lambda: self.now)
        self.balancer = Balancer(self.lister, haproxy, store, publisher, log, KEY, lambda: self.now, lambda: 1.0)

    def steps(self, count: int = 1, seconds: float = 0.2) -> None:
        """So many rounds, with HAProxy's checks between them."""
        for _ in range(count):
            self.balancer.step()
            self.now += seconds
            self.haproxy.tick()

    def serve(self, *records: dict[bytes, Any]) -> None:
        """List these, let them pass their checks, and wait until all is settled."""
        self.lister.lists(*records)
        self.haproxy.alive |= {f"10.0.0.{record[b'Addr'][-1]}" for record in records}
        self.steps(8)

    def events(self, event: str = "") -> list[dict[str, Any]]:
        """What was said so far, of one kind or all."""
        lines = [json.loads(line) for line in self.out.getvalue().splitlines()]
        return [line for line in lines if not event or line["event"] == event]

    def causes(self) -> list[list[str]]:
        """The causes of all generations so far."""
        return [line["cause"] for line in self.events("generation")]

    @property
    def taking(self) -> list[str]:
        """Servers that take traffic."""
        return sorted(
            name
            for (backend, name), entry in self.haproxy.entries.items()
            if backend == "app" and not entry.in_maintenance and entry.operating == 2 and entry.weight
        )

    @property
    def filed(self) -> list[str]:
        """Servers in the published file."""
        lines = self.cfg.read_text().partition("\nbackend app_panic\n")[2].splitlines()
        return [line.split()[1] for line in lines if line.startswith("    server ")]
