"""Edge: supervisord's XML-RPC on the private unix socket of the container, and the state.json beside it."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any

from logship.errors import Fault
from supervise.fleet.result import UNREACHABLE
from supervise.fleet.snapshot import STATE_BYTES_MAX, Snapshot, parse

ANSWER_SECONDS = 10
"""PID 1 answers in about a millisecond; longer than this, it hangs."""

Refusal = xmlrpc.client.Fault
"""supervisord's own no: ``faultCode``, ``faultString``."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, _host: Any) -> _Connection:
        return _Connection(self._path)


class Supervisord:
    """supervisord, by its socket. Methods raise Refusal for its no, Fault (status 4) when it does not answer."""

    def __init__(self, run_dir: Path) -> None:
        self._socket = run_dir / "supervisor.sock"
        self._state = run_dir / "state.json"
        self._proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_Transport(str(self._socket)))

    def info(self, program: str) -> dict[str, Any]:
        """``getProcessInfo``: statename, pid, spawnerr, description and more."""
        found = self._call("getProcessInfo", program)
        assert isinstance(found, dict)
        return found

    def programs(self) -> list[str]:
        """Names of all programs, in supervisord's order."""
        found = self._call("getAllProcessInfo")
        assert isinstance(found, list)
        return [str(item["name"]) for item in found]

    def start(self, program: str) -> None:
        """Ask for a start; does not wait for it."""
        self._call("startProcess", program, False)

    def stop(self, program: str) -> None:
        """Ask for a stop; does not wait for it."""
        self._call("stopProcess", program, False)

    def snapshot(self) -> Snapshot | None:
        """What PID 1 last wrote; None when there is no such file. Raises Fault when it is unreadable."""
        try:
            with self._state.open("rb") as file:
                return parse(file.read(STATE_BYTES_MAX))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Fault("read", str(self._state), str(error)) from None

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            cause = getattr(error, "strerror", None) or getattr(error, "errmsg", None) or str(error) or repr(error)
            hint = "this works inside a container whose PID 1 is supervise init, as root"
            raise Fault("ask", f"supervisord at {self._socket}", cause, hint, UNREACHABLE) from None
