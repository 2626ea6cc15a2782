"""What to change: the mend for each verdict, and the chapter that explains it."""

from typing import NamedTuple

from lib.diagnosis.result import Verdict


class Answer(NamedTuple):
    """A verdict with the mend and its chapter, 1 to 6 or None."""

    verdict: Verdict
    advice: str
    chapter: int | None


def saddle(see):
    see.step = see.escape.step * see.low[1]
    text = (
        f"step {abs(see.escape.step):.2g} along the direction of most negative curvature (add "
        f"`step` to the parameters), which takes {see.escape.gain:.1%} off the loss, and train on "
        "from there; small batches would do it too, unless the network's symmetry forbids it"
    )
    return Answer(Verdict.SADDLE, text, 1)


def minimum(see):
    text = (
        "nothing nearby is lower. If the loss is still too high, change what is minimised: a "
        "larger network, less weight decay, other features; or start elsewhere"
    )
    return Answer(Verdict.MINIMUM, text, 1)


def flat(see):
    text = (
        "slopes have vanished. If outputs saturate under a squared error, train with "
        "cross-entropy; if hidden units do, start again with smaller weights and biases, or "
        "another activation"
    )
    return Answer(Verdict.FLAT, text, 6)


def oscillating(see):
    lr, own, lower = see.stepping.lr, see.fall(see.own), see.fall(see.lower)
    text = (
        f"lower the learning rate: steps overshoot along the sharpest direction. {lr / 10:.2g} "
        f"takes {lower:.1%} off the loss where {lr:.2g} takes {own:.1%}; or let "
        "a schedule lower it"
    )
    return Answer(Verdict.OSCILLATING, text, 4)


def noise_limited(see):
    lr, lower = see.stepping.lr, see.fall(see.lower)
    text = (
        f"make larger batches, or let a schedule lower the learning rate: {lr / 10:.2g} takes "
        f"{lower:.1%} off the loss, and whole batches at {lr:.2g} take "
        f"{see.fall(see.clean):.1%}"
    )
    return Answer(Verdict.NOISE_LIMITED, text, 2)


def too_slow(see):
    lr, own, higher = see.stepping.lr, see.fall(see.own), see.fall(see.higher)
    text = (
        f"raise the learning rate: {see.raised * lr:.2g} takes {higher:.1%} off the loss "
        f"in as many updates as {lr:.2g} takes to lose {own:.1%}"
    )
    return Answer(Verdict.TOO_SLOW, text, 4)


def narrow(see):
    text = (
        "this valley is too narrow for one learning rate: use momentum, or a learning rate for "
        f"each parameter. A Newton step takes {see.newton.fall:.1%} off the loss"
    )
    return Answer(Verdict.TOO_SLOW, text, 4 if see.has_momentum else 3)


def diverged(see):
    text = (
        "go back to parameters from before and lower the learning rate, or warm it up over the "
        "first updates"
    )
    return Answer(Verdict.DIVERGED, text, 5)


def improving(see):
    return Answer(Verdict.IMPROVING, "it is not stuck: train on", None)


def nothing_helps(see):
    return (
        "Neither a smaller nor a larger learning rate does better, and a Newton step takes off "
        f"{max(0.0, see.newton.fall):.1%} of the loss"
    )


def unsure(see, why):
    text = f"{why}; " + (
        "pass the optimizer, which says what its steps are"
        if see.optimizer is None
        else "train on for a while, or look again with more data or a larger max_gradients"
    )
    return Answer(Verdict.UNSURE, text, None)
