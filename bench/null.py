"""A collector that keeps nothing and answers at once: with it one sees what a shipper costs by itself.

Run as a process of its own: ``python -m bench.null`` prints its port.
"""

from __future__ import annotations

import json
import socket
import threading

import zstandard


class NullCollector:
    """Knows the ends of streams, and nothing else; a shipper that asks for its own learns that there is none."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: dict[str, int] = {}

    def serve(self) -> None:
        """Until the process ends."""
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb", 1 << 20)
        while line := file.readline():
            method, target, _ = line.decode().split()
            length = 0
            while (field := file.readline()) not in (b"\r\n", b""):
                if field.lower().startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            body = file.read(length)
            if method == "GET":
                listed = (
                    []
                    if "?" in target
                    else [{"stream": name, "next_offset": end} for name, end in [*self._ends.items()]]
                )
                answer = b"".join(json.dumps(each).encode() + b"\n" for each in listed)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
                continue
            end = self._ends.get(target, 0)
            if method == "POST" and body:
                end += zstandard.frame_content_size(body[:18])
            if method != "HEAD" or target in self._ends:
                self._ends[target] = end
            fields = f"Logship-Protocol: 1\r\nStream-Next-Offset: {end:020}\r\nContent-Length: 0"
            connection.sendall(f"HTTP/1.1 {201 if method == 'PUT' else 200} OK\r\n{fields}\r\n\r\n".encode())


def main() -> None:
    """Listen, say where, and serve until killed."""
    collector = NullCollector()
    print(collector.port, flush=True)
    collector.serve()


if __name__ == "__main__":
    main()
