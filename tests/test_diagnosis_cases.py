"""Diagnosed cases whose truth is known: those held out from the drawing of the lines."""

from collections import Counter

import pytest

from lib.diagnosis import Verdict
from lib.diagnosis.cases import HELD_OUT, TUNED, Count, confusion, table


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


def test_table_has_a_row_for_each_truth_and_a_column_of_its_number():
    given = {(Verdict.FLAT, Verdict.FLAT): 5, (Verdict.FLAT, Verdict.UNSURE): 12}
    head, *rows = table(Count(Counter(given), [])).splitlines()
    assert head.split() == ["1", "2"]
    assert [row.split() for row in rows] == [
        ["1", "FLAT", "5", "12"],
        ["2", "UNSURE", ".", "."],
    ]
