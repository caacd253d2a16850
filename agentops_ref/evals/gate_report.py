"""A verdict for a build server: JUnit's XML, and Markdown for a pull request.

Taught in chapters 8 and 10.
"""

from __future__ import annotations

from xml.etree import ElementTree

from agentops_ref.evals.gate import Check, Verdict
from agentops_ref.evals.report import amount

_SIGNS = {"pass": "✅", "fail": "❌", "undecided": "❔"}


def to_junit(verdict: Verdict, name: str) -> str:
    """Return the verdict in the form that build servers read.

    A rule is a test case. One that fails is a failure; one that is undecided is a failure of type
    ``undecided``, or where its rule lets it pass, a skip: it was asked and could not tell.
    """
    counts = [check.counts_as for check in verdict.checks]
    skipped = [c for c in verdict.checks if c.outcome == "undecided" and c.counts_as == "pass"]
    broken = sum(outcome != "pass" for outcome in counts)
    suite = ElementTree.Element(
        "testsuite",
        name=f"agentops eval gate: {name}",
        tests=str(len(verdict.checks)),
        failures=str(broken),
        errors="0",
        skipped=str(len(skipped)),
    )
    for check in verdict.checks:
        case = ElementTree.SubElement(suite, "testcase", classname="evals.gate", name=check.name)
        said = sentence(check)
        if check.counts_as != "pass":
            ElementTree.SubElement(case, "failure", type=check.outcome, message=said)
        elif check.outcome == "undecided":
            ElementTree.SubElement(case, "skipped", message=said)
        else:
            ElementTree.SubElement(case, "system-out").text = said
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    body = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def to_markdown(verdict: Verdict, name: str) -> str:
    """Return the verdict as Markdown."""
    lines = [
        f"## {_SIGNS[verdict.outcome]} Gate: {verdict.outcome} ({name})",
        "",
        "| | rule | outcome | limit | measured | interval | n | |",
        "|---|---|---|---:|---:|---:|---:|---|",
    ]
    for check in verdict.checks:
        low, high = (amount(check, end) for end in check.interval)
        cells = (
            _SIGNS[check.outcome],
            check.name,
            check.outcome,
            amount(check, check.limit),
            amount(check, check.mean),
            f"{low} to {high}",
            str(check.n),
            check.reason,
        )
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def sentence(check: Check) -> str:
    """Return a check on one line."""
    low, high = (amount(check, end) for end in check.interval)
    bound = "at most" if check.kind == "budget" else "at least"
    said = (
        f"{check.outcome}: {amount(check, check.mean)} ({low} to {high}) on {check.n}, "
        f"{bound} {amount(check, check.limit)}"
    )
    return f"{said}; {check.reason}" if check.reason else said
