"""The group of all commands."""

from __future__ import annotations

import click

from agentops_ref.apps.cli import (
    agents,
    approvals,
    ask,
    auth,
    chat,
    config,
    corpus,
    dataset,
    doctor,
    errors,
    evals,
    guards,
    ingest,
    judges,
    memory,
    models,
    optimise,
    record,
    search,
    tables,
    tools,
    tour,
)
from agentops_ref.apps.cli.common import run

EPILOG = "Start with: agentops doctor, agentops tour. The book: make book."


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agentops-ref", prog_name="agentops")
def cli() -> None:
    """AgentOps reference: sync documents, ask, evaluate, deploy.

    Every command takes --config-dir, --env and --set KEY=VALUE.
    """


for part in (tour.tour, ask.ask, chat.chat, search.search, doctor.doctor, corpus.corpus):
    cli.add_command(part)
for group in (
    agents.agents,
    ingest.ingest,
    tables.tables,
    tools.tools,
    memory.memory,
    approvals.approvals,
    auth.auth,
):
    cli.add_command(group)
for group in (guards.guard, guards.redteam):
    cli.add_command(group)
for group in (evals.evaluation, dataset.dataset, judges.judge, errors.errors):
    cli.add_command(group)
evals.evaluation.add_command(optimise.optimise)
for group in (models.models, record.record, config.config):
    cli.add_command(group)


def main() -> None:
    run(cli)
