"""Networks whose trouble is known by construction, to see how often a diagnosis is right.

A case is built from a verdict, a kind of network and a seed, and its truth is confirmed without
the diagnosis: by the dense Hessian, or by training on with and without the mend. Of six seeds two
are held out: the lines of `lib.diagnosis.rules` were drawn by a look at the others alone.
"""

from lib.diagnosis.cases.confusion import HELD_OUT, TUNED, Count, confusion, table
from lib.diagnosis.cases.ground import NETWORKS, Case, NotConfirmed
from lib.diagnosis.cases.moving import diverged, improving, noise_limited, oscillating, too_slow
from lib.diagnosis.cases.resting import flat, minimum, saddle

__all__ = [
    "HELD_OUT",
    "NETWORKS",
    "TUNED",
    "Case",
    "Count",
    "NotConfirmed",
    "confusion",
    "diverged",
    "flat",
    "improving",
    "minimum",
    "noise_limited",
    "oscillating",
    "saddle",
    "table",
    "too_slow",
]
