"""The peer: a plain copy from sockets to files. Each body is answered when it is synced, as by the collector.

Run as a process of its own (``python -m bench.copy FOLDER BYTES CONNECTIONS``), as the collector is.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path


def serve(connection: socket.socket, path: Path, size: int) -> None:
    """Take bodies of ``size`` bytes until the other side closes."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o640)
    buffer = memoryview(bytearray(size))
    while True:
        filled = 0
        while filled < size:
            got = connection.recv_into(buffer[filled:])
            if not got:
                os.close(file)
                return
            filled += got
        written = 0
        while written < size:
            written += os.write(file, buffer[written:])
        os.fdatasync(file)
        connection.sendall(b"k")


def main() -> None:
    """Listen, say where, and copy from as many connections as were asked for; a file a connection."""
    folder, size, connections = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    for number in range(connections):
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, folder / f"copy{number}", size)).start()


if __name__ == "__main__":
    main()
