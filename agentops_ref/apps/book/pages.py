"""Pages that are written when the book is built, from what they describe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

from agentops_ref.apps.book.layout import Layout
from agentops_ref.apps.book.outline import Topic, read_outline

DIGEST = re.compile(r"([0-9a-f]{12})[0-9a-f]{28,}")
"""A long digest; a table shows its beginning."""

ANSWERED = {
    "replay": "answers of {model}, recorded once and replayed",
    "live": "answers of {model}, given live while this page was made",
    "record": "answers of {model}, given live and recorded",
    "scripted": "scripted answers; no model was asked",
}


def run_note(run: dict[str, Any]) -> str:
    """Return the line under a chapter's title that says how the page came about."""
    answered = ANSWERED[run["mode"]].format(model=f"`{run['model']}`")
    counts = run["answers"]
    if run["mode"] == "replay" and counts.get("live"):
        # What was never recorded goes to the live model where its weights are present.
        answered += f" but for {counts['live']} of {sum(counts.values())}, given live"
    day = str(run["finished"])[:10]
    return (
        ":::{div} run-note\n"
        f"Executed on {day} in {run['seconds']:.0f} s; {answered}. "
        "Every number below comes out of a cell. "
        "[How this book was run](../book/reference/how-the-book-was-run.md)\n:::"
    )


def how_the_book_was_run(layout: Layout) -> str:
    """Return the execution table as a page."""
    table = json.loads(layout.runs.read_text(encoding="utf-8")) if layout.runs.exists() else {}
    rows = [run for run in table.get("notebooks", []) if run["status"] == "executed"]
    lines = [
        "# How this book was run",
        "",
        "papermill executed every notebook, each in a working state of its own; this table is",
        "what it noted. A page cannot be shown with results that are older than its sources: a",
        "notebook is executed again whenever its text, the package, the configuration, the",
        "corpus, the recordings or a pinned version changes.",
        "",
    ]
    if not rows:
        return "\n".join([*lines, "No notebook has been executed in this build.", ""])
    lines += [
        f"Python {table['python']}; {len(rows)} notebooks; "
        f"{sum(run['seconds'] for run in rows):.0f} seconds in all. Chat model: "
        f"{', '.join(sorted({'`' + run['model'] + '`' for run in rows}))}.",
        "",
        "| Notebook | Seconds | Code cells | Warned | Finished (UTC) | Mode | Answers |",
        "|---|---:|---:|---:|---|---|---|",
    ]
    for run in rows:
        finished = str(run["finished"])[:16].replace("T", " ")
        lines.append(
            f"| [{run['notebook']}](../../notebooks/{run['notebook']}.ipynb) "
            f"| {run['seconds']:.1f} | {run['cells']} | {run['warnings']} "
            f"| {finished} | {run['mode']} | {_counted(run['answers'])} |"
        )
    lines += [
        "",
        "*Mode* is `replay` where recorded answers of the model were replayed and `live`",
        "where the model ran; `make book MODE=live` makes the whole book in the second way.",
        "*Warned* counts the cells that wrote to standard error; the page shows what they wrote.",
        "",
    ]
    return "\n".join(lines)


def _counted(answers: dict[str, int]) -> str:
    return ", ".join(f"{count} {how}" for how, count in sorted(answers.items())) or "not counted"


def roadmap(layout: Layout) -> str:
    """Return the outline as a page: what is here, what is planned."""
    topics = read_outline(layout)
    here = [topic for topic in topics if topic.section]
    lines = [
        "# Outline and roadmap",
        "",
        f"The whole outline has {len(topics)} topics. **{len(here)}** of them have a section in "
        f"this release; the other {len(topics) - len(here)} are planned and not written, and no "
        "page pretends otherwise.",
        "",
    ]
    for part, in_part in groupby(topics, key=lambda topic: topic.part):
        lines += [f"## {part}", ""]
        for chapter, in_chapter in groupby(in_part, key=lambda topic: topic.chapter):
            lines += [f"### {chapter}", ""]
            lines += [_roadmap_line(topic) for topic in in_chapter]
            lines.append("")
    return "\n".join(lines)


def _roadmap_line(topic: Topic) -> str:
    if topic.section is None:
        return f"- {topic.text} *(planned)*"
    return f"- [{topic.text}](../{topic.section})"


def command_line(layout: Layout) -> str:
    """Return the help of every command as a page."""
    import click

    from agentops_ref.apps.cli import cli

    lines = ["# Command line", "", "Written from the program's own `--help`.", ""]

    def describe(command: click.Command, parent: click.Context | None, name: str) -> None:
        context = click.Context(command, parent=parent, info_name=name, max_content_width=88)
        level = min(context.command_path.count(" ") + 2, 4)
        lines.extend([f"{'#' * level} `{context.command_path}`", "", "```text"])
        lines.extend([command.get_help(context).rstrip(), "```", ""])
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None and not found.hidden:
                    describe(found, context, child)

    describe(cli, None, "agentops")
    return "\n".join(lines)


