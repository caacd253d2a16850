"""``agentops auth``: tokens, logins, and an authorization server for development."""

from __future__ import annotations

import sys
from typing import Any

import click

from agentops_ref.apps.cli.common import Session, command, json_option, print_json


@click.group()
def auth() -> None:
    """Tokens, logins, and an authorization server for development.

    Who must log in, and what a role opens, stands in the section `auth:`.
    """


@auth.command()
@click.option("--user", metavar="NAME", help="Of this user of auth.dev.users.")
@click.option("--client", metavar="ID", help="Of this client itself, which acts for nobody.")
@click.option("--audience", metavar="URL", help="For whom it is; by default auth.audience.")
@click.option("--scope", metavar="WORDS", default="", help="What it is for; by default all.")
@click.option("--decode", metavar="TOKEN", help="Show what a token says, unverified; - reads it.")
@command
def token(
    session: Session,
    user: str | None,
    client: str | None,
    audience: str | None,
    scope: str,
    decode: str | None,
) -> None:
    """Print an access token of the development server.

    export AGENTOPS_TOKEN=$(agentops auth token --user kari)

    It is printed to standard output and nowhere else. --decode - reads a token from standard input,
    which other users of the machine cannot see.
    """
    if sum(one is not None for one in (user, client, decode)) != 1:
        raise click.UsageError("expected one of --user, --client and --decode")
    if decode is not None:
        from agentops_ref.agents.auth import claims_of

        given = sys.stdin.read() if decode == "-" else decode
        print_json(claims_of(given.strip()))
        return
    from agentops_ref.apps import login

    settings = session.config().auth
    resource = audience or settings.audience
    if user is not None:
        click.echo(login.of_user(settings, user, resource, scope).reveal())
    else:
        click.echo(login.of_client(settings, str(client), resource, scope).reveal())


@auth.command("login")
@click.argument("server")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@command
def login_(session: Session, server: str, no_browser: bool) -> None:
    """Log in at an MCP server of tools.servers, by a browser on this machine.

    What is granted is kept below paths.state, for its owner's eyes, and renewed until it ends.
    """
    import asyncio
    import webbrowser

    from agentops_ref.errors import ConfigError, nearest

    config = session.config()
    wanted = {
        one.name: one
        for one in config.tools.servers
        if one.auth and one.auth.kind == "authorization_code"
    }
    if server not in wanted:
        raise ConfigError(
            f"tools.servers: no '{server}' with auth.kind authorization_code"
            f"{nearest(server, tuple(wanted))}"
        )
    from agentops_ref.agents.tools.mcp_login import log_in

    def browse(url: str) -> None:
        click.echo(f"open this address to log in:\n{url}", err=True)
        if not no_browser:
            webbrowser.open(url)

    seconds = asyncio.run(log_in(wanted[server], config.path(config.paths.state) / "auth", browse))
    click.echo(f"logged in at {server}; the token counts for {seconds:.0f} s, then is renewed")


@auth.command("serve-dev")
@click.option("--host", metavar="ADDRESS", help="Of this machine; by default auth.issuer's.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="By default auth.issuer's; 0: a free one."
)
@click.option("--rotate", is_flag=True, help="Sign with a new key; the old one still verifies.")
@command
def serve_dev(session: Session, host: str | None, port: int | None, rotate: bool) -> None:
    """Serve an authorization server for development, until it is interrupted.

    Real keys and rules, made-up people: whoever opens its login page is whom they choose to be. So
    it listens on this machine only. Its keys are made on first start, below paths.state.
    """
    from agentops_ref.apps import login

    config = session.config()
    login.serve_dev(
        config.auth,
        config.path(config.paths.state) / "auth" / "keys.json",
        host=host,
        port=port,
        rotate=rotate,
        ready=lambda issuer: click.echo(f"serving the authorization server {issuer}", err=True),
    )


@auth.command()
@json_option
@command
def check(session: Session, as_json: bool) -> None:
    """Verify the token in auth.token_env, and say whose it is and what it opens.

    Exit code 1 if it does not count.
    """
    from agentops_ref.wiring import build

    config = session.config()
    who = build(config).identity
    roles = {role: config.auth.roles[role] for role in who.roles if role in config.auth.roles}
    shown: dict[str, Any] = {
        "user": who.subject,
        "tenant": who.tenant,
        "roles": list(who.roles),
        "scopes": list(who.scopes),
        "tools": sorted({tool for one in roles.values() for tool in one.tools}),
        "agents": sorted({agent for one in roles.values() for agent in one.agents}),
    }
    if as_json:
        print_json(shown)
    else:
        for name, value in shown.items():
            click.echo(f"{name:<8} {value if isinstance(value, str) else ', '.join(value)}")


__all__ = ["auth"]
