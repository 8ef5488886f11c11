"""Edge: the lock that keeps two shippers of one machine from one file.

An abstract Unix socket that is called by the file's device, inode and time of birth: it needs no folder, touches
neither the file nor what lies beside it, and is gone with its process, however that ends. It holds within one network
namespace, so within one container, or on the machine itself.
"""

from __future__ import annotations

import socket


def lock(device: int, inode: int, birth: int | None) -> socket.socket | None:
    """Held until it is closed; None while somebody else has it. Raises OSError (no descriptor left)."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        made.bind(f"\0logship/{device}-{inode}-{birth or 0}")
    except OSError:
        made.close()
        return None
    return made
