"""A judge's calibration: labels in, what it is worth out, and the test split used once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from agentops_ref.errors import ConfigError
from agentops_ref.wiring.base import Base

if TYPE_CHECKING:
    from agentops_ref.evals.calibration import Calibration
    from agentops_ref.evals.calibration.labels import Row, VerdictOf
    from agentops_ref.evals.calibration.report import Calibrated, Corrected, Split
    from agentops_ref.evals.calibration.uses import Use

SEED = 8
"""The same labels and verdicts give the same figures."""


class Judges(Base):
    """See `agentops_ref.evals.calibration`."""

    def calibrate(
        self,
        labels: Path,
        *,
        judged: Path | None = None,
        frozen: Path | None = None,
        same_population: bool = False,
        again: bool = False,
        ask: VerdictOf | None = None,
        asked: str = "",
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
        ask, asked
            Asks the judge for rows without a verdict, and that judge's digest.

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
        dev, test = ([row for row in rows if row.split == split] for split in ("dev", "test"))
        if not test:
            raise ConfigError(f'{labels}: no row has "split": "test", so nothing can be calibrated')
        others = load_verdicts(judged) if judged else None
        then = load_verdicts(frozen) if frozen else None
        labelled = {row.id for row in rows}
        if then is not None and not then.keys() & labelled:
            raise ConfigError(f"{frozen}: no id is among those of {labels}: freeze the same items")
        if others is not None and not others.keys() - labelled:
            raise ConfigError(f"{judged}: every item is labelled in {labels}; nothing to correct")
        judge = judge_digest(rows, asked)
        on_dev = verdicts_of(dev, ask)
        use, on_test, remembered = self._used(labels, judge, test, ask, again=again)
        on_dev_too = count(dev, on_dev)
        return Calibrated(
            judge,
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
