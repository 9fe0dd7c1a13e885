"""A claim holds when every ratio reaches its aim and everything bounded stays below its limit."""

from __future__ import annotations

import pytest

from benchmarks.measure import Bound, Claim, Figure


@pytest.mark.parametrize(("aim", "found", "held"), [(0.4, 149.9, True), (0.6, 100, False), (0.4, 150, False)])
def test_a_claim_is_missed_by_its_ratio_or_by_its_bound(aim: float, found: float, held: bool) -> None:
    figures = [Figure("raw", (10.0, 10.0)), Figure("ours", (5.0, 5.0))]
    claim = Claim("it", "raw", figures, {"ours": aim}, [], [Bound("memory", found, 150, "MB")])
    assert claim.held is held
    assert ("MISSED" in "\n".join(claim.lines())) is not held
