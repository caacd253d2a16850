"""A killed sync leaves the old index or the new one, and the next one ends where a rebuild does."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentops_ref.apps.killed import POINTS, killed_sync, plain_sync
from agentops_ref.errors import DeveloperError
from agentops_ref.etl import LanceSink
from tests.etl.fakes import contents


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_point(tmp_path: Path, point: str) -> None:
    docs, index = tmp_path / "docs", tmp_path / "index"
    docs.mkdir()
    for n in range(4):
        (docs / f"{n}.md").write_text(f"# Note {n}\n\nThe torque is {10 + n} Nm.\n")
    plain_sync(docs, index)
    old = contents(LanceSink(index))
    (docs / "0.md").unlink()
    (docs / "1.md").write_text("# Note 1\n\nThe torque is 91 Nm.\n")
    killed_sync(docs, index, point)
    seen = contents(LanceSink(index))
    plain_sync(docs, tmp_path / "fresh")
    new = contents(LanceSink(tmp_path / "fresh"))
    assert seen == (new if point.startswith("after") else old)
    plain_sync(docs, index)
    assert contents(LanceSink(index)) == new


def test_an_unknown_point_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeveloperError, match="before commit"):
        killed_sync(tmp_path, tmp_path / "index", "noon")
