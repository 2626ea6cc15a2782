"""The picture that goes with a verdict."""

import numpy as np

from lib.diagnosis.result import Picture

TRIALS = {"own": "as it is", "lower": "eta / 10", "higher": "eta raised", "clean": "no noise"}


def history(see):
    """The loss of the last updates, at most a hundred points."""
    if see.history is None or not len(see.history):
        return None
    at = np.unique(np.linspace(0, len(see.history) - 1, 100).astype(int))
    return Picture("Loss so far", "update", {"loss": (at, see.history[at])})


def escape(see):
    """The loss on the way out of a saddle, to either side."""
    steps, losses = see.escape.steps, see.escape.losses
    near = np.abs(steps) <= 2.1 * abs(see.escape.step)
    curve = {"along u": (steps[near], losses[near])}
    return Picture("Loss along the most negative curvature", "distance", curve)


def bowl(see):
    """The loss along the flattest and the steepest direction, each as far as it takes to show."""
    curves = {}
    for name, u, value in (
        ("flattest", see.low[1], see.low[0] * see.ends.evals.abs().max().item()),
        ("steepest", see.ends.evecs[:, -1], see.ends.evals[-1].item()),
    ):
        far = see.reach
        if value > 0:
            far = min(far, (0.2 * see.scale / value) ** 0.5)
        at = np.linspace(-1, 1, 9)
        curves[name] = at, np.array(see.surface.along(u, far * at))
    return Picture("Loss around the minimum", "distance, each its own unit", curves)


def downhill(see):
    """The loss straight downhill, where the gradient has any length."""
    length = see.g.norm().item()
    if not length > 0:
        return None
    at = np.linspace(0, see.reach, 9)
    losses = np.array(see.surface.along(-see.g / length, at))
    return Picture("Loss straight downhill", "distance", {"loss": (at, losses)})


def trials(see, *names):
    """The loss over some more updates, as they are and otherwise."""
    # The clean trial has fewer updates; it is drawn over as much of the axis.
    runs = {TRIALS[name]: getattr(see, name) for name in names}
    longest = max(run.steps[-1] for run in runs.values())
    curves = {name: (run.steps * longest / run.steps[-1], run.loss) for name, run in runs.items()}
    return Picture("Loss if training goes on", "more updates", curves)
