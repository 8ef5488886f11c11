"""A history: what a seed makes happen, as values that can be printed, left out one by one, and done again.

What the plan does not say (latencies, how bytes are cut, which pages a crash keeps) comes from the seed, too, when the
history is played.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from tests.sim.network import Fate

PROGRAMS = ("app", "web")
ENTRIES = ("spool", *PROGRAMS)
WAYS = (
    ("rename",), ("rename", "empty"), ("rename", "delete"), ("copytruncate",), ("empty",), ("delete",),
    ("rename", "copytruncate"),
)  # fmt: skip
"""How files are rotated."""
FATES = (
    "cut-request", "cut-answer", "lose-request", "lose-answer", "delay-request", "delay-answer", "again", "garble",
    "die", "die",
)  # fmt: skip
CALLS = {
    "kill collect": ("", "", "fsync", "pwrite", "pwrite", "rename", "open"),
    "crash collector": ("", "fsync", "fsync", "pwrite", "rename", "open"),
    "crash machine": ("", "", "", "splice", "rename"),
    "kill seal": ("", "", "fsync", "write", "rename", "fchmod", "read"),
    "crash sealer": ("", "fsync", "fsync", "fsync", "rename", "fchmod", "open"),
    "kill spool": ("", "", "splice", "write", "rename", "unlink", "symlink_to", "open"),
    "kill ship": ("", "", "sendall", "recv", "pread", "connect", "rename"),
}
"""Where processes and machines end: at any system call, or at one of these."""
FAULTS = (
    "kill spool", "kill ship", "kill collect", "kill collect", "kill container", "remove container", "stop container",
    "crash machine", "crash machine", "crash collector", "crash collector", "partition", "full disk", "full store",
    "failing sync", "stop collect", "kill janitor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Write:
    """A program of a container writes so many bytes."""

    at: float
    container: str
    program: str
    size: int

    def __str__(self) -> str:
        return f"{self.at:7.3f}  {self.container}: {self.program} writes {self.size} bytes"


@dataclass(frozen=True, slots=True)
class Change:
    """A program writes so many bytes to a file of its own, or somebody rotates it."""

    at: float
    kind: str
    size: int = 0

    def __str__(self) -> str:
        return f"{self.at:7.3f}  file: {self.kind}" + (f" {self.size} bytes" if self.size else "")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something goes wrong: at the ``steps``-th system call of its victim after ``at``, counting those named ``call``
    alone where that is said; for ``seconds`` where it lasts."""

    at: float
    kind: str
    victim: str = ""
    steps: int = 0
    seconds: float = 0.0
    call: str = ""

    def __str__(self) -> str:
        tail = f" {self.victim}" if self.victim else ""
        tail += f", at its {self.steps}. {self.call or 'system call'} from then on" if self.steps else ""
        tail += f", for {self.seconds:.2f} s" if self.seconds else ""
        return f"{self.at:7.3f}  {self.kind}{tail}"


@dataclass(frozen=True, slots=True)
class Knobs:
    """How the parts are set in this history; small, so that every bound is met."""

    chunk_bytes: int = 700
    spool_segment_bytes: int = 1000
    spool_bytes_max: int = 1 << 20
    store_segment_bytes: int = 6000
    tail_bytes: int = 256
    keep_bytes: int = 1024
    look_seconds: float = 0.3
    pipe_bytes: int = 65536
    linger: float = 0.01
    latency: float = 0.005
    torn: bool = False
    orphans_wait: float = 1.0


@dataclass(frozen=True)
class Plan:
    """The history of a seed."""

    seed: int
    seconds: float
    knobs: Knobs
    containers: tuple[str, ...]
    writes: tuple[Write, ...]
    faults: tuple[Fault, ...]
    fates: tuple[tuple[int, Fate], ...] = field(default=())
    files: tuple[Change, ...] = ()
    """What happens to a file that is followed; none: nobody follows any."""
    seals: int = 0
    """The journal is sealed, and so many bytes of it are kept beside the lake; 0: nobody seals."""

    @property
    def size(self) -> int:
        """How much there is to read."""
        return len(self.writes) + len(self.faults) + len(self.fates) + len(self.files) + len(self.containers)

    def without(self, kind: str, first: int, count: int) -> Plan:
        """The same without some of its ``writes``, ``faults``, ``fates`` or ``files``."""
        kept = getattr(self, kind)
        changed: dict[str, object] = {kind: kept[:first] + kept[first + count :]}
        return replace(self, **changed)  # type: ignore[arg-type]  # the names are its own fields

    def lines(self) -> list[str]:
        """It, for people."""
        said = [f"containers {', '.join(self.containers)}; {self.knobs}; seals={self.seals}"]
        told = [(each.at, str(each)) for each in self.writes]
        told += [(each.at, str(each)) for each in self.faults] + [(each.at, str(each)) for each in self.files]
        said += [text for _, text in sorted(told)]
        said += [
            f"request {number}: {fate.kind} at {fate.at:.0%}" + (f", {fate.seconds:.2f} s" if fate.seconds else "")
            for number, fate in self.fates
        ]
        return said


