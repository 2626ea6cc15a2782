"""Bars of any total: gone at the end, or refused; an interrupt ends a block or passes through."""

import io
from numbers import Real
from unittest.mock import patch

import pytest
from fuzzing import answer, anything, fuzz, mostly, number
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from lib.progress import in_sweep, progress_bar, until_interrupted

totals = mostly(st.integers(0, 10**6) | st.floats(0, 1e30), st.floats(), anything)


def at_once(**options):
    return tqdm(**options | {"delay": 0, "mininterval": 0})


@given(
    total=totals,
    progress=mostly(st.sampled_from((True, False, None)), anything),
    steps=st.lists(st.integers(0, 10**6), max_size=5),
    person=st.booleans(),
    sweep=st.booleans(),
)
@fuzz
def test_progress_bar_shows_for_a_person_and_goes_away_or_refuses(
    total, progress, steps, person, sweep
):
    fits = total is None or (isinstance(total, Real) and 0 <= number(total) <= 1e30)
    fits = fits and (progress is None or isinstance(progress, bool))
    stderr = io.StringIO()
    stderr.isatty = lambda: person
    token = in_sweep.set(sweep)
    with patch("lib.progress.tqdm", at_once), patch("sys.stderr", stderr):
        bar = answer(lambda: progress_bar(total, progress), fits, "total", "progress")
        if bar is not None:
            with bar:
                for step in steps:
                    bar.update(step)
    in_sweep.reset(token)
    if bar is not None:
        shown = progress or (progress is None and person and not sweep)
        assert bool(stderr.getvalue()) == shown
        assert stderr.getvalue().rstrip("\r").split("\r")[-1].strip() == ""


@given(
    error=st.sampled_from((None, KeyboardInterrupt, ValueError)),
    enough=st.booleans(),
    sweep=st.booleans(),
    what=st.text(),
)
@fuzz
def test_until_interrupted_warns_of_an_interrupt_and_passes_on_the_rest(error, enough, sweep, what):
    def work():
        with until_interrupted(what, lambda: enough):
            if error:
                raise error

    token = in_sweep.set(sweep)
    if error is KeyboardInterrupt and enough and not sweep:
        with pytest.warns(UserWarning, match="was interrupted") as caught:
            work()
        assert str(caught[0].message).startswith(what)
    elif error:
        with pytest.raises(error):
            work()
    else:
        work()
    in_sweep.reset(token)
