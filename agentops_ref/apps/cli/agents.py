"""``agentops agents``: the specialists as endpoints of this machine."""

from __future__ import annotations

from collections.abc import Sequence

import click

from agentops_ref.apps.cli.common import (
    Session,
    command,
    console,
    json_option,
    print_json,
    progress_bar,
)


@click.group()
def agents() -> None:
    """Specialists as endpoints: an MLflow ResponsesAgent each, on a port of its own.

    `agentops ask --architecture endpoints` asks a supervisor over them.
    """


@agents.command()
@json_option
@command
def up(session: Session, as_json: bool) -> None:
    """Start the specialists, and wait until they answer.

    Those of `agent.specialists`; one that runs already, or that has a `url`, is left alone.
    """
    from agentops_ref.apps import team

    given = session.options
    options = [f"--config-dir={given['config_dir']}"] if given["config_dir"] else []
    options += [f"--env={given['env']}"] if given["env"] else []
    with progress_bar(quiet=as_json) as update:
        found = team.start(session.app(), options=options, progress=update)
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one.name:<14} {one.url}  (log: {one.log})")


@agents.command("list")
@json_option
@command
def list_(session: Session, as_json: bool) -> None:
    """Say which endpoints were started, and whether they answer.

    Exit code 1 if one does not.
    """
    from agentops_ref.apps import screen
    from agentops_ref.ops import endpoints
    from agentops_ref.wiring.teams import endpoint_folder

    app = session.app()
    found = endpoints.started(endpoint_folder(app))
    states = {name: endpoints.state(one) for name, one in found.items()}
    rows = [
        {"agent": name, "state": states[name], "url": one.url, "process": one.pid}
        for name, one in found.items()
    ]
    if as_json:
        print_json(rows)
    else:
        screen.records(console(), rows, "none was started: agentops agents up")
    if any(state != "up" for state in states.values()):
        raise click.exceptions.Exit(1)


@agents.command()
@click.argument("names", nargs=-1)
@json_option
@command
def down(session: Session, names: Sequence[str], as_json: bool) -> None:
    """End the endpoints, all or those of NAMES."""
    from agentops_ref.ops import endpoints
    from agentops_ref.wiring.teams import endpoint_folder

    ended = endpoints.down(endpoint_folder(session.app()), names or None)
    if as_json:
        print_json(ended)
    else:
        click.echo(f"ended: {', '.join(ended)}" if ended else "none was running")


@agents.command()
@click.argument("name")
@click.option("--host", metavar="ADDRESS", help="By default agent.endpoints.host.")
@click.option("--port", type=click.IntRange(1, 65535), required=True)
@command
def serve(session: Session, name: str, host: str | None, port: int) -> None:
    """Serve one specialist here, until it is interrupted.

    It is what `up` starts for each. With auth.required it wants a token whose audience is its
    address: agent.specialists.NAME.url, or where it listens.
    """
    import uvicorn

    from agentops_ref.errors import ConfigError, nearest
    from agentops_ref.ops.auth import gate_of
    from agentops_ref.ops.serving import application
    from agentops_ref.wiring.teams import specialist

    app = session.app()
    known = app.config.agent.specialists
    if name not in known:
        raise ConfigError(f"agent.specialists: no '{name}'{nearest(name, tuple(known))}")
    app.tracer.connect()
    agent = app.bounded(specialist(app, name))
    app.search  # noqa: B018 - opens the index now: a health check must not promise too much
    listen = host or app.config.agent.endpoints.host
    gate = gate_of(app, name, known[name].url or f"http://{listen}:{port}")
    uvicorn.run(application(agent, gate=gate), host=listen, port=port, log_level="warning")
