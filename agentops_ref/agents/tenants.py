"""Which documents a search may read. Taught in chapter 7.

The one rule: what is shared, and what is the tenant's own. It is put into the filter of every
search that is made for a request, so that no question, model or prompt can widen it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHARED = ""
"""The tenant of what everybody may read."""
_NOBODY = "\x00nobody"
"""A tenant that no document has."""


def restricted(filters: Mapping[str, Any] | None, tenant: str, *, desk: bool) -> dict[str, Any]:
    """Return the filters of a search for a tenant; they only ever become narrower.

    Parameters
    ----------
    desk
        The request is the maker's own support desk's, which reads the documents of all tenants.

    >>> restricted({"kind": "mails"}, "torvik", desk=False)
    {'kind': 'mails', 'tenant': ['', 'torvik']}
    >>> restricted({"tenant": "elvedal"}, "torvik", desk=False)["tenant"] == ["elvedal"]
    False
    """
    made = dict(filters or {})
    if desk:
        return made
    own = list(dict.fromkeys((SHARED, tenant)))
    if "tenant" in made:
        asked = made["tenant"]
        wanted = [asked] if isinstance(asked, str) else list(asked)
        own = [one for one in own if one in wanted] or [_NOBODY]
    return {**made, "tenant": own}
