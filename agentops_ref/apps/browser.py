"""A person at a browser, for a chapter's cells and for tests: opens, chooses, follows.

Taught in chapter 7. It is what `agents.tools.mcp_login.log_in` is given in place of a real one.
"""

from __future__ import annotations

import socket
from urllib.parse import parse_qs, urlsplit

WAIT = 60.0


class Browser:
    """Opens the login page, chooses a user there, and follows the redirect."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.asked: dict[str, str] = {}
        """What the address asked the person to agree to."""
        self.pages: list[str] = []
        """What was shown, in turn."""

    def __call__(self, address: str) -> None:
        import httpx

        parts = urlsplit(address)
        self.asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with httpx.Client(timeout=WAIT) as client:
            self.pages.append(client.get(address).text)
            form = {**self.asked, "user": self.user}
            done = client.post(f"http://{parts.netloc}{parts.path}", data=form)
            self.pages.append(client.get(done.headers["location"]).text)


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
