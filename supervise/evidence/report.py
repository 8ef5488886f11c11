"""Core: what a walk found -> report.md, for someone who was not there.

Owns tables and choices; the words stand in ``templates/report.md.j2``. All of it is in a file beside the report, and
every file is linked from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2

from supervise.evidence.tasks import STEPS, TASKS, Task
from supervise.evidence.values import Evidence, StepRecord, Timing

DIFF_LINES_MAX = 60
FAILURES_SHOWN_MAX = 10
LAYER_BYTES_SHOWN_MIN = 10_000
COMMAND_CHARACTERS_MAX = 90


def render(
    template: str, evidence: Evidence, files: Mapping[str, bool], clients: Mapping[str, int], log_lines: int
) -> str:
    """The report. ``files``: paths of all that had to be collected, and whether each is there, else nothing links to
    it; ``clients``: how many of each kind made the load; ``log_lines``: how many lines of each log were kept."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    generations = [item for step in evidence.steps for item in step.generations]
    return environment.from_string(template).render(
        evidence=evidence,
        tasks=TASKS,
        clients=sum(clients.values()),
        log_lines=log_lines,
        versions=", ".join(f"{name} {version}" for name, version in sorted(evidence.versions.items())),
        link=lambda text, path, fragment="": link(text, path, fragment) if files[path] else f"{text} (missing)",
        picture=lambda text, path: f"!{link(text, path)}" if files[path] else f"*{text}: missing*",
        seconds=seconds,
        cut=cut,
        steps_table=_steps(evidence.steps),
        spread_table=_spread(evidence),
        names_table=table(["host name", "container"], [(f"`{host}`", name) for host, name in evidence.names.items()]),
        reaction_table=_times([item for item in evidence.timings if item.step in ("join", "stop", "kill")]),
        times_table=_times(evidence.timings),
        layers_text=_layers_text(evidence.layers),
        layers_table=_layers(evidence.layers),
        generations_table=_generations(generations),
        generations_of=lambda step: _generations(step.generations),
        nodes_of=_nodes,
        failed_table=_failed(evidence),
        failures=_failures(evidence.steps),
        files_of=lambda task: _files(task, files),
        problems_table=table(["where", "what"], [(item.where, item.text) for item in evidence.problems]),
        changes=len(generations),
        reloads=sum(item["method"] == "reload" for item in generations),
    )


def link(text: str, path: str, fragment: str = "") -> str:
    """A link to a file; folders have spaces in their names, as the lab wants them."""
    return f"[{text}]({address(path)}{fragment})"


def address(path: str) -> str:
    """A path as Markdown takes it."""
    return path.replace(" ", "%20").replace("(", "%28").replace(")", "%29")


def table(head: Sequence[str], rows: Iterable[Sequence[object]], right: Iterable[int] = ()) -> str:
    """A table; columns in ``right`` are numbers. Without rows: the word that there are none."""
    numbers = set(right)
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    if not cells:
        return "(none)"
    rule = ["---:" if index in numbers else "---" for index in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [list(head), rule, *cells])


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def megabytes(count: float) -> str:
    """A size for people, decimal as docker prints it."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def short(command: str) -> str:
    """What a layer's command does, without what every such command has."""
    if found := re.search(r"apt-get install ((?:-\S+ )*)([^&]+)", command):
        command = f"apt-get install {found[2].strip()}"
    command = re.sub(r"\b(dir|file|multi):[0-9a-f]{64}\b", "...", command).replace("`", "'")
    return command if len(command) <= COMMAND_CHARACTERS_MAX else command[: COMMAND_CHARACTERS_MAX - 3] + "..."


def cut(text: str) -> str:
    """The beginning of a difference, without the last end of line."""
    lines = text.splitlines()
    if len(lines) > DIFF_LINES_MAX:
        lines = [*lines[:DIFF_LINES_MAX], f"... {len(lines) - DIFF_LINES_MAX} more lines in the file"]
    return "\n".join(lines)


def _steps(steps: Sequence[StepRecord]) -> str:
    rows = [(item.name, item.did or item.title, ", ".join(item.nodes) or "none") for item in steps]
    return table(["step", "what was done", "web nodes after it"], rows)


def _spread(evidence: Evidence) -> str:
    if not evidence.spread:
        return ""
    rows = sorted((evidence.name_of(host), count) for host, count in evidence.spread["by_server"].items())
    return table(["node", "requests answered"], rows, right=[1])


