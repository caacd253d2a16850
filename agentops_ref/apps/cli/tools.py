"""``agentops tools``: what agents may call, a call by hand, and our own MCP server."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from agentops_ref.apps.cli.common import Session, command, console, json_option, print_json

if TYPE_CHECKING:
    from agentops_ref.agents.tools import Registry


@click.group()
def tools() -> None:
    """Tools of the agents: functions, MCP servers, OpenAPI services, Unity Catalog.

    The section `tools:` of the configuration says which there are.
    """


def _registry(session: Session) -> Registry:
    """Return the registry without traces: a call by hand need not wait for MLflow."""
    return session.app().tools_with(None)


@tools.command("list")
@click.option("--agent", metavar="NAME", help="Only those that this agent may call.")
@json_option
@command
def list_(session: Session, agent: str | None, as_json: bool) -> None:
    """Name the tools with version, effect, limits and who may call them.

    A source that cannot be reached is named, and the exit code is 1.
    """
    registry = _registry(session)
    specs = registry.specs(agent)
    if as_json:
        absent = [{"source": name, "reason": why} for name, why in registry.absent.items()]
        print_json({"tools": list(specs), "digest": registry.digest(), "absent": absent})
    else:
        for spec in specs:
            rate = f", {spec.rate.calls} in {spec.rate.seconds:g} s" if spec.rate else ""
            who = ", ".join(spec.agents) or "nobody"
            click.echo(f"{spec.name} ({spec.effect}, version {spec.version}{rate}) for {who}")
            click.echo(f"    {spec.description}")
        if not specs:
            click.echo("no tools: see `tools:` and agent.allow in config/base.yaml")
        for name, why in registry.absent.items():
            console().print(f"  {name} is not there: {why}", markup=False)
    if registry.absent:
        raise click.exceptions.Exit(1)


@tools.command()
@click.argument("name")
@click.option("--args", "given", metavar="JSON", default="{}", help="Arguments as JSON.")
@click.option("--agent", metavar="NAME", default="cli", help="On behalf of this agent.")
@click.option("--tenant", metavar="NAME", default="", help="Whose rows may be read.")
@click.option("--user", metavar="NAME", default="", help="Who is named in the audit.")
@json_option
@command
def call(
    session: Session, name: str, given: str, agent: str, tenant: str, user: str, as_json: bool
) -> None:
    """Call one tool as an agent would, and show what it is told.

    With auth.required, tenant and user are those of the token in auth.token_env.

    agentops tools call part_stock --args '{"part": "fan motor"}'

    The exit code is 0 when the tool answered, else 1.
    """
    from agentops_ref.agents.tools import Caller

    try:
        arguments: Any = json.loads(given)
    except ValueError as error:
        raise click.BadParameter(f"expected JSON, got {given}: {error}", param_hint="--args") from (
            error
        )
    app = session.app()
    caller = Caller(agent, tenant=tenant, user=user, said=given)  # typed by whoever calls
    if app.permissions is not None:
        who = app.identity
        caller = replace(caller, tenant=who.tenant, user=who.subject, identity=who)
    result = app.tools_with(None).call(name, arguments, caller)
    if as_json:
        shown = {"tool": result.tool, "status": result.status, "text": result.text}
        print_json({**shown, "seconds": result.seconds, "repeated": result.repeated})
    else:
        click.echo(result.text if result.ok else f"{result.status}: {result.text}")
    if not result.ok:
        raise click.exceptions.Exit(1)


@tools.command()
@click.option("--host", metavar="ADDRESS", help="By default tools.serve.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="By default tools.serve.port.")
@command
def serve(session: Session, host: str | None, port: int | None) -> None:
    """Serve the sensor readings over MCP, until it is interrupted.

    With auth.required callers need an OAuth token whose audience is the address, /mcp included.
    """
    from agentops_ref.apps.sensors import sensor_server, serve
    from agentops_ref.secret import secret_of

    app = session.app()
    settings = app.config.tools.serve
    token = secret_of(settings.token_env, "tools.serve") if settings.token_env else None
    required = app.permissions is not None

    def made(url: str) -> Any:
        return sensor_server(
            app.tables.query,
            tenant_header=settings.tenant_header,
            token=token.reveal() if token else None,
            verifier=app.verifier(url, tenant_required=False) if required else None,
        )

    serve(
        made,
        host=host or settings.host,
        port=settings.port if port is None else port,
        ready=lambda url: click.echo(f"serving sensor readings at {url}", err=True),
    )
