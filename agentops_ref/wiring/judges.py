"""A judge's calibration: labels in, what it is worth out, and the test split used once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.errors import ConfigError
from agentops_ref.records import Answer, Case, Chunk, Hit
from agentops_ref.wiring.evaluation import Evaluation

if TYPE_CHECKING:
    from agentops_ref.evals import ScoreTable, Verdict
    from agentops_ref.evals.calibration import Calibration
    from agentops_ref.evals.calibration.labels import Row, VerdictOf
    from agentops_ref.evals.calibration.report import Calibrated, Corrected, Split
    from agentops_ref.evals.calibration.uses import Use
    from agentops_ref.evals.gate import CorrectedRate
    from agentops_ref.evals.judge import Judge
    from agentops_ref.settings_evals import GateRule

SEED = 8
"""The same labels and verdicts give the same figures."""


class Judges(Evaluation):
    """Calibrated judges, and the gate that believes no others; see `agentops_ref.evals`."""

    def gate(
        self,
        table: ScoreTable,
        baseline: ScoreTable | None = None,
        *,
        rules: Sequence[GateRule] | None = None,
    ) -> Verdict:
        """Compare scores with rules, by default the configured ones.

        A judge's rate is corrected by the labels that its rule names. Its test rows are used by
        that, as by `calibrate`: once for one judge, and remembered.

        Raises
        ------
        ConfigError
            A rule that these scores cannot fulfil; see `agentops_ref.evals.decide`.
        OperatorError
            The test rows of a calibration were used for another judge.
        """
        from agentops_ref.evals import decide

        settings = self.config.evals
        chosen = settings.gate if rules is None else rules
        return decide(chosen, table, baseline, level=settings.level, correct=self._correct)

    def _correct(
        self, rule: GateRule, verdicts: Mapping[str, float], *, digest: str, level: float
    ) -> CorrectedRate:
        """Correct a judge's rate by the labels that its rule names; see `decide`."""
        from agentops_ref.evals.calibration import Judged, corrected_rate
        from agentops_ref.evals.calibration.labels import judge_digest, load_labels
        from agentops_ref.evals.gate import CorrectedRate
        from agentops_ref.intervals import Interval

        assert rule.calibration is not None
        where = f"evals.gate '{rule.name}'"
        labels = self.config.path(rule.calibration)
        rows = load_labels(labels)
        test = _test_rows(rows, labels)
        one = self.judge(rule.scorer) if rule.scorer in self.config.evals.judges else None
        if one and digest not in ("", one.digest):
            raise ConfigError(
                f"{where}: these verdicts are of '{rule.scorer}' {digest}, configured is "
                f"{one.digest}; let it judge again (--rescore)"
            )
        labelled = {row.id for row in rows}
        kept = [value for case, value in verdicts.items() if case not in labelled]
        if not kept or any(value not in (0, 1) for value in kept):
            raise ConfigError(
                f"{where}: expected one verdict a case, yes or no, on cases that are not labelled "
                f"in {labels}"
            )
        ask = partial(_verdict, one) if one else None
        known = judge_digest(rows, one.digest if one else "")
        use, _, _ = self._used(labels, known, test, ask, again=False)
        judged = Judged(len(kept), int(sum(kept)))
        found = corrected_rate(
            use.result, judged, same_population=rule.same_population, level=level
        )
        rate = float("nan") if found.rate is None else found.rate
        why = (
            found.reason or f"corrected by {use.result.n} labels; the judge says {judged.share:.0%}"
        )
        return CorrectedRate(rate, Interval(found.low, found.high), judged.n, why)

    def calibrate(
        self,
        labels: Path,
        *,
        judged: Path | None = None,
        frozen: Path | None = None,
        same_population: bool = False,
        again: bool = False,
        judge: str | None = None,
    ) -> Calibrated:
        """Compare a judge with people, and correct what it said of other items.

        Parameters
        ----------
        labels
            JSON lines; see `agentops_ref.evals.calibration.labels.Row`.
        judged
            JSON lines of the judge's verdicts on unlabelled items.
        frozen
            JSON lines of the judge's earlier verdicts on the labelled items.
        same_population
            Whether the test rows are a random sample of what was judged.
        again
            Use the test rows for this judge although another was tried on them.
        judge
            The one of ``evals.judges`` that is asked where a row brings no verdict; such a row has
            ``question``, ``answer`` and ``excerpts`` (texts, or objects with a ``text``).

        Raises
        ------
        ConfigError
            A file that cannot be read, no test rows, verdicts that are missing.
        OperatorError
            The test rows were used for another judge.
        """
        from agentops_ref.evals.calibration import drift
        from agentops_ref.evals.calibration.labels import (
            count,
            judge_digest,
            load_labels,
            load_verdicts,
            verdicts_of,
        )
        from agentops_ref.evals.calibration.report import Calibrated

        # Whatever can be wrong with the files is found before a test row is used.
        level, rows = self.config.evals.level, load_labels(labels)
        dev, test = [row for row in rows if row.split == "dev"], _test_rows(rows, labels)
        others = load_verdicts(judged) if judged else None
        then = load_verdicts(frozen) if frozen else None
        labelled = {row.id for row in rows}
        if then is not None and not then.keys() & labelled:
            raise ConfigError(f"{frozen}: no id is among those of {labels}: freeze the same items")
        if others is not None and not others.keys() - labelled:
            raise ConfigError(f"{judged}: every item is labelled in {labels}; nothing to correct")
        one = self.judge(judge) if judge else None
        ask = partial(_verdict, one) if one else None
        digest = judge_digest(rows, one.digest if one else "")
        on_dev = verdicts_of(dev, ask)
        use, on_test, remembered = self._used(labels, digest, test, ask, again=again)
        on_dev_too = count(dev, on_dev)
        return Calibrated(
            digest,
            level,
            self._split(on_dev_too, len(dev) - len(on_dev)) if on_dev_too else None,
            self._split(use.result, use.unjudged),
            use,
            remembered,
            self._corrected(use.result, others, labelled, same_population=same_population)
            if others
            else None,
            drift(then, {**on_dev, **on_test}, level=level) if then else None,
        )

    def _used(
        self,
        labels: Path,
        judge: str,
        test: Sequence[Row],
        ask: VerdictOf | None,
        *,
        again: bool,
    ) -> tuple[Use, dict[str, int], bool]:
        """Use the test rows, or remember; a use is on the disk before anybody sees its figures."""
        from agentops_ref.evals.calibration.labels import count, label_digests, verdicts_of
        from agentops_ref.evals.calibration.uses import (
            Use,
            allow,
            keep_use,
            load_uses,
            remembered,
            uses_file,
        )

        file, digests = uses_file(labels), label_digests(test)
        uses = load_uses(file)
        earlier = remembered(uses, judge, digests)
        if earlier is not None:
            # What was asked for then is in the counts; asking again might give other verdicts.
            return earlier, {row.id: row.judge for row in test if row.judge is not None}, True
        others = allow(uses, judge, digests, again=again)
        verdicts = verdicts_of(test, ask)
        counts = count(test, verdicts)
        if counts is None:
            raise ConfigError(f"{labels}: the judge gave no verdict on any of the test rows")
        when = datetime.now(UTC).isoformat(timespec="seconds")
        use = Use(judge, digests, when, counts, len(test) - len(verdicts), others)
        keep_use(file, use)
        return use, verdicts, False

    def _split(self, counts: Calibration, unjudged: int) -> Split:
        import numpy as np

        from agentops_ref.evals.calibration import agreement
        from agentops_ref.evals.calibration.report import Split

        rng = np.random.default_rng(SEED)
        return Split(counts, agreement(counts, rng, level=self.config.evals.level), unjudged)

    def _corrected(
        self,
        calibration: Calibration,
        verdicts: Mapping[str, int],
        labelled: Set[str],
        *,
        same_population: bool,
    ) -> Corrected:
        import numpy as np

        from agentops_ref.evals.calibration import Judged, corrected_rates, labels_fit
        from agentops_ref.evals.calibration.report import Corrected

        kept = [verdict for item, verdict in verdicts.items() if item not in labelled]
        judged = Judged(len(kept), sum(kept))
        rng, level = np.random.default_rng(SEED), self.config.evals.level
        return Corrected(
            judged.n,
            judged.positive,
            len(verdicts) - len(kept),
            "combined" if same_population else "rogan-gladen",
            labels_fit(calibration, judged),
            tuple(corrected_rates(calibration, judged, rng, level=level)),
        )


def _test_rows(rows: Sequence[Row], labels: Path) -> list[Row]:
    test = [row for row in rows if row.split == "test"]
    if not test:
        raise ConfigError(f'{labels}: no row has "split": "test", so nothing can be calibrated')
    return test


def _verdict(judge: Judge, row: Row) -> int | None:
    """Ask a judge about a labelled row; None where it gave no verdict."""
    question, answer = (row.fields.get(key) for key in ("question", "answer"))
    excerpts = row.fields.get("excerpts")
    texts = [
        one.get("text") if isinstance(one, dict) else one
        for one in (excerpts if isinstance(excerpts, list) else [None])
    ]
    if not all(isinstance(text, str) for text in (question, answer, *texts)):
        raise ConfigError(
            f"row '{row.id}' has no verdict, and no judge can be asked about it: it needs "
            "'question' and 'answer', texts, and 'excerpts', a list of texts"
        )
    hits = tuple(
        Hit(Chunk(f"{row.id}-{at}", "", "", at, str(text), ""), 0.0)
        for at, text in enumerate(texts)
    )
    given = Answer(str(answer), abstained=False, hits=hits)
    score = judge(Case(row.id, str(question)), given).value
    return None if score is None else int(score >= 1)
