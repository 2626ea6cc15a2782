"""Ways of doing one piece of work, timed side by side."""

import math
import time
from statistics import median, quantiles
from typing import NamedTuple

RUNS = 7
LEAST = 0.02  # seconds of one run: what takes less is done several times


class Way(NamedTuple):
    """What a way took at each run, in seconds, and last returned; or why it failed."""

    times: list
    value: object = None
    failure: str = ""


def in_turn(ways, runs=RUNS):
    """Processor time of each way, one run of all after the other.

    Args:
        ways: name -> a function without arguments that sets the way up and returns the call to
            time. The first call is a warm-up and not counted. One that fails is left out of the
            further runs and keeps its error.
        runs: how many are counted.

    Returns:
        name -> `Way`, times in seconds for one call.

    >>> done = in_turn({"sum": lambda: lambda: sum([1, 2]), "none": lambda: 1 / 0}, runs=3)
    >>> len(done["sum"].times), done["sum"].value, done["none"].failure
    (3, 3, 'ZeroDivisionError: division by zero')
    """
    done, calls, loops = {}, {}, {}
    for name, set_up in ways.items():
        try:
            calls[name] = set_up()
            taken, value = _seconds(calls[name], 1)
        except Exception as error:  # of another package, whatever it is: the rest goes on
            done[name] = Way([], failure=_words(error))
            calls.pop(name, None)
        else:
            loops[name] = max(1, math.ceil(LEAST / max(taken, 1e-9)))
            done[name] = Way([], value)
    for _ in range(runs):
        for name in list(calls):
            try:
                taken, value = _seconds(calls[name], loops[name])
            except Exception as error:
                done[name] = Way([], failure=_words(error))
                del calls[name]
            else:
                done[name] = Way([*done[name].times, taken], value)
    return {name: done[name] for name in ways}


def ratio(way, other):
    """Median and quartiles of way's time over other's, run by run; None where one failed.

    >>> ratio(Way([1.0, 2.0, 3.0]), Way([2.0, 2.0, 2.0]))
    (1.0, 0.5, 1.5)
    """
    if not way.times or not other.times:
        return None
    return spread([a / b for a, b in zip(way.times, other.times, strict=True)])


def spread(values):
    """Median, lower and upper quartile."""
    low, _, high = quantiles(values, n=4)
    return median(values), low, high


def _seconds(call, loops):
    # Of this process alone: other programs on the machine do not count.
    start = time.process_time()
    for _ in range(loops):
        value = call()
    return (time.process_time() - start) / loops, value


def _words(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]
