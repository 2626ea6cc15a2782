r"""Learning-rate schedules: plain functions from a step number to a factor on eta.

.. math:: \eta^t = \eta \, f(t)

The step t counts 0, 1, 2, ..., so the factor of the first step is f(0). `constant` and
`inverse_sqrt` are such functions; all others make one from their arguments. Each is taken as it is
by `torch.optim.lr_scheduler.LambdaLR` and by `lib.optimizers.trajectory`, and so is any function
of your own. Where a published formula counts its steps from 1, that count s is t + 1.

An argument or a step that is no number raises a TypeError, one out of its range a ValueError.
"""

import math
from numbers import Real


def constant(step):
    """Leave eta alone: f(t) = 1.

    >>> constant(7)
    1.0
    """
    return 1.0


def inverse_sqrt(step):
    r"""Fall as the root of the count of steps: :math:`f(t) = 1 / \sqrt{t + 1}`.

    On Adagrad with the mean of squares it makes Adagrad with their sum.

    >>> inverse_sqrt(0), inverse_sqrt(3)
    (1.0, 0.5)
    """
    return 1 / math.sqrt(_checked(step) + 1)


def inverse_power(scale, power=1.0):
    r"""Fall slower and slower, from 1: :math:`f(t) = (1 + t / \text{scale})^{-\text{power}}`.

    Args:
        scale: the step, above 0, at which the factor is :math:`2^{-\text{power}}`.
        power: above 0; 1 is inverse time decay, 0.5 with scale 1 is `inverse_sqrt`.

    >>> inverse_power(1000)(1000), inverse_power(100, power=0.5)(300)
    (0.5, 0.5)
    """
    scale, power = _positive("scale", scale), _positive("power", power)
    return lambda step: (1 + _checked(step) / scale) ** -power


def exponential(scale):
    r"""Fall by the same share in every step, from 1: :math:`f(t) = e^{-t / \text{scale}}`.

    Args:
        scale: the step, above 0, at which the factor is 1 / e.

    >>> round(exponential(1000)(1000), 4)
    0.3679
    """
    scale = _positive("scale", scale)
    return lambda step: math.exp(-_checked(step) / scale)


def linear(steps):
    r"""Fall from 1 to 0 in a straight line: :math:`f(t) = 1 - t / \text{steps}`, then 0.

    Args:
        steps: the step, above 0, from which on the factor is 0.

    >>> [linear(4)(t) for t in (0, 1, 4, 5)]
    [1.0, 0.75, 0.0, 0.0]
    """
    steps = _positive("steps", steps)
    return lambda step: 1 - min(_checked(step) / steps, 1.0)


def cosine(steps):
    r"""Fall from 1 to 0 along half a cosine wave (Loshchilov and Hutter, 2017), without restarts.

    .. math:: f(t) = \tfrac{1}{2} \left(1 + \cos(\pi t / \text{steps})\right), \text{ then } 0

    Args:
        steps: the step, above 0, from which on the factor is 0.

    >>> [round(cosine(4)(t), 3) for t in (0, 1, 2, 4, 5)]
    [1.0, 0.854, 0.5, 0.0, 0.0]
    """
    steps = _positive("steps", steps)
    return lambda step: (1 + math.cos(math.pi * min(_checked(step) / steps, 1.0))) / 2


def warmup(steps):
    r"""Rise to 1 in equal parts, the first of them at step 0.

    .. math:: f(t) = \min\left(\frac{t + 1}{\text{steps}}, 1\right)

    Args:
        steps: how many steps the rise takes; with 0 or 1 there is none.

    >>> [warmup(4)(t) for t in (0, 1, 3, 4)]
    [0.25, 0.5, 1.0, 1.0]
    """
    steps = 1.0 if isinstance(steps, Real) and steps == 0 else max(_positive("steps", steps), 1.0)
    return lambda step: min((_checked(step) + 1) / steps, 1.0)


def transformer(d_model, warmup):
    r"""Rise in a line, then fall as the root of the count of steps (Vaswani et al., 2017).

    .. math:: f(t) = d^{-1/2} \min\left(s^{-1/2}, s \, w^{-3/2}\right), \qquad s = t + 1

    The factor is the learning rate itself where eta is 1. The paper has d = 512 and w = 4000.

    Args:
        d_model: d, the width of the model, above 0.
        warmup: w, the count s, above 0, at which the factor is largest.

    >>> round(transformer(512, warmup=4000)(3999), 6)
    0.000699
    """
    d = _positive("d_model", d_model)
    w = max(_positive("warmup", warmup), 1.0)  # the smallest s there is, so f is the same below

    def factor(step):
        s = _checked(step) + 1
        return d**-0.5 * min(s**-0.5, s * w**-1.5)

    return factor


def product(*schedules):
    r"""Multiply schedules, such as a warm-up and a decay: :math:`f(t) = f_1(t) f_2(t) \cdots`.

    >>> [product(warmup(4), inverse_sqrt)(t) for t in (0, 3)]
    [0.25, 0.5]
    """
    for schedule in schedules:
        if not callable(schedule):
            raise TypeError(f"schedules must be functions of the step, got {schedule!r}")
    return lambda step: math.prod(schedule(step) for schedule in schedules)


def _checked(step):
    number = _number("step", step)
    if not 0 <= number < math.inf:
        raise ValueError(f"step must be 0 or more and finite, got {step!r}")
    return number


def _positive(name, value):
    number = _number(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {value!r}")
    return number


def _number(name, value):
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:  # an integer
        return math.inf
