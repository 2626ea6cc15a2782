"""Diagnosed cases whose truth is known: those held out from the drawing of the lines."""

import pytest

from lib.diagnosis import Verdict
from lib.diagnosis.cases import HELD_OUT, TUNED, confusion, table


def test_held_out_seeds_are_a_third_and_cover_the_ways_a_case_is_built():
    assert len(HELD_OUT) * 2 == len(TUNED)
    assert not set(HELD_OUT) & set(TUNED)
    assert {seed % 6 for seed in [*HELD_OUT, *TUNED]} == set(range(6))


@pytest.mark.parametrize("network", ["mlp", "convnet"])
def test_confusion_on_held_out_cases_is_small(network):
    count = confusion(HELD_OUT[:1], [network])
    assert count.total >= 7
    assert count.right >= 0.85, table(count)  # at most one wrong
    assert not count.given[Verdict.SADDLE, Verdict.MINIMUM]


def test_table_has_a_row_for_each_truth():
    count = confusion(HELD_OUT[:1], ["mlp"], [Verdict.DIVERGED, Verdict.FLAT])
    assert "DIVERGED" in table(count).splitlines()[0]
    assert len(table(count).splitlines()) == 3
