"""Edge: supervisord's XML-RPC, with what init must know or decide first.

Everything a person is used to from supervisorctl works. Different: shutdown and restart become init's ordered stop,
starts are refused during it, and the declared programs cannot be removed. supervisord finds ``make`` by its
configuration; the module is imported under its own name.
"""

from __future__ import annotations

from typing import Any

from supervisor.rpcinterface import SupervisorNamespaceRPCInterface
from supervisor.xmlrpc import Faults, RPCError

from supervise.init.run import Conductor
from supervise.init.stopping import RESTART, SHUTDOWN

DEFERRED_SECONDS = 0.05
"""How often a waiting answer looks again; supervisord's own 0 for a stop makes its loop spin meanwhile."""
REFUSED_IN_STOP = ("start", "add", "remove", "reload", "restart")


class Interface(SupervisorNamespaceRPCInterface):  # type: ignore[misc]  # supervisor ships no types
    """supervisord's interface around a Conductor."""

    def __init__(self, supervisord: Any, conductor: Conductor) -> None:
        super().__init__(supervisord)
        self._conductor = conductor

    def _update(self, text: str) -> None:
        super()._update(text)
        if self._conductor.stopping and text.startswith(REFUSED_IN_STOP):
            raise RPCError(Faults.SHUTDOWN_STATE)

    def startProcess(self, name: str, wait: bool = True) -> Any:  # noqa: N802  # the name of the RPC
        result = super().startProcess(name, wait)
        self._conductor.operator("start", name)
        return result

    def stopProcess(self, name: str, wait: bool = True) -> Any:  # noqa: N802
        result = super().stopProcess(name, wait)
        self._conductor.operator("stop", name)
        if callable(result):
            result.delay = DEFERRED_SECONDS
        return result

    def signalProcess(self, name: str, signal: str) -> Any:  # noqa: N802
        result = super().signalProcess(name, signal)
        self._conductor.operator(f"signal {signal}", name)
        return result

    def shutdown(self) -> bool:
        self._update("shutdown")
        self._conductor.stop(SHUTDOWN, "operator")
        return True

    def restart(self) -> bool:
        self._update("restart")
        self._conductor.stop(RESTART, "operator")
        return True

    def removeProcessGroup(self, name: str) -> bool:  # noqa: N802
        self._update("removeProcessGroup")
        raise RPCError(Faults.FAILED, f"{name} is declared in supervise.toml; stop it instead")


# `supervisorctl help` and system.methodHelp read the docstrings, in supervisord's own form.
for _name in ("startProcess", "stopProcess", "signalProcess", "shutdown", "restart", "removeProcessGroup"):
    getattr(Interface, _name).__doc__ = getattr(SupervisorNamespaceRPCInterface, _name).__doc__


def make(supervisord: Any, **_: Any) -> Interface:
    """The factory that supervisord.conf names."""
    return Interface(supervisord, supervisord.conductor)
