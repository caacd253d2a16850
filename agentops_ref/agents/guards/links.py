"""Addresses in an answer: only known hosts, no picture from elsewhere, nothing that can run.

Taught in chapter 7. A link or a picture whose address holds data sends it to whoever owns the host,
a picture without anybody's click. So what is not allowed is removed, whatever its address says.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from agentops_ref.agents.guards.decision import (
    REMOVED,
    Channel,
    Context,
    Decision,
    OnHit,
    hit,
    passed,
)

_IMAGE = re.compile(r"!\[[^\]]*\]\s*(?:\(([^)]*)\)|\[[^\]]*\])")
_LINK = re.compile(r"\[[^\]]*\]\(([^)]*)\)")
_ACTIVE = re.compile(
    r"<\s*(?:img|iframe|script|object|embed|link|svg|form|video|audio|source|base|meta|a|area|style)"
    r"\b[^>]*>?|<[^>]*\b(?:style|on\w+|src|href|background)\s*=[^>]*>?",
    re.IGNORECASE,
)
_URL = re.compile(
    r"\b(?:[a-z][a-z0-9+.-]{1,15}:(?:\\?/){2}|(?:javascript|data|mailto|vbscript|blob):)[^\s<>\"']+"
    r"|(?<![\w/:.])(?:\\?/){2}[\w-]+\.[\w.-]+[^\s<>\"']*",
    re.IGNORECASE,
)
_DEFANGED = re.compile(
    r"\bh(?:xx|tt|..)ps?\s*(?:\[:\]|:)\s*//\S+|\b\w[\w-]*\s*(?:\[\.\]|\(\.\))\s*\w\S*",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?<![\w@/.-])(?:[\w-]+\.)+[a-z]{2,}(?::\d+)?/[^\s<>\"')]*"
    r"|(?<![\w@/.-])(?:[\w-]+\.)+(?:com|net|org|io|info|biz|dev|app|xyz|example|no|de)\b(?!\.\w)",
    re.IGNORECASE,
)
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_FILES = ("pdf", "md", "docx", "pptx", "xlsx", "txt", "html", "eml", "png", "jpg", "bin", "csv")


def _at_the_house(scheme: str, host: str) -> bool:
    """Whether an address is one of a private network, as a gateway has it during commissioning."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return scheme.lower() in ("http", "https") and any(address in one for one in _PRIVATE)


class Links:
    """Removes addresses that are not allowed.

    Parameters
    ----------
    hosts
        Host names that may be linked to; what is below one is not allowed with it.
    schemes
        Schemes that an address may have.
    """

    def __init__(
        self, *, on_hit: OnHit, hosts: Sequence[str], schemes: Sequence[str] = ("https",)
    ) -> None:
        self._on_hit = on_hit
        self._hosts, self._schemes = frozenset(map(str.lower, hosts)), frozenset(schemes)

    def check(self, text: str, channel: Channel, context: Context) -> Decision:
        """Judge the addresses of a text."""
        reasons: list[str] = []

        def removed(reason: str) -> str:
            reasons.append(f"links: {reason}")
            return REMOVED

        def image(found: re.Match[str]) -> str:
            where = (found[1] or "").strip()
            return found[0] if where and self._local(where) else removed("picture")

        def link(found: re.Match[str]) -> str:
            where = found[1].strip()
            fine = self._local(where) or self._allowed(where)
            return found[0] if fine else removed("link")

        def address(found: re.Match[str]) -> str:
            return found[0] if self._allowed(found[0].rstrip(".,;)")) else removed("address")

        def bare(found: re.Match[str]) -> str:
            host = found[0].split("/")[0].split(":")[0].lower()
            known = host in self._hosts or host.rpartition(".")[2] in _FILES
            return found[0] if known else removed("address")

        clean = html.unescape(text)
        clean = _ACTIVE.sub(lambda _: removed("markup"), clean)
        clean = _IMAGE.sub(image, clean)
        clean = _LINK.sub(link, clean)
        clean = _DEFANGED.sub(lambda found: self._undisguised(found, removed), clean)
        clean = _URL.sub(address, clean)
        clean = _BARE.sub(bare, clean)
        return hit(self._on_hit, reasons, clean) if reasons else passed(text)

    def _undisguised(self, found: re.Match[str], removed: object) -> str:
        said = found[0]
        if said.lower().startswith(("http://", "https://")) and "[.]" not in said:
            return said  # judged as an address
        return str(removed("disguised address"))  # type: ignore[operator]

    def _allowed(self, where: str) -> bool:
        """Whether an address is one of a known host, without data and without a detour."""
        try:
            parts = urlsplit(where)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        plain = where.isascii() and "\\" not in where and not re.search(r"\s", where)
        if plain and not parts.query and _at_the_house(parts.scheme, host):
            return True
        return (
            plain
            and parts.scheme.lower() in self._schemes
            and host in self._hosts
            and not parts.username
            and port in (None, 443)
            and not parts.query
            and "://" not in unquote(parts.path + parts.fragment)
        )

    @staticmethod
    def _local(where: str) -> bool:
        """Whether an address is a path within the documents."""
        try:
            parts = urlsplit(where)
        except ValueError:
            return False
        return not (
            parts.scheme or parts.netloc or parts.query or where.startswith(("//", "\\", "/\\"))
            or re.search(r"\s", where)
        )  # fmt: skip
