"""How often the diagnosis is right: true verdicts against given ones."""

from collections import Counter
from typing import NamedTuple

from lib.diagnosis import diagnose
from lib.diagnosis.cases import moving, resting
from lib.diagnosis.cases.ground import NETWORKS, NotConfirmed
from lib.diagnosis.result import Verdict
from lib.training import sweep

BUILDERS = {
    Verdict.SADDLE: resting.saddle,
    Verdict.MINIMUM: resting.minimum,
    Verdict.FLAT: resting.flat,
    Verdict.OSCILLATING: moving.oscillating,
    Verdict.TOO_SLOW: moving.too_slow,
    Verdict.NOISE_LIMITED: moving.noise_limited,
    Verdict.DIVERGED: moving.diverged,
    Verdict.IMPROVING: moving.improving,
}
TUNED = [0, 1, 3, 4]  # looked at while the lines were drawn
HELD_OUT = [20, 23]  # for the final count; seed % 6 says how a case is built: 2 and 5 are theirs


class Count(NamedTuple):
    """Cases by (true verdict, given verdict), and (truth, network, seed) of those left out."""

    given: Counter
    not_confirmed: list

    @property
    def right(self):
        """Share of the cases that got their true verdict."""
        return sum(n for (truth, said), n in self.given.items() if truth is said) / self.total

    @property
    def total(self):
        return sum(self.given.values())


def confusion(seeds=HELD_OUT, networks=NETWORKS, truths=tuple(BUILDERS), n_jobs=-1):
    """Build the cases of some seeds, diagnose each and count.

    About a second of one core a case. A case whose truth does not show when it is built is left
    out.

    Args:
        seeds: HELD_OUT, TUNED or any list of ints.
        networks: of "mlp", "convnet" and "transformer".
        truths: verdicts; of UNSURE there are no cases.
        n_jobs: cases at a time, as in :func:`lib.training.sweep`.

    Returns:
        A `Count`; `table` prints it.
    """
    grid = {"truth": truths, "network": networks, "seed": seeds}
    given, not_confirmed = Counter(), []
    for setting, said in sweep(_diagnosed, grid, n_jobs):
        if said is None:
            not_confirmed.append(tuple(setting.values()))
        else:
            given[setting["truth"], said] += 1
    return Count(given, not_confirmed)


def _diagnosed(truth, network, seed):
    """The verdict given to a case, or None if it could not be confirmed."""
    try:
        case = BUILDERS[truth](network, seed)
    except NotConfirmed:
        return None
    return diagnose(*case[1:]).verdict


def table(count):
    """The confusion table as text: a row for each true verdict, a column for each given one.

    The columns bear the rows' numbers.
    """
    rows = [v for v in Verdict if any(v in pair for pair in count.given)]
    width = max(len(v.name) for v in rows)
    lines = [" " * (width + 2) + "".join(f"{i:>4}" for i in range(1, len(rows) + 1))]
    for i, truth in enumerate(rows, 1):
        cells = "".join(f"{count.given[truth, said] or '.':>4}" for said in rows)
        lines.append(f"{i} {truth.name:<{width}}{cells}")
    return "\n".join(lines)
