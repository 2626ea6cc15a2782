"""The page of results says what was measured, and goes on where another package fails."""

import doctest

import pytest

from benchmarks import page as page_module
from benchmarks import timing
from benchmarks.page import GRADIENT, OURS, Page
from benchmarks.timing import Way, in_turn, ratio


def test_in_turn_runs_all_ways_in_turn_after_a_warm_up(monkeypatch):
    monkeypatch.setattr("benchmarks.timing.LEAST", 0)
    order = []
    ways = {name: lambda name=name: lambda: order.append(name) or len(order) for name in "ab"}
    done = in_turn(ways, runs=2)
    assert order == list("ababab")
    assert [len(way.times) for way in done.values()] == [2, 2]
    assert [way.value for way in done.values()] == [5, 6]


def test_in_turn_goes_on_without_a_way_that_fails():
    calls = iter([1])

    def missing():
        import no_such_package  # noqa: F401

    ways = {
        "missing": missing,
        "once": lambda: lambda: next(calls),
        "good": lambda: lambda: sum(range(10)),
    }
    done = in_turn(ways, runs=3)
    assert list(done) == list(ways)
    assert done["missing"] == Way(
        [], None, "ModuleNotFoundError: No module named 'no_such_package'"
    )
    assert done["once"].times == []
    assert "StopIteration" in done["once"].failure
    assert len(done["good"].times) == 3


def test_ratio_pairs_the_runs():
    """Both twice as slow in the second run: their ratio does not show it."""
    assert ratio(Way([1.0, 2.0]), Way([2.0, 4.0])) == (0.5, 0.5, 0.5)
    assert ratio(Way([1.0]), Way([], None, "failed")) is None


@pytest.fixture
def page():
    page = Page()
    ways = {
        OURS: Way([0.010, 0.012, 0.011], {"error": 1e-4}),
        "peer": Way([0.020, 0.024, 0.022], {"error": 0.25, "steps": 3}),
        "broken": Way([], None, "ValueError: a | b"),
        GRADIENT: Way([0.001, 0.0012, 0.0011], "no column"),
    }
    page.compare("Work", ways, "A note.")
    page.reach_ratio("work", ways, "peer", 0.6)
    page.reach_ratio("work", ways, "peer", 0.4)
    page.reach_ratio("work", ways, "broken", 1)
    page.reach_ratio("work", ways, GRADIENT, 20, "gradients")
    page.table("Growth", ["size", "ms"], [["1,000", "2"]])
    return page


def test_page_tells_times_ratios_and_failures(page):
    text = page.text()
    assert (
        "## Work\n\nA note.\n\n"
        "|  | time | in gradients | lib / it | error | steps |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| lib | 11.0 ms (10.0–12.0) | 10.00 (10.00–10.00) | 1.00 (1.00–1.00) | 0.0001 |  |\n"
        "| peer | 22.0 ms (20.0–24.0) | 20.00 (20.00–20.00) | 0.50 (0.50–0.50) | 0.25 | 3 |\n"
        "| broken | failed: ValueError: a / b |  |  |  |  |\n"
        "| one gradient | 1.1 ms (1.0–1.2) | 1.00 (1.00–1.00) | 10.00 (10.00–10.00) |  |  |\n"
    ) in text
    assert "## Growth\n\n| size | ms |\n| --- | --- |\n| 1,000 | 2 |\n" in text


def test_page_says_what_was_reached(page):
    assert (
        "| work | time / peer | 0.5 | ≤ 0.6 | reached |\n"
        "| work | time / peer | 0.5 | ≤ 0.4 | missed by 25% |\n"
        "| work | time / broken | — | ≤ 1 | not measured |\n"
        "| work | gradients | 10 | ≤ 20 | reached |\n"
    ) in page.text()


def test_page_is_written_as_a_file_the_house_takes(page, tmp_path):
    page.write(tmp_path / "results.md")
    text = (tmp_path / "results.md").read_text("utf8")
    assert text.startswith("# Benchmarks\n")
    assert "Machine: " in text
    assert "torch 2" in text
    assert text.endswith("|\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("module", [timing, page_module], ids=["timing", "page"])
def test_examples_of_the_benchmarks_hold(module):
    assert doctest.testmod(module).failed == 0
