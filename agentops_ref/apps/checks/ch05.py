"""Checks of chapter 5: who a question needs, and the step at which an answer was lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from agentops_ref.apps.architectures import STAGES, asked, needed, stage_of
from agentops_ref.apps.checks import Checked
from agentops_ref.evals import CaseResult
from agentops_ref.records import Case

WHY = {
    "knowledge": "a document says it",
    "records": "it stands in the records of a unit, a customer or a part",
    "diagnostics": "a sensor measured it",
    "scheduling": "something is to be done",
}
"""Specialist → why a question needs it."""


def needs(answer: Mapping[str, Collection[str]], cases: Sequence[Case]) -> Checked:
    """Compare a prediction, case id → specialists, with where each answer stands."""
    known = {case.id for case in cases}
    for case_id, names in answer.items():
        if case_id not in known:
            return Checked(False, f"There is no case '{case_id}' among these.")
        if strange := sorted(set(names) - set(WHY)):
            return Checked(False, f"There is no specialist '{strange[0]}': {', '.join(WHY)}.")
    for case in cases:
        wanted, given = needed(case), set(answer.get(case.id, ()))
        if lacking := sorted(wanted - given):
            return Checked(False, f"{case.id} needs {lacking[0]} too: {WHY[lacking[0]]}.")
        if extra := sorted(given - wanted):
            why = "nobody can or may answer it" if not wanted else "the others have all of it"
            return Checked(False, f"{case.id} does not need {extra[0]}: {why}.")
    return Checked(
        True,
        "A question that needs nobody is a case too: what is measured there is whether somebody "
        "answers all the same.",
    )


def lost(answer: Mapping[str, str], results: Sequence[CaseResult]) -> Checked:
    """Compare a diagnosis, case id → one of `STAGES`, with the trajectories."""
    for one in results:
        given, stage = answer.get(one.case.id), stage_of(one)
        if given not in STAGES:
            return Checked(False, f"{one.case.id}: expected one of {', '.join(STAGES)}.")
        if given != stage:
            wanted, did = sorted(needed(one.case)), list(dict.fromkeys(asked(one)))
            return Checked(
                False,
                f"{one.case.id} is '{stage}': it needs {' and '.join(wanted)}; asked were "
                f"{' and '.join(did) or 'nobody'}, and the answer "
                f"{'says that nothing was found' if one.answer.abstained else 'says something'}.",
            )
    return Checked(
        True,
        "The first step that failed is what to mend: a better answer of the last one would not "
        "have helped where somebody was not asked.",
    )