def configuration(layout: Layout) -> str:
    """Return every key with its default, its meaning and its type."""
    from agentops_ref.config import load_config

    config = load_config(layout.root / "config", env="base", environ={})
    said = dict(_comments((layout.root / "config" / "base.yaml").read_text(encoding="utf-8")))
    lines = [
        "# Configuration keys",
        "",
        "Written from `config/base.yaml`, which is where the defaults stand. An overlay",
        "(`dev.yaml`, `staging.yaml`, `prod.yaml`), a variable such as",
        "`AGENTOPS__MODELS__MODE=live` or `--set models.mode=live` replaces a value;",
        "`agentops config show` prints each value with the place that set it.",
        "",
    ]
    rows = [(key, value) for key, value, _ in config.rows()]
    for section, group in groupby(rows, key=lambda row: row[0].split(".")[0]):
        lines += [f"## {section}", "", "| Key | Default | Meaning |", "|---|---|---|"]
        for key, value in group:
            meaning = said.get(key, "").replace("|", "\\|")
            default = DIGEST.sub(r"\1…", json.dumps(value, ensure_ascii=False)).replace("|", "\\|")
            lines.append(f"| `{key}` | `{default}` | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, comment at its line's end and on the lines that go on with it)."""
    path: list[tuple[int, str]] = []
    said: list[str] = []
    dotted = ""
    for line in text.splitlines():
        body, hash_sign, comment = line.partition("#")
        key, colon, _ = body.strip().partition(":")
        if body.strip() and colon:
            if said:
                yield dotted, " ".join(said)
            indent = len(body) - len(body.lstrip())
            path = [*(item for item in path if item[0] < indent), (indent, key)]
            dotted, said = ".".join(name for _, name in path), []
        if hash_sign and dotted:
            said.append(comment.strip())
    if said:
        yield dotted, " ".join(said)


def api(layout: Layout) -> str:
    """Return the page of the package's public names; Sphinx fills it from the docstrings."""
    import agentops_ref

    lines = [
        "# The package agentops_ref",
        "",
        "The names below are what `import agentops_ref` offers. Importing it is cheap; heavy",
        "libraries load where they are used.",
        "",
    ]
    for name in sorted(agentops_ref.__all__, key=str.lower):
        thing = getattr(agentops_ref, name)
        kind = "autoclass" if isinstance(thing, type) else "autofunction"
        members = ["   :members:"] if kind == "autoclass" else []
        lines += [f"## {name}", "", "```{eval-rst}"]
        lines += [f".. {kind}:: {thing.__module__}.{thing.__qualname__}", *members, "```", ""]
    return "\n".join(lines)


def measurements(layout: Layout) -> str:
    """Return what was measured against others, and the crash matrix, as a page."""
    from agentops_ref.apps.measured import RESULTS, faults, gate_errors, number, ratios

    folder = layout.root / RESULTS
    if not folder.is_dir():
        return "# Measurements\n\nNothing has been measured for this build.\n"
    found = ratios(folder)
    lines = [
        "# Measurements",
        "",
        "`make bench` measures this package against named others: in one run, on the same work,",
        "alternating. A ratio is ours divided by theirs, so below 1 ours takes less; the interval",
        "is a 95 % bootstrap over the pairs, and a target counts as met when the whole interval",
        "keeps it. Losses stand here like gains. The programs in `benchmarks/` say what is the",
        "same for all and what is not; `make bench PUBLISH=1` writes this page's numbers anew.",
        "",
    ]
    for machine, day in sorted({(one.machine, one.measured) for one in found}):
        lines += [f"## {day}, {machine}", "", "| Done | Against | Ours / theirs | n | Aimed at | |"]
        lines.append("|---|---|---:|---:|---|---|")
        for one in found:
            if (one.machine, one.measured) == (machine, day):
                ratio = f"{number(one.ratio)} ({number(one.low)} to {number(one.high)})"
                aim = "" if one.target is None else f"{number(one.target)} or less"
                lines.append(
                    f"| {one.label} | {one.against} | {ratio} | {one.n} | {aim} | {one.verdict} |"
                )
        lines.append("")
    rows = faults(folder)
    lines += [
        "## Syncs that were killed",
        "",
        "`make faults` kills a sync with `SIGKILL` at each of its write points and at random",
        "instants, looks at the index as a reader does, and lets the next sync finish. *Holds*",
        "means: the reader saw one whole version, and the next sync ended equal to a rebuild.",
        "",
        "| Sink | Killed at | Sync | A reader saw | Holds |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['sink']} | {row['killed at']} | {row['sync']} | {row['reader saw']} "
        f"| {'yes' if row['holds'] else '**no**'} |"
        for row in rows
    ]
    return "\n".join([*lines, "", *_gates(gate_errors(folder))])


def _gates(noted: Mapping[str, Any]) -> list[str]:
    from agentops_ref.apps.measured import gate_table

    found = gate_table(noted)
    draws = noted["cells"][0]["draws"]
    return [
        "## Gates that decide wrongly",
        "",
        f"By simulation, {draws:,} releases a cell: how often a gate passes a release that is",
        f"exactly at its limit (a level of {noted['level']:.0%} allows {noted['allowed']:.1%}),",
        "and how often it fails one that is as good as it should be. *differ* is the share of",
        "cases on which release and baseline differ. Chapter 8c says what the three gates are.",
        "",
        f"| {' | '.join(found.columns)} |",
        "|---" * 3 + "|---:" * (len(found.columns) - 3) + "|",
        *(f"| {' | '.join(row)} |" for row in found.itertuples(index=False, name=None)),
        "",
    ]


GENERATED: dict[str, Callable[[Layout], str]] = {
    "book/roadmap.md": roadmap,
    "book/reference/how-the-book-was-run.md": how_the_book_was_run,
    "book/reference/cli.md": command_line,
    "book/reference/configuration.md": configuration,
    "book/reference/api.md": api,
    "book/reference/measurements.md": measurements,
}
"""Page → the function that writes it."""
