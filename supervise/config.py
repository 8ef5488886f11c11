"""The settings of ``supervise``; how they work is told in ``logship/settings.py``.

A setting ``run_dir`` is the option ``--run-dir`` where a command offers it, the variable ``SUPERVISE_RUN_DIR``, or its
default, in this order.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from logship import settings
from logship.settings import setting

PREFIX = "SUPERVISE"

_TREE = Path(__file__).resolve().parent


def _default_templates() -> Path:
    """Templates travel inside an installed package, and stand beside it in a checkout and in the images."""
    installed = _TREE / "_templates"
    return installed if installed.is_dir() else _TREE.parent / "templates"


@dataclass(frozen=True)
class Settings:
    """Where things are and how long they take; the defaults are those of the images."""

    declaration: Path = setting(Path("/etc/supervise/supervise.toml"), "what runs in this container")
    run_dir: Path = setting(Path("/run/supervise"), "state, sockets and FIFOs of this container")
    spool_dir: Path = setting(Path("/var/spool/logship"), "folder of the spool folders")
    templates: Path = setting(_default_templates(), "folder of the templates")
    network: str = setting("", "network whose address is this container's own where it has several, like 172.30.0.0/16")
    project: str = setting("logship", "name of the compose project")
    balance_dir: Path = setting(Path("/var/lib/supervise/balance"), "generations and wishes of the balancer")
    nodes_dir: Path = setting(Path("/nodes"), "one file a member")
    haproxy_cfg: Path = setting(Path("/etc/haproxy/haproxy.cfg"), "the published configuration")
    haproxy_socket: Path = setting(Path("/run/haproxy/admin.sock"), "HAProxy's Runtime API, level admin")
    haproxy_master: Path = setting(Path("/run/haproxy/master.sock"), "HAProxy's master socket")
    haproxy_threads: int = setting(1, "threads of HAProxy, 1 to 64; 1 loses no log line to contention for the pipe")
    haproxy_maxconn: int = setting(
        8000, "connections HAProxy takes at once, 100 to 1000000; each needs two descriptors"
    )
    serf_rpc: str = setting("127.0.0.1:7373", "address of the Serf agent's RPC")
    poll_milliseconds: int = setting(200, "how often the members are asked for, 50 to 10000")
    cookie_key: str = setting("", "key of the stickiness cookie; empty: made once and kept in balance_dir")


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Offer the settings ``names`` as options of a command."""
    settings.add_options(parser, Settings, PREFIX, *names)


def load(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Settings from options, then environment, then defaults. Raises Fault (status 2) for a value of the wrong kind."""
    return settings.load(Settings, PREFIX, options, environment)
