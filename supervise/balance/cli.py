"""The commands ``supervise balance`` (the program in ``ha``) and ``supervise lb`` (look at it, ask it for things).

Owns options and the wiring; what ``lb`` does is in ``lb``.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Mapping
from threading import Event

from logship.commands import Command
from logship.errors import USAGE, Fault
from supervise import config
from supervise.balance import lb
from supervise.balance.haproxy import Haproxy, HaproxyDown
from supervise.balance.log import Log
from supervise.balance.publish import Publisher, Variables
from supervise.balance.render import TEMPLATE_NAME, BadTemplate, render
from supervise.balance.run import Balancer, keep_balancing
from supervise.balance.serf import Serf
from supervise.balance.store import Store
from supervise.config import Settings

CRASHED = 70
"""Exit status after a mistake of our own; PID 1 starts the program again, and everything it needs is on disk."""


def _configure_balance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--print-empty", action="store_true", help="print the configuration with no servers, and do nothing else"
    )
    config.add_options(
        parser,
        "templates",
        "balance_dir",
        "nodes_dir",
        "haproxy_cfg",
        "haproxy_socket",
        "haproxy_master",
        "haproxy_threads",
        "haproxy_maxconn",
        "serf_rpc",
        "poll_milliseconds",
    )


def _balance(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    settings = config.load(options, environment)
    variables = _variables(settings)
    if options.print_empty:
        try:
            template = (settings.templates / TEMPLATE_NAME).read_text(encoding="utf-8")
            sys.stdout.write(render(template, (), variables.threads, variables.maxconn).text)
        except (OSError, BadTemplate) as error:
            raise Fault("render", str(settings.templates / TEMPLATE_NAME), str(error)) from None
        return 0
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    log = Log()
    try:
        _work(settings, variables, log, stop)
    except Fault as fault:
        log.say("ERROR", "fault", {"reason": str(fault)})
        return fault.status
    except Exception as error:
        log.say("ERROR", "crashed", {"reason": f"{type(error).__name__}: {error}"})
        raise
    log.say("INFO", "stopped")
    return 0


def _work(settings: Settings, variables: Variables, log: Log, stop: Event) -> None:
    """Balance until ``stop``. Raises Fault when it cannot be done here."""
    poll_seconds = _within("poll_milliseconds", settings.poll_milliseconds, 50, 10_000) / 1000
    store = Store(settings.balance_dir, settings.haproxy_cfg, settings.nodes_dir, settings.templates)
    store.open()
    proxy = Haproxy(settings.haproxy_socket, settings.haproxy_master)
    serf = Serf(_address(settings.serf_rpc))
    key = settings.cookie_key.encode() or store.cookie_key()
    publisher = Publisher(store, proxy, variables, log, time.monotonic, time.time)
    balancer = Balancer(serf, proxy, store, publisher, log, key, time.monotonic, random.random)
    log.say("INFO", "started", {"generation": publisher.number, "poll_milliseconds": settings.poll_milliseconds})
    _await_haproxy(proxy, settings, log, poll_seconds, stop)
    keep_balancing(balancer, poll_seconds, stop)
    serf.close()


def _await_haproxy(proxy: Haproxy, settings: Settings, log: Log, poll_seconds: float, stop: Event) -> None:
    """Wait until HAProxy answers. Raises Fault when it does not offer what it takes to steer it."""
    said = ""
    while not stop.is_set():
        try:
            lacking = proxy.missing()
        except HaproxyDown as error:
            if str(error) != said:
                said = str(error)
                log.say("WARNING", "haproxy-failing", {"reason": said})
            stop.wait(poll_seconds)
            continue
        if lacking:
            raise Fault(
                "steer HAProxy through",
                str(settings.haproxy_socket),
                f"it lacks {', '.join(lacking)}",
                "HAProxy 3.0 or newer, with a `stats socket` of level admin",
            )
        return


def _variables(settings: Settings) -> Variables:
    return Variables(
        threads=_within("haproxy_threads", settings.haproxy_threads, 1, 64),
        maxconn=_within("haproxy_maxconn", settings.haproxy_maxconn, 100, 1_000_000),
    )


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        cause = f"{value} is not within {least} to {most}"
        raise Fault("take the setting", f"SUPERVISE_{name.upper()}", cause, "correct it", USAGE)
    return value


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise Fault("take the setting", "SUPERVISE_SERF_RPC", f"{text!r} is not HOST:PORT", "correct it", USAGE)
    return text


COMMANDS = {"balance": Command(_configure_balance, _balance), "lb": Command(lb.configure, lb.run)}
