"""The Docker engine, through its SDK; nothing else in this package imports the SDK.

Owns the connection, its time limits and its words for failures. It decides nothing about fleets. An ``Engine`` may be
used from several threads at once (at most ``CONNECTIONS`` of them without opening connections beyond the pool).
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from logship.errors import Fault
from supervise.fleet.container import PROJECT, Container, from_listing, in_order
from supervise.fleet.output import ExecResult, ExecStream, frames

if TYPE_CHECKING:
    from docker.api import APIClient

UNREACHABLE = 4
"""Exit status when the engine or a container cannot be reached."""

CONNECTIONS = 32
"""Connections kept open to the engine: as many containers are asked at once."""

CONNECT_SECONDS = 5
REQUEST_SECONDS = 10
"""How long one answer of the engine may take; what a command in a container takes has its own limit."""

OUTPUT_BYTES_MAX = 64 << 20
"""Output of one command kept in memory; more is a Fault."""

_TAR_BYTES_MAX = 10 * 512
"""What a tar of one file holds besides the file: headers (also long names) and the end."""

_DEFAULT_HOST = "unix:///var/run/docker.sock"


class Engine:
    """One Docker engine. Every method raises Fault with status 4 when the engine or the container cannot be reached."""

    def __init__(self, api: APIClient, host: str) -> None:
        self._api = api
        self.host = host

    @classmethod
    def connect(cls, environment: Mapping[str, str]) -> Engine:
        """Connect to DOCKER_HOST (with DOCKER_TLS_VERIFY, DOCKER_CERT_PATH), else to the local engine.

        Raises Fault when it does not answer within CONNECT_SECONDS, or when the SDK is not installed.
        """
        host = environment.get("DOCKER_HOST") or _DEFAULT_HOST
        try:
            import docker
            from docker.utils import kwargs_from_env
        except ImportError:
            raise Fault(
                "import",
                "the docker SDK for Python",
                "it is not installed",
                "pip install docker; inside a container use: supervise ctl --local",
                UNREACHABLE,
            ) from None
        try:
            arguments = kwargs_from_env({**environment, "DOCKER_HOST": host})
            client = docker.APIClient(timeout=CONNECT_SECONDS, max_pool_size=CONNECTIONS, version="auto", **arguments)
        except (docker.errors.DockerException, OSError, ValueError) as error:
            raise Fault(
                "reach", f"the Docker engine at {host}", _cause(error), _hint(host, error), UNREACHABLE
            ) from None
        client.timeout = REQUEST_SECONDS
        return cls(client, host)

    def close(self) -> None:
        """Close the kept connections."""
        self._api.close()

    def version(self) -> str:
        """The engine's version, as it says it."""
        return str(self._asked("ask", "the Docker engine", self._api.version).get("Version", ""))

    def containers(self, project: str, include_stopped: bool = False) -> list[Container]:
        """The containers of a compose project by service and number, without those of ``compose run``. One request."""
        filters = {"label": [f"{PROJECT}={project}"]}
        listing = self._asked(
            "list", f"the containers of {project}", lambda: self._api.containers(all=include_stopped, filters=filters)
        )
        return in_order([found for found in map(from_listing, listing) if found])

    def projects(self) -> list[str]:
        """Names of the compose projects that have containers, running or not."""
        listing = self._asked("list", "compose projects", lambda: self._api.containers(all=True))
        return sorted({item["Labels"][PROJECT] for item in listing if PROJECT in (item.get("Labels") or {})})

    def inspect(self, container: Container) -> dict[str, Any]:
        """What ``docker inspect`` says."""
        return dict(self._asked("inspect", container.label, lambda: self._api.inspect_container(container.id)))

    def logs(self, container: Container, lines: int | None = None, timestamps: bool = False) -> bytes:
        """The container's own output as ``docker logs`` gives it, stdout and stderr together; the last ``lines``."""
        return bytes(
            self._asked(
                "read the logs of",
                container.label,
                lambda: self._api.logs(container.id, timestamps=timestamps, tail="all" if lines is None else lines),
            )
        )

    def read_file(self, container: Container, path: str, bytes_max: int) -> bytes | None:
        """A regular file of the container, running or not; None where there is none.

        Raises Fault (also) when it is longer than ``bytes_max`` or no regular file. A tmpfs cannot be seen this way.
        """
        found: bytes | None = self._asked(
            f"read {path} of", container.label, lambda: self._fetched(container, path, bytes_max), missing_is_none=True
        )
        return found

    def exec(self, container: Container, argv: Sequence[str], timeout_seconds: float) -> ExecResult:
        """Run a command as root in the container and wait for its end.

        Raises Fault with status 5 when it takes longer than ``timeout_seconds``; the engine has no way to end it, so a
        command that may hang has to bound itself.
        """
        deadline = time.monotonic() + timeout_seconds
        stream = self._started(container, argv, timeout_seconds, keep_input=False)
        kept: dict[int, list[bytes]] = {1: [], 2: []}
        size = 0
        try:
            for number, data in frames(stream.reader):
                size += len(data)
                if size > OUTPUT_BYTES_MAX:
                    raise _exec_fault(container, argv, f"it wrote more than {OUTPUT_BYTES_MAX} bytes", 1)
                kept[number].append(data)
                stream.socket.settimeout(max(0.001, deadline - time.monotonic()))
        except TimeoutError:
            raise _exec_fault(container, argv, f"it took longer than {timeout_seconds:g} s", 5) from None
        except OSError as error:
            raise _exec_fault(container, argv, f"the connection to the engine broke: {error}", UNREACHABLE) from None
        finally:
            stream.close()
        return ExecResult(stream.status(), b"".join(kept[1]), b"".join(kept[2]))

    def exec_stream(self, container: Container, argv: Sequence[str]) -> ExecStream:
        """Run a command as root in the container and follow its output for as long as it lasts."""
        return self._started(container, argv, None, keep_input=True)

    def _exit_status(self, container: Container, argv: Sequence[str], exec_id: str) -> int:
        """The engine hears of the end of a command's output a little before it hears of the end of the command."""
        for _ in range(100):
            facts = self._asked("ask the end of a command in", container.label, lambda: self._api.exec_inspect(exec_id))
            if facts.get("ExitCode") is not None:
                return int(facts["ExitCode"])
            time.sleep(0.02)
        raise _exec_fault(container, argv, "it closed its output and went on running", UNREACHABLE)

    def _started(
        self, container: Container, argv: Sequence[str], timeout_seconds: float | None, keep_input: bool
    ) -> ExecStream:
        def start() -> tuple[Any, str]:
            created = self._api.exec_create(container.id, list(argv), stdin=keep_input, user="0")
            return self._api.exec_start(created["Id"], socket=True), created["Id"]

        raw, exec_id = self._asked(f"run {argv[0]} in", container.label, start)
        response = raw._response
        sock = getattr(raw, "_sock", raw)
        sock.settimeout(timeout_seconds)
        return ExecStream(response, response.raw._fp.fp, sock, lambda: self._exit_status(container, argv, exec_id))

    def _fetched(self, container: Container, path: str, bytes_max: int) -> bytes:
        stream, facts = self._api.get_archive(container.id, path, chunk_size=65536)
        if facts and facts.get("size", 0) > bytes_max:
            stream.close()
            raise _file_fault(container, path, f"it is longer than {bytes_max} bytes")
        tar = io.BytesIO()
        for chunk in stream:
            tar.write(chunk)
            if tar.tell() > bytes_max + _TAR_BYTES_MAX:
                stream.close()
                raise _file_fault(container, path, f"it is longer than {bytes_max} bytes")
        tar.seek(0)
        try:
            with tarfile.open(fileobj=tar) as archive:
                member = archive.next()
                file = archive.extractfile(member) if member and member.isreg() else None
                if file is None:
                    raise _file_fault(container, path, "it is not a regular file")
                return file.read()
        except tarfile.TarError as error:
            raise _file_fault(container, path, f"the engine sent a torn archive ({error})") from None

    def _asked(self, operation: str, subject: str, ask: Callable[[], Any], missing_is_none: bool = False) -> Any:
        """What ``ask`` returns, with the SDK's errors turned into Faults."""
        import docker
        import requests

        try:
            return ask()
        except docker.errors.NotFound as error:
            if missing_is_none and "o such container" not in str(error):
                return None
            raise Fault(operation, subject, _cause(error), "", UNREACHABLE) from None
        except docker.errors.APIError as error:
            raise Fault(operation, subject, _cause(error), "", UNREACHABLE) from None
        except requests.exceptions.Timeout:
            cause = f"the Docker engine at {self.host} did not answer within {REQUEST_SECONDS} s"
            raise Fault(operation, subject, cause, "look at it with: docker info", UNREACHABLE) from None
        except (requests.exceptions.RequestException, docker.errors.DockerException, OSError) as error:
            cause = f"the Docker engine at {self.host} went away: {_cause(error)}"
            raise Fault(operation, subject, cause, "look at it with: docker info", UNREACHABLE) from None


def _exec_fault(container: Container, argv: Sequence[str], cause: str, status: int) -> Fault:
    return Fault("run", f"`{' '.join(argv)}` in {container.label}", cause, "", status)


def _file_fault(container: Container, path: str, cause: str) -> Fault:
    return Fault(f"read {path} of", container.label, cause)


def _cause(error: BaseException) -> str:
    """The engine's explanation if it gave one, else the (innermost) reason, in one line."""
    explanation = getattr(error, "explanation", None)
    if explanation:
        return str(explanation).strip().replace("\n", " ")
    if "fetching server API version" in str(error) or isinstance(error, OSError):
        while isinstance(inner := error.__cause__ or error.__context__, BaseException) and str(inner):
            error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).replace("\n", " ")


def _hint(host: str, error: BaseException) -> str:
    if host != _DEFAULT_HOST:
        return "correct or unset DOCKER_HOST"
    if "ermission" in _cause(error):
        return "run as root, or join the group docker"
    return "start it (make up does), or set DOCKER_HOST"