def _times(timings: Sequence[Timing]) -> str:
    rows = [(item.step, item.what, seconds(item.seconds)) for item in timings]
    return table(["step", "from what to what", "time"], rows, right=[2])


def _layers_text(layers: Sequence[Mapping[str, Any]]) -> str:
    names = {image for layer in layers for image in layer["images"]}
    together = sum(layer["bytes"] for layer in layers)
    apart = sum(layer["bytes"] * len(layer["images"]) for layer in layers)
    shared = sum(layer["bytes"] for layer in layers if set(layer["images"]) == names)
    return (
        f"The {len(names)} images take {megabytes(together)} on disk; without common layers it would be"
        f" {megabytes(apart)}. {megabytes(shared)} are in layers that all of them share. Not shown: layers below 10 kB."
    )


def _layers(layers: Sequence[Mapping[str, Any]]) -> str:
    names = {image for layer in layers for image in layer["images"]}
    rows = []
    for layer in layers:
        if layer["bytes"] >= LAYER_BYTES_SHOWN_MIN:
            where = "all" if set(layer["images"]) == names else ", ".join(layer["images"])
            rows.append((megabytes(layer["bytes"]), f"`{short(layer['command'])}`", where))
    return table(["size", "made by", "in"], rows, right=[0])


def _generations(generations: Sequence[Mapping[str, Any]]) -> str:
    """``ms`` is from the listing of the members until HAProxy was changed and read back, as in ``supervise lb``."""
    rows = []
    for item in generations:
        spent = item["milliseconds"]
        work = sum(spent.get(name, 0.0) for name in ("detect", "apply", "verify", "reload"))
        result = item["result"] + (f": {item['error']}" if item.get("error") else "")
        cause = "; ".join(item["cause"])
        rows.append((item["n"], item["time"], cause, len(item["members"]), item["method"], f"{work:.0f}", result))
    return table(["n", "time", "cause", "servers", "method", "ms", "result"], rows, right=[0, 3, 5])


def _nodes(step: StepRecord) -> str:
    names = [line.removeprefix("== ") for line in step.listing.splitlines() if line.startswith("== ")]
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def _failed(evidence: Evidence) -> str:
    head = [
        "step",
        "requests",
        "failed",
        "p50 ms",
        "p99 ms",
        "max ms",
        "sessions",
        "moved with node",
        "moved else",
        "reset",
    ]
    rows: list[Sequence[object]] = []
    for step in evidence.steps:
        if step.outcome:
            seen = step.outcome
            moved, else_moved = seen["sessions_moved"], seen["sessions_moved_unexplained"]
            times = [f"{seen[key]:.1f}" for key in ("p50", "p99", "max")]
            sessions = (seen["sessions"], moved - else_moved, else_moved, seen["sessions_reset"])
            rows.append((f"{step.name}: {step.title}", seen["requests"], f"**{seen['failed']}**", *times, *sessions))
    if rows:
        rows.append(("together", evidence.requests, f"**{evidence.failed}**", *[""] * 7))
    return table(head, rows, right=range(1, 10))


def _failures(steps: Sequence[StepRecord]) -> str:
    lines = []
    for step in steps:
        seen = step.outcome or {"by_reason": {}, "failures": []}
        lines += [f"- {step.name}: {count} x {reason}" for reason, count in sorted(seen["by_reason"].items())]
        shown = seen["failures"][:FAILURES_SHOWN_MAX]
        lines += [f"    - {item['time']} {item['kind']}: {item['reason']}: {item['detail']}" for item in shown]
    return "\n".join(lines)


def _files(task: Task, files: Mapping[str, bool]) -> str:
    """All files of a task, a line a folder."""
    root = f"logs/task {task.number}/"
    folders: dict[str, list[str]] = {name: [] for name in ("", *(step.name for step in STEPS))}
    for path in sorted(files):
        if path.startswith(root):
            folder, _, leaf = path.removeprefix(root).rpartition("/")
            folders[folder].append(link(leaf, path) if files[path] else f"{leaf} (missing)")
    folders = {name: links for name, links in folders.items() if links}
    if len(folders) == 1:
        return f"Files: {', '.join(next(iter(folders.values())))}"
    lines = [f"- {f'*{folder}*: ' if folder else ''}{', '.join(links)}" for folder, links in folders.items()]
    return "\n".join(["Files:", "", *lines])