def make(seed: int) -> Plan:
    """The history of this seed."""
    chance = Random(f"plan {seed}")
    containers = ("web1", "web2")[: chance.choice((1, 1, 2))]
    seconds = chance.choice((3.0, 5.0, 8.0))
    calm = chance.random() < 0.15
    knobs, writes = _knobs(chance), _writes(chance, containers, seconds)
    faults = () if calm else _faults(chance, containers, seconds)
    fates = _fates(chance)
    chance = Random(f"files {seed}")
    files: tuple[Change, ...] = ()
    if chance.random() < 0.15:
        files, more = _files(chance, seconds)
        faults += more
    chance = Random(f"seal {seed}")
    seals = 0
    if chance.random() < 0.18:
        seals, knobs = chance.choice((1, 1, 4000)), replace(knobs, store_segment_bytes=chance.choice((1200, 2500)))
        faults += _seal_faults(chance, seconds)
    return Plan(seed, seconds, knobs, containers, writes, faults, fates, files, seals)


def _knobs(chance: Random) -> Knobs:
    tail = chance.choice((64, 256, 4096))
    segment = chance.choice((300, 1000, 4000))
    return Knobs(
        chunk_bytes=chance.choice((150, 400, 1000, 5000)),
        spool_segment_bytes=segment,
        spool_bytes_max=chance.choice((1 << 20, 1 << 20, 2 * segment, 4 * segment)),
        store_segment_bytes=chance.choice((2000, 6000, 30000)),
        tail_bytes=tail,
        keep_bytes=chance.choice((tail, 4 * tail)),
        look_seconds=chance.choice((0.25, 0.6)),
        pipe_bytes=chance.choice((512, 4096, 65536)),
        linger=chance.choice((0.0, 0.01, 0.03)),
        latency=chance.choice((0.002, 0.02, 0.2)),
        torn=chance.random() < 0.5,
        orphans_wait=chance.choice((0.0, 0.5, 2.0)),
    )


def _writes(chance: Random, containers: tuple[str, ...], seconds: float) -> tuple[Write, ...]:
    count = chance.randint(3, 14)
    programs = PROGRAMS[: chance.randint(1, 2)]
    return tuple(
        Write(
            round(chance.random() * seconds, 3),
            chance.choice(containers),
            chance.choice(programs),
            chance.choice((1, 40, 200, 900, 2500)),
        )
        for _ in range(count)
    )


def _faults(chance: Random, containers: tuple[str, ...], seconds: float) -> tuple[Fault, ...]:
    favourites = chance.sample(FAULTS, chance.randint(1, 4))
    found = []
    for _ in range(chance.choice((1, 2, 4, 7))):
        kind = chance.choice(favourites)
        victim, lasts = "", 0.0
        if kind.endswith(("spool", "ship", "container")):
            victim = chance.choice(containers)
        if kind in ("partition", "full disk", "full store"):
            lasts = round(chance.choice((0.3, 1.0, 4.0)) * chance.random(), 3)
        if kind == "partition":
            victim = f"{chance.choice(containers)} {chance.choice(('up', 'down', 'both'))}"
        call = chance.choice(CALLS.get(kind, ("",)))
        most = 5 if call else chance.choice((0, 8, 60, 400))
        steps = chance.randint(1, most) if most else 0
        found.append(Fault(round(chance.random() * seconds, 3), kind, victim, steps, lasts, call))
    return tuple(found)


def _files(chance: Random, seconds: float) -> tuple[tuple[Change, ...], tuple[Fault, ...]]:
    """A file's life, and its shipper's ends."""
    kinds = ("write", "write", "write", *chance.choice(WAYS))
    found = [Change(round(chance.random() * seconds, 3), "write", 40)]
    for _ in range(chance.randint(3, 14)):
        kind = chance.choice(kinds)
        size = chance.choice((16, 200, 900, 5000)) if kind == "write" else 0
        found.append(Change(round(chance.random() * seconds, 3), kind, size))
    faults = [
        Fault(round(chance.random() * seconds, 3), "kill follower", steps=chance.choice((0, chance.randint(1, 60))))
        for _ in range(chance.choice((0, 0, 1, 3)))
    ]
    return tuple(sorted(found, key=lambda each: each.at)), tuple(faults)


def _seal_faults(chance: Random, seconds: float) -> tuple[Fault, ...]:
    """The ends of who seals, and of its machine meanwhile."""
    found = []
    for _ in range(chance.choice((0, 1, 2, 4))):
        kind = chance.choice(("kill seal", "crash sealer", "crash sealer"))
        call = chance.choice(CALLS[kind])
        steps = chance.randint(1, 8 if call else 120)
        found.append(Fault(round(chance.random() * seconds, 3), kind, steps=steps, call=call))
    return tuple(found)


def _fates(chance: Random) -> tuple[tuple[int, Fate], ...]:
    rate = chance.choice((0.0, 0.02, 0.1, 0.25))
    favourites = chance.sample(FATES, chance.randint(1, 4))
    found = []
    for number in range(1, 120):
        if chance.random() < rate:
            kind = chance.choice(favourites)
            seconds = (
                round(chance.choice((0.1, 1.0, 5.0)) * chance.random(), 3) if kind[:5] in ("delay", "again") else 0.0
            )
            if kind == "die":  # the next life asks about when it arrives
                seconds = round(0.2 + 0.5 * chance.random(), 3)
            found.append((number, Fate(kind, round(chance.random(), 4), seconds)))
    return tuple(found)
