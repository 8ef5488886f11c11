"""Core: lints over what the engine is told of containers: its patience, its own logs, volumes, names."""

from __future__ import annotations

import json
from collections.abc import Iterator

from logship.audit.lints.compose_json import Compose, Service, tmpfs_target
from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Severity, lint

SPOOLS = "/var/spool/logship"
UNBOUNDED = ("", "json-file")
OWN_IMAGES = ("base", "ha", "webapp", "collector")
OWN_TAG = "local"
"""What `make images` gives them, whatever the project is called."""
OWN_SETTINGS = ("LOGSHIP_", "SUPERVISE_", "SERF_")


def _ours(conf: Compose) -> Iterator[Service]:
    """Services that keep a spool: those that mount something there, and those of our images."""
    for service in conf.services:
        if SPOOLS in (*service.mounts, *service.in_memory) or _is_own_image(conf, service):
            yield service


def _is_own_image(conf: Compose, service: Service) -> bool:
    """Whether it is called as `make` calls them, whose folder is the project: by one more sign than its short name."""
    folder, _, short = service.image.partition("@")[0].rpartition("/")
    name, _, tag = short.partition(":")
    settings = service.table.get("environment")
    return (
        name in OWN_IMAGES
        and bool(folder)
        and (
            "logship" in folder
            or folder.rpartition("/")[2] == conf.project
            or tag == OWN_TAG
            or (isinstance(settings, dict) and any(key.startswith(OWN_SETTINGS) for key in settings))
        )
    )


def _set(conf: Compose, path: tuple[str, ...], there: bool, what: str, value: object) -> Flaw:
    key = json.dumps(path[-1])
    return Flaw(conf.place(*path), what, Deed.REPLACE if there else Deed.ADD, f"{key}: {json.dumps(value)},")


@lint(
    "compose-unbounded-log",
    Severity.RISK,
    "the engine's own copy grows without bound",
    "json-file has no limit unless it is given one, and a full disk stops the spool and the collector's store.",
)
def unbounded_log(conf: Compose, _: Conditions) -> Iterator[Flaw]:
    for service in conf.services:
        logging = service.table.get("logging") or {}
        options = logging.get("options") or {}
        if logging.get("driver", "") in UNBOUNDED and "max-size" not in options:
            value = {"driver": "json-file", "options": {**options, "max-size": "20m", "max-file": "3"}}
            what = f"the log of {service.name} has no max-size"
            yield _set(conf, ("services", service.name, "logging"), "logging" in service.table, what, value)


@lint(
    "compose-default-grace",
    Severity.RISK,
    "the engine's patience is nobody's choice",
    "Docker's 10 s are supervisord's for one program: with several the container is killed, with what is in its pipes.",
)
def default_grace(conf: Compose, _: Conditions) -> Iterator[Flaw]:
    for service in _ours(conf):
        if "stop_grace_period" not in service.table:
            what = f"{service.name} has no stop_grace_period, which means 10 s"
            yield _set(conf, ("services", service.name, "stop_grace_period"), False, what, "25s")


@lint(
    "compose-spool-on-layer",
    Severity.LOSS,
    "the spool goes with the container",
    "what the collector does not hold yet is deleted by `docker rm` unless the spool lies on a volume.",
)
def spool_on_layer(conf: Compose, _: Conditions) -> Iterator[Flaw]:
    for service in _ours(conf):
        path = ("services", service.name)
        if SPOOLS not in service.mounts:
            volumes = service.table.get("volumes") or []
            kept = [item for item in volumes if not (isinstance(item, dict) and item.get("target") == SPOOLS)]
            new = {"type": "volume", "source": f"{service.name}-spool", "target": SPOOLS}
            what = f"{service.name} mounts no volume at {SPOOLS}"
            if SPOOLS in service.in_memory:
                what += ", but a tmpfs, which ends with the container"
            yield _set(conf, (*path, "volumes"), "volumes" in service.table, what, [*kept, new])
        if any(tmpfs_target(item) == SPOOLS for item in service.tmpfs):
            kept = [item for item in service.tmpfs if tmpfs_target(item) != SPOOLS]
            what = f"{service.name} has a tmpfs at {SPOOLS}, where its volume has to be"
            yield _set(conf, (*path, "tmpfs"), True, what, kept)


@lint(
    "compose-fixed-name",
    Severity.RISK,
    "a fixed name for containers that may be several",
    "two living nodes of one name: Serf notices after 3 s and one of them quits with exit status 0.",
)
def fixed_name(conf: Compose, _: Conditions) -> Iterator[Flaw]:
    for service in conf.services:
        for key in ("hostname", "container_name"):
            if service.table.get(key):
                what = f"{service.name} has the {key} {service.table[key]}"
                yield Flaw(conf.place("services", service.name, key), what, Deed.REMOVE)


LINTS: tuple[Lint[Compose], ...] = (unbounded_log, default_grace, spool_on_layer, fixed_name)
