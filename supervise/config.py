"""The settings of ``supervise``: one name each, as option, environment variable and field.

A setting ``run_dir`` is the option ``--run-dir`` where a command offers it, the variable ``SUPERVISE_RUN_DIR``, or its
default, in this order. The environment is read once, in ``__main__.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from logship.errors import USAGE, Fault

_TREE = Path(__file__).resolve().parent


def _default_templates() -> Path:
    """Templates travel inside an installed package, and stand beside it in a checkout and in the images."""
    installed = _TREE / "_templates"
    return installed if installed.is_dir() else _TREE.parent / "templates"


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """Where things are and how long they take; the defaults are those of the images."""

    declaration: Path = _setting(Path("/etc/supervise/supervise.toml"), "what runs in this container")
    run_dir: Path = _setting(Path("/run/supervise"), "state, sockets and FIFOs of this container")
    spool_dir: Path = _setting(Path("/var/spool/logship"), "folder of the spool folders")
    templates: Path = _setting(_default_templates(), "folder of the templates")
    network: str = _setting("", "network whose address is this container's own where it has several, like 172.30.0.0/16")
    project: str = _setting("logship", "name of the compose project")
    balance_dir: Path = _setting(Path("/var/lib/supervise/balance"), "generations and wishes of the balancer")
    nodes_dir: Path = _setting(Path("/nodes"), "one file a member")
    haproxy_cfg: Path = _setting(Path("/etc/haproxy/haproxy.cfg"), "the published configuration")
    haproxy_socket: Path = _setting(Path("/run/haproxy/admin.sock"), "HAProxy's Runtime API, level admin")
    haproxy_master: Path = _setting(Path("/run/haproxy/master.sock"), "HAProxy's master socket")
    serf_rpc: str = _setting("127.0.0.1:7373", "address of the Serf agent's RPC")
    poll_milliseconds: int = _setting(200, "how often the members are asked for, 50 to 10000")
    cookie_key: str = _setting("", "key of the stickiness cookie; empty: made once and kept in balance_dir")


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Offer the settings ``names`` as options of a command."""
    by_name = {item.name: item for item in fields(Settings)}
    for name in names:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            help=f"{by_name[name].metadata['help']} (SUPERVISE_{name.upper()}, default {by_name[name].default})",
        )


def load(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Settings from options, then environment, then defaults. Raises Fault (status 2) for a value of the wrong kind."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        variable = f"SUPERVISE_{item.name.upper()}"
        text = getattr(options, item.name, None) or environment.get(variable)
        if text is None:
            continue
        try:
            values[item.name] = type(item.default)(text)
        except ValueError:
            wanted = type(item.default).__name__
            raise Fault("take the setting", variable, f"{text!r} is no {wanted}", "correct it", USAGE) from None
    return Settings(**values)
