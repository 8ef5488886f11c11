"""HAProxy's sockets as `logship counters` meets them: master, workers, and connections that stay with their worker.

What it answers is what HAProxy 3.0.11 was seen to answer; a worker that stops ends when nobody is connected to it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class FakeWorker:
    """One worker; tests set its numbers."""

    pid: int
    lines: int = 0
    drops: int = 0
    connections: int = 0
    stopping: bool = False
    dead: bool = False
    dropping: int = 0
    """Lines it drops between any two answers, so many times."""
    held: list[socket.socket] = field(default_factory=list)

    def answer(self, command: str) -> str:
        """Its answer to one command."""
        if command == "show info":
            facts = {
                "Nbthread": 1, "Pid": self.pid, "CurrConns": self.connections, "Stopping": int(self.stopping),
                "DroppedLogs": self.drops, "Start_time_sec": 1_795_464_000 + self.pid,
            }  # fmt: skip
            if self.dropping:
                self.dropping -= 1
                self.drops += 1
            return "".join(f"{name}: {value}\n" for name, value in facts.items())
        if command == "show table http":
            if self.stopping and not self.connections:
                return "# table: http, type: integer, size:16, used:0\n"
            return f"# table: http, type: integer, size:16, used:1\n0x1: key=1 use=0 exp=0 shard=0 gpc0={self.lines}\n"
        if command == "get var proc.lines":
            return f"proc.lines: type=sint value=<{self.lines}>\n" if self.lines else "Variable not found.\n"
        if command == "show stat -1 1 -1":
            return f"# pxname,svname,req_tot,\nhttp,FRONTEND,{self.lines},\n"
        return "Unknown command\n"

    def die(self) -> None:
        """SIGKILL."""
        self.dead = True
        for connection in self.held:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class FakeHaproxy:
    """Listens in ``folder``: admin.sock and master.sock."""

    def __init__(self, folder: Path) -> None:
        self.admin, self.master = folder / "admin.sock", folder / "master.sock"
        self.workers: list[FakeWorker] = []
        self._sockets = [self._listen(self.admin, self._worker), self._listen(self.master, self._ask_master)]

    @property
    def alive(self) -> list[FakeWorker]:
        """Those that are there: one that stops stays while somebody is connected to it."""
        return [
            worker for worker in self.workers if not worker.dead and not (worker.stopping and not self._kept(worker))
        ]

    def start(self, pid: int) -> FakeWorker:
        """A new worker; the one before it stops."""
        for worker in self.workers:
            worker.stopping = True
        self.workers.append(FakeWorker(pid))
        return self.workers[-1]

    def close(self) -> None:
        """The end."""
        for worker in self.workers:
            worker.die()
        for listener in self._sockets:
            listener.close()

    def _kept(self, worker: FakeWorker) -> bool:
        return bool(worker.connections or worker.held)

    def _listen(self, path: Path, serve: object) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(16)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()  # type: ignore[arg-type]  # one of two methods

        threading.Thread(target=accept, daemon=True).start()
        return listener

    def _worker(self, connection: socket.socket) -> None:
        current = [worker for worker in self.workers if not worker.stopping and not worker.dead]
        if not current:
            connection.close()
            return
        worker, prompt = current[-1], False
        worker.held.append(connection)
        with connection, contextlib.suppress(OSError), connection.makefile("r") as lines:
            for line in lines:
                for command in line.strip().split(";"):
                    if command == "prompt":
                        prompt = True
                        connection.sendall(b"\n> ")
                        continue
                    connection.sendall((worker.answer(command) + ("\n> " if prompt else "\n")).encode())
        worker.held.remove(connection)

    def _ask_master(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("r") as lines:
            line = lines.readline().strip()
            if line == "show proc":
                rows = [
                    f"{worker.pid}           worker          0               0d00h00m00s     3.0.11"
                    for worker in self.alive
                ]
                connection.sendall(("# workers\n" + "\n".join(rows) + "\n").encode())
                return
            prefix, _, command = line.partition(" ")
            found = [worker for worker in self.alive if prefix == f"@!{worker.pid}"]
            answer = (
                found[0].answer(command) if found else f"Can't find the target PID matching the prefix '{prefix}'\n"
            )
            connection.sendall(answer.encode())
