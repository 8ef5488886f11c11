"""Stage 2 of PID 1: ``python3 -I -m supervise.init PLAN``, in the process that ``supervise init`` was.

It begins anew so that PID 1 does not keep the parser and the template engine in memory for its whole life; everything
it needs stands in plan.json and supervisord.conf. Not for people: they run ``supervise init``.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import types
from pathlib import Path
from typing import Any

from logship.errors import Fault


def slim() -> None:
    """Keep out what supervisor's imports would bring and PID 1 never uses: 10 MB of its 31.

    supervisor 4.2.5 imports pkg_resources for two calls, neither of which is made here (an empty module will do). Its
    XML-RPC imports ssl, and hashlib with OpenSSL; both are optional to their importers, and a socket in the file system
    needs neither.
    """
    sys.modules["pkg_resources"] = types.ModuleType("pkg_resources")
    absent: dict[str, Any] = {"ssl": None, "_hashlib": None}  # None: `import` says that there is no such module
    sys.modules.update(absent)


def main(plan_path: Path) -> int:
    """Be PID 1; returns its exit status. Raises Fault before any program was started."""
    slim()
    from supervise.init import draining, folders, machine, pid1, telling, usage, values
    from supervise.init.run import Conductor

    plan = json.loads(plan_path.read_bytes())
    entries: dict[str, Any] = {name: entry for name, entry in plan["programs"].items() if "check_of" not in entry}
    programs = tuple(values.program_from(entry) for entry in entries.values())
    declaration = values.Declaration(plan["service"], programs, plan["stop_seconds"], plan["snapshot_seconds"])
    run_dir, least, host = Path(plan["run_dir"]), int(plan["minfds"]), socket.gethostname()

    files = [pattern for program in programs for pattern in program.files]
    spool, _lock, why = folders.begin_spool(
        run_dir, Path(plan["spool_dir"]), plan["service"], host, list(entries), least, files, plan["named"]
    )
    folders.link_spool(run_dir, spool)
    teller = telling.Teller(plan["service"], host, spool, run_dir, least, [why] if why else [])
    if why:
        teller.event("fault", where="spool", text=why, count=0)
    fifos: dict[str, int] = {}
    sinks: dict[str, int] = {}
    for name, entry in entries.items():
        if entry["fifo"] is None:
            continue
        owner = machine.user_ids(entry["user"])
        fifos[name], size = folders.make_fifo(Path(entry["fifo"]), owner, entry["pipe_bytes"], least)
        sinks[name] = folders.make_sink(Path(entry["fifo"]), least)
        if size < entry["pipe_bytes"]:
            text = f"the pipe of {name} has {size} bytes, not {entry['pipe_bytes']}: pipe-user-pages-soft is reached"
            teller.event("fault", where="fifo", text=text, count=0)
    wake = pid1.Wake(least)
    since_start = time.clock_gettime(time.CLOCK_BOOTTIME) - usage.process_started()
    facts = {
        "pid": os.getpid(),
        "incarnation": spool.name,
        "service": plan["service"],
        "host": host,
        "supervisor": pid1.VERSION,
        "milliseconds": round(since_start * 1000),
    }
    drain = draining.Draining(fifos, sinks, spool, wake.epoll, teller.event, least)
    conductor = Conductor(declaration, run_dir, teller, wake.epoll, drain, facts)
    log = telling.LogHandler(spool, least, conductor.guard.failed)
    return pid1.supervise(conductor, wake, log, str(run_dir / folders.CONFIGURATION))


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except Fault as fault:
        print(f"supervise init: {fault}", file=sys.stderr)
        sys.exit(fault.status)
    except OSError as error:
        print(f"supervise init: cannot start PID 1: {error}", file=sys.stderr)
        sys.exit(1)
