"""What every command shares: options, configuration, output, errors."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentops_ref.errors import AgentOpsError, ConfigError
from agentops_ref.secret import scrub

if TYPE_CHECKING:
    from rich.console import Console

    from agentops_ref.config import Config
    from agentops_ref.etl.parse import Ocr, OcrLine
    from agentops_ref.records import Answer
    from agentops_ref.wiring import App

Progress = Callable[[str, int, int], None]
"""(stage, done, total)"""


class Session:
    """The configuration that a command was asked to use; nothing is loaded until it is needed."""

    def __init__(self, config_dir: str | None, env: str | None, overrides: tuple[str, ...]) -> None:
        self.config_dir, self.env, self.overrides = config_dir, env, overrides

    @property
    def elsewhere(self) -> bool:
        """Whether --source names other documents than the configured ones."""
        return any(one.startswith("etl.source.root=") for one in self.overrides)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments for `load_config`, for commands that wire more than one app."""
        return {"config_dir": self.config_dir, "env": self.env, "overrides": self.overrides}

    def config(self, *more: str) -> Config:
        from agentops_ref.config import load_config

        return load_config(self.config_dir, env=self.env, overrides=(*self.overrides, *more))

    def app(self, *more: str) -> App:
        from agentops_ref.wiring import build

        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        return build(self.config(*more))

    @property
    def ocr(self) -> Ocr:
        """The configured OCR engine; nothing is loaded, or even read, before its first image."""
        return _WhenAsked(self)


def asking(architecture: str | None, tenant: str | None) -> list[str]:
    """Return `architecture_option` and `tenant_option` as overrides for `Session.app`."""
    kind = [f"agent.kind={architecture}"] if architecture else []
    if tenant is None:
        return kind
    # Quoted, since a value of --set is YAML: a tenant may be called 17, or "".
    return [*kind, f"agent.tenant={json.dumps(tenant)}", "agent.desk=false"]


class _WhenAsked:
    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, image_png: bytes, /) -> Sequence[OcrLine]:
        lines: Sequence[OcrLine] = self._session.app().ocr.read(image_png)
        return lines


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--config-dir``, ``--env`` and ``--set``; hand it a `Session` first."""

    @click.option("--config-dir", metavar="DIR", help="Folder with base.yaml and overlays.")
    @click.option("--env", metavar="NAME", help="Overlay to use: dev, staging, prod.")
    @click.option(
        "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override one value."
    )
    @functools.wraps(function)
    def wrapped(
        *args: Any, config_dir: str | None, env: str | None, overrides: tuple[str, ...], **kw: Any
    ) -> None:
        function(Session(config_dir, env, overrides), *args, **kw)

    return wrapped


architecture_option = click.option(
    "--architecture",
    metavar="NAME",
    help="chain, router, supervisor, endpoints or tools; by default agent.kind.",
)
tenant_option = click.option("--tenant", metavar="NAME", help="Whose private rows are read.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    # In a notebook, too, a command prints text.
    return Console(stderr=stderr, highlight=False, soft_wrap=False, force_jupyter=False)


def print_json(value: Any) -> None:
    """Print a record, or anything made of records, as JSON."""
    click.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


def answer_fields(answer: Answer) -> dict[str, Any]:
    """Return what a command prints of an answer as JSON."""
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "problem": answer.problem,
        "waiting": answer.waiting,
        "steps": answer.steps,
        "citations": answer.citations,
        "trace_id": answer.trace_id,
        "tokens": answer.usage.tokens,
        "seconds": round(answer.seconds, 3),
        "model": answer.model,
        "index_version": answer.index_version,
    }


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Progress]:
    """Draw progress on standard error; give the callback that the package's long work takes."""
    if quiet:
        yield lambda stage, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    out = console(stderr=True)
    with Bar(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield update


def run(group: click.Group) -> None:
    """Run the command line; expected errors are one line on standard error, never a traceback.

    Exit codes: 0 done, 1 an error that an operator or the data's owner can mend, or a gate that
    fails, 2 a wrong call or configuration, 3 a gate that is undecided, 130 interrupted.
    """
    try:
        ended = group.main(standalone_mode=False)
        sys.exit(ended if isinstance(ended, int) else 0)
    except click.exceptions.Abort:
        click.echo("interrupted; what was finished is kept", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AgentOpsError as error:
        click.echo(f"error: {scrub(str(error))}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:  # a disk that is full, a folder that may not be written
        if error.errno is None or not error.strerror:
            raise  # not the operating system's: a bug, whose place is worth seeing
        place = f": {error.filename}" if error.filename else ""
        click.echo(f"error: {error.strerror}{place}", err=True)
        sys.exit(1)
