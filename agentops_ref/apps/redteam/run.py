"""The suite over sets of guards: none, each alone, those that are switched on, every one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentops_ref.apps.redteam.arena import Arena, Outcome
from agentops_ref.apps.redteam.cases import Attack, load_attacks
from agentops_ref.errors import ConfigError, nearest

if TYPE_CHECKING:
    from agentops_ref.agents.guards import Guards
    from agentops_ref.wiring import App

SETS = ("none", "all", "every")
"""No guard; those that the configuration switches on; every one, on the channels it is made for."""


def guard_sets(app: App) -> dict[str, Guards]:
    """Return the sets by name: `SETS`, and each guard alone."""
    every = app.guards_with(every=True)
    alone = {name: every.only(name) for name in every.checks}
    return {"none": every.only(), **alone, "all": app.guards, "every": every}


def play(
    app: App,
    names: Sequence[str] = ("all",),
    *,
    categories: Sequence[str] = (),
    cases: Sequence[Attack] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    arena: Callable[..., Arena] = Arena,
) -> list[Outcome]:
    """Play the suite, or some ``cases``, against sets of guards; ``categories`` restricts it.

    Raises
    ------
    ConfigError
        There is no such set or category.
    """
    folder = app.config.path(app.config.guards.redteam)
    cases = load_attacks(folder) if cases is None else cases
    known = tuple(dict.fromkeys(case.category for case in cases))
    for name in categories:
        if name not in known:
            raise ConfigError(f"no category '{name}'{nearest(name, known)}")
    chosen = [case for case in cases if not categories or case.category in categories]
    sets: Mapping[str, Guards] = guard_sets(app)
    for name in names:
        if name not in sets:
            raise ConfigError(f"no set of guards '{name}'{nearest(name, tuple(sets))}")
    if "installations" not in app.tables.names():
        app.sync_tables()
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory() as place:
        held = arena(
            query=app.tables.query,
            prompt=app.prompt_of("tools"),
            refusals=app.config.guards.refusals,
            mails=_mails(folder.parent / "mails"),
            place=Path(place),
            policy=app.approvals.policy,
        )
        for number, (name, case) in enumerate((n, c) for n in names for c in chosen):
            if progress is not None:
                progress("red team", number, len(names) * len(chosen))
            found.append(held.play(case, sets[name], name))
    return found


def _mails(folder: Path) -> list[tuple[str, str, str]]:
    """Return the hand-written mails of the tenants: (document, tenant, text)."""
    return [
        (f"tenants/{file.parent.name}/mails/{file.name}", file.parent.name, file.read_text("utf-8"))
        for file in sorted(folder.glob("*/*.md"))
    ]


def play_real(
    app: App,
    cases: Sequence[Attack],
    prompts: Mapping[str, str],
    *,
    guards: str = "none",
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, list[Outcome]]:
    """Play cases with the application's own chat model, once for each prompt file.

    A real model may obey in other words than a case expects, so what is counted as a success is the
    least that there was.

    Parameters
    ----------
    prompts
        What a prompt is called → its file.
    """
    found = {}
    for name, file in prompts.items():
        own = partial(
            _with, {"prompt": app.prompt_file(file), "model": lambda case: app.chat}, Arena
        )
        found[name] = play(app, (guards,), cases=cases, arena=own, progress=progress)
    return found


def _with(own: Mapping[str, Any], arena: Callable[..., Arena], **given: Any) -> Arena:
    return arena(**{**given, **own})
