"""Core: which program may start or stop next, and whether the declared order is possible at all.

A program starts when all it comes ``after`` are ready; it stops when all that come after it are down. Both are asked
again at every turn with what is true now, so nothing is remembered here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

After = Mapping[str, Sequence[str]]


def find_cycles(after: After) -> list[list[str]]:
    """Circles of programs that wait for each other, each with its first name repeated at the end.

    No two share a program: further circles through the same programs are told once these are broken.
    """
    left = dict(after)
    found = []
    while cycle := _find_cycle(left):
        found.append(cycle)
        left = {name: others for name, others in left.items() if name not in cycle}
    return found


def _find_cycle(after: After) -> list[str] | None:
    """The first circle, or None.

    Names that are not keys of ``after`` are left out: they are another fault. Depth is bounded by the number of
    programs, which the declaration bounds.
    """
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in done:
            for other in after[name]:
                found = visit(other, [*path, name]) if other in after else None
                if found:
                    return found
            done.add(name)
        return None

    for root in after:
        found = visit(root, [])
        if found:
            return found
    return None


def start_order(after: After) -> list[str]:
    """An order in which every program comes after what it waits for; else as declared. Needs: no cycle."""
    order: list[str] = []
    left = list(after)
    while left:
        name = next(name for name in left if all(other in order for other in after[name]))
        order.append(name)
        left.remove(name)
    return order


def startable(after: After, begun: Collection[str], ready: Collection[str]) -> list[str]:
    """Programs not begun yet whose every predecessor is ready, in declared order."""
    return [name for name in after if name not in begun and all(other in ready for other in after[name])]


def stoppable(after: After, up: Collection[str]) -> list[str]:
    """Programs that are up while nothing that comes after them is, at whatever distance; the last declared first."""
    needed: set[str] = set()
    todo = [other for name in up for other in after[name]]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo.extend(after[name])
    return [name for name in reversed(list(after)) if name in up and name not in needed]
