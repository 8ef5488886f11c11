"""Run: ``supervise lb``: looking at the balancer, and telling it what an operator wants.

In ``ha`` it reads the balancer's files and asks HAProxy; on the host it runs itself in the containers of service
``ha`` through the engine.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from logship.errors import USAGE, Fault
from supervise import config
from supervise.balance import report
from supervise.balance.haproxy import Haproxy, HaproxyDown
from supervise.balance.membership import WEIGHT_MAX
from supervise.balance.runtime import Actual
from supervise.balance.server import APP
from supervise.balance.store import Store
from supervise.balance.wishes import Wishes
from supervise.config import Settings

SERVICE = "ha"
APPLY_SECONDS = 5.0
"""How long to wait until the balancer has done what was asked."""

EXEC_SECONDS = 20.0
HISTORY_LINES = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``supervise lb``."""
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table", help="json: one object a line")
    parser.add_argument("--local", action="store_true", help="this container's balancer, without asking the engine")
    config.add_options(parser, "project", "balance_dir", "haproxy_socket")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-o", "--output", choices=["table", "json"], default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("status", parents=[common], help="servers, their state, and who is kept or refused and why")
    history = verbs.add_parser("history", parents=[common], help="the last generations, newest last")
    history.add_argument("-n", "--lines", type=int, default=HISTORY_LINES, help=f"how many (default {HISTORY_LINES})")
    diff = verbs.add_parser("diff", parents=[common], help="what a generation changed in haproxy.cfg")
    diff.add_argument("number", metavar="N", type=int, nargs="?", help="number of the generation (default: the last)")
    drain = verbs.add_parser("drain", parents=[common], help="no new sessions for a server; its own clients may stay")
    ready = verbs.add_parser("ready", parents=[common], help="take back what was asked for a server")
    weight = verbs.add_parser("weight", parents=[common], help="give a server another share of the traffic")
    for verb in (drain, ready, weight):
        verb.add_argument(
            "name", metavar="NAME", help="server, or the beginning of its name; on the host webapp/2, too"
        )
    weight.add_argument("weight", metavar="WEIGHT", type=int, help=f"0 to {WEIGHT_MAX}; 100 is an equal share")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run one verb and return the exit status."""
    settings = config.load(options, environment)
    if options.verb == "weight" and not 0 <= options.weight <= WEIGHT_MAX:
        raise Fault("give", options.name, f"{options.weight} is no weight", f"0 to {WEIGHT_MAX}", USAGE)
    if options.verb == "history" and options.lines < 1:
        raise Fault("show", f"{options.lines} generations", "too few", "1 or more", USAGE)
    if not options.local and not settings.balance_dir.is_dir():
        return _remote(options, settings, environment)
    store = Store(settings.balance_dir, settings.haproxy_cfg, settings.nodes_dir, settings.templates)
    if not settings.balance_dir.is_dir():
        raise Fault("look at", str(settings.balance_dir), "no balancer works here", "run it in ha, or on the host", 1)
    verbs: dict[str, Callable[[argparse.Namespace, Settings, Store], int]] = {
        "status": _status,
        "history": _history,
        "diff": _diff,
        "drain": _wish,
        "ready": _wish,
        "weight": _wish,
    }
    return verbs[options.verb](options, settings, store)


# In the container.


def _status(options: argparse.Namespace, settings: Settings, store: Store) -> int:
    record = dict(store.read_status())
    if not record:
        raise Fault("read", str(store.folder / "status.json"), "the balancer has not decided anything yet")
    if not store.is_running():
        record["troubles"] = {**record.get("troubles", {}), "balance": "it is not running; this is its last word"}
    actual, reason = _look(settings)
    if reason:
        record["troubles"] = {**record.get("troubles", {}), "haproxy": reason}
    last = store.generation(record.get("generation", 0)) or {}
    table = report.status_table(record, actual, last, sys.stdout.isatty())
    return _print(options, report.status_lines(record, actual, last), table)


def _history(options: argparse.Namespace, settings: Settings, store: Store) -> int:
    del settings
    records = [store.generation(number) for number in store.generation_numbers()[-options.lines :]]
    found = [record for record in records if record is not None]
    return _print(options, found, report.history_table(found, sys.stdout.isatty()))


def _diff(options: argparse.Namespace, settings: Settings, store: Store) -> int:
    del settings
    kept = store.generation_numbers()
    number = options.number if options.number is not None else (kept[-1] if kept else 0)
    if number not in kept:
        near = sorted(kept, key=lambda one: (abs(one - number), one))[:3]
        hint = (
            f"kept are {kept[0]} to {kept[-1]}; near: {', '.join(map(str, sorted(near)))}" if kept else "none is kept"
        )
        raise Fault("show", f"generation {number}", "there is none with this number", hint, USAGE)
    record, diff = store.generation(number) or {"n": number}, store.generation_file(number, "diff")
    return _print(options, [{**record, "diff": diff}], report.diff_text(record, diff, sys.stdout.isatty()))


def _wish(options: argparse.Namespace, settings: Settings, store: Store) -> int:
    """Write the wish, then wait until the balancer has done it."""
    record = store.read_status()
    names = [server["name"] for server in record.get("servers", [])]
    name = _resolve(options.name, names)

    def alter(wishes: Wishes) -> Wishes:
        kept = wishes.only(names)  # servers that are gone need no wishes
        if options.verb == "weight":
            return kept.weigh(name, options.weight)
        return kept.drain(name) if options.verb == "drain" else kept.ready(name)

    try:
        wishes = store.wish(alter)
    except ValueError as error:
        raise Fault("change", str(store.folder / "wishes.json"), str(error), "correct or remove it") from None
    if not store.is_running():
        raise Fault(options.verb, name, "the balancer is not running", "it will take the wish up when it starts")
    deadline = time.monotonic() + APPLY_SECONDS
    while time.monotonic() < deadline:
        actual, reason = _look(settings)
        wanted = next((one for one in store.read_status().get("servers", []) if one["name"] == name), None)
        entry = actual.entries.get((APP, name)) if actual else None
        if wanted and wanted["wish"] == _wished(name, wishes) and entry and entry.weight == wanted["weight"]:
            line = {"v": report.VERSION, "server": name, "weight": entry.weight, "sessions": entry.sessions}
            return _print(options, [line], [report.wish_text(options.verb, name, entry)])
        time.sleep(0.05)
    cause = f"not done within {APPLY_SECONDS:g} s{': ' + reason if reason else ''}"
    raise Fault(options.verb, name, cause, "the wish is kept; look at: supervise lb status")


def _wished(name: str, wishes: Wishes) -> str:
    if name in wishes.drained:
        return "drain"
    return f"weight {wishes.weights[name]}" if name in wishes.weights else ""


def _resolve(text: str, names: Sequence[str]) -> str:
    """The one server that ``text`` names or begins. Raises Fault (status 2) with the nearest names."""
    if text in names:
        return text
    begun = [name for name in names if text and name.startswith(text)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise Fault("find", f"server {text}", f"{len(begun)} servers begin so", ", ".join(begun[:5]), USAGE)
    near = difflib.get_close_matches(text, names, n=3, cutoff=0.4)
    near += [name for name in names if text and text in name and name not in near]
    hint = f"near: {', '.join(near[:3])}" if near else f"servers: {', '.join(names[:5]) or 'none'}"
    raise Fault("find", f"server {text}", "there is none with this name", hint, USAGE)


def _look(settings: Settings) -> tuple[Actual | None, str]:
    try:
        return Haproxy(settings.haproxy_socket, settings.haproxy_master).look(), ""
    except HaproxyDown as error:
        return None, str(error)


def _print(options: argparse.Namespace, lines: Sequence[Mapping[str, Any]], table: Sequence[str]) -> int:
    for line in [json.dumps(line) for line in lines] if options.output == "json" else table:
        print(line)
    return 0


# On the host.


def _remote(options: argparse.Namespace, settings: Settings, environment: Mapping[str, str]) -> int:
    """Run the verb in each container of the service; the worst exit status."""
    from supervise.fleet.engine import Engine

    engine = Engine.connect(environment)
    containers = engine.containers(settings.project)
    balancers = [container for container in containers if container.service == SERVICE]
    if not balancers:
        hint = "start it with: make up; or name its project: --project"
        raise Fault("find", f"service {SERVICE} of project {settings.project}", "no container runs", hint, 4)
    words = _words(options, {f"{one.service}/{one.number}": one.id[:12] for one in containers})
    worst = 0
    for container in balancers:
        result = engine.exec(container, ["supervise", "lb", "--local", *words], EXEC_SECONDS)
        if len(balancers) > 1 and options.output == "table":
            print(f"{container.service}/{container.number}")
        sys.stdout.write(result.stdout.decode("utf-8", "replace"))
        sys.stderr.write(result.stderr.decode("utf-8", "replace"))
        worst = max(worst, result.status)
    return worst


def _words(options: argparse.Namespace, ids: Mapping[str, str]) -> list[str]:
    """The command line for the container. A target like webapp/2 becomes the beginning of its node's name."""
    words = ["-o", options.output, options.verb]
    if options.verb == "history":
        words += ["-n", str(options.lines)]
    elif options.verb == "diff" and options.number is not None:
        words.append(str(options.number))
    elif options.verb in ("drain", "ready", "weight"):
        name = options.name
        if re.fullmatch(r"[a-z0-9-]+/[0-9]+", name):
            if name not in ids:
                raise Fault("find", name, "no such container runs", f"there are: {', '.join(sorted(ids))}", USAGE)
            name = ids[name]
        words.append(name)
        words += [str(options.weight)] if options.verb == "weight" else []
    return words
