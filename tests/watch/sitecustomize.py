"""Refuses and notes every connection beyond loopback, in each Python process that inherits it.

Python imports a module of this name when it starts, so a folder on PYTHONPATH is enough. Refusing
would not do alone: whoever phones home also swallows the error.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

LOOPBACK = ("localhost", "127.", "::1", "0.0.0.0")
TO_ADDRESS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
BY_NAME = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def note(**line: Any) -> None:
    with Path(os.environ["CONNECTION_LOG"]).open("a", encoding="utf-8") as log:
        log.write(json.dumps(line) + "\n")


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event in TO_ADDRESS:
        # A path (Unix socket), or None where the socket is connected already.
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event in BY_NAME:
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if isinstance(name, str) and name and not name.startswith(LOOPBACK):
        note(event=event, host=name, process=sys.orig_argv)
        raise PermissionError(f"{event} to {name}: the network is off")


note(process=sys.orig_argv)
sys.addaudithook(watch)
