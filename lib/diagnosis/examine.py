"""What can be measured at a model that is stuck, each thing when it is asked for, and once."""

import math
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from lib.diagnosis import rules
from lib.diagnosis.result import Evidence
from lib.diagnosis.stepping import read
from lib.diagnosis.surface import cut, newton_step
from lib.diagnosis.trials import LOOKS, mean, trial
from lib.hessian import eigenpairs

PARTS = 8  # gradients over parts of the data, to see which parameters no example reaches
BATCHES = 64  # at most, to measure noise by
DIVISOR = 200  # the shares below are of so many gradients


class Escape(NamedTuple):
    """Losses at signed ``steps`` along a direction, and the best of them."""

    steps: np.ndarray
    losses: np.ndarray
    step: float
    gain: float


class Sharpest(NamedTuple):
    """Largest curvature that steps see, over its limit, and its share of the squared gradient."""

    value: float
    share: float


class Newton(NamedTuple):
    """Share of the loss that a Newton step should take off, and that it does take off."""

    promise: float
    fall: float


class Examination:
    """Lazy measurements; `evidence` is what the chart has noted of them."""

    def __init__(self, surface, history, blown_up, optimizer, max_gradients):
        self.surface, self.batches = surface, surface.batches
        self.history, self.blown_up, self.optimizer = history, blown_up, optimizer
        self.share = max_gradients / DIVISOR
        self.evidence, self.step = [], None
        self.loss, self.reach = surface.data_loss(), 1.0
        if not (self.blown_up or math.isfinite(self.loss)):
            self.blown_up = True
        if not self.blown_up:
            self.rows = surface.parts(spread(cut(self.batches, PARTS), BATCHES))
            # Squares too: what they overflow at, beyond 1e19 or 1e154, has blown up as well.
            self.blown_up = not bool(self.rows.square().sum().isfinite())
        if not self.blown_up and optimizer is not None:
            self.stepping = read(optimizer, surface.params, self.rows.square().mean(0))
            surface.decay = self.stepping.decay
            self.loss += surface.penalty()
        if not self.blown_up:
            self.reach = max(1.0, surface.theta.norm().item())
            self.g = surface.gradient()

    def note(self, name, value, meaning, side=None, line=None):
        """Keep a number once, and on which side of what line, if any, the verdict is another."""
        line = None if line is None else float(line)
        noted = Evidence(name, float(value), meaning, side, line)
        if noted not in self.evidence:
            self.evidence.append(noted)

    def products(self, gradients):
        """How many products H v so many gradients buy."""
        return max(4, int(self.share * gradients / self.surface.product_price))

    # ---- the loss and its history ----

    @cached_property
    def scale(self):
        """The loss against which changes are small or large; not 0 where everything is learnt."""
        first = 0.0 if self.history is None or not len(self.history) else self.history[0]
        return max(abs(self.loss), 1e-4 * abs(first), 1e-12)

    @cached_property
    def grown(self):
        """The loss over that of the first updates; of the present and the recent, the lower."""
        if self.history is None or len(self.history) < 10:
            return 0.0
        now = min(self.loss, mean(self.history[-5:]))
        return now / max(abs(mean(self.history[:3])), 1e-30)

    @cached_property
    def recent(self):
        """Share of the loss lost from the third to the last quarter of the history, or None."""
        if self.history is None or len(self.history) < 20:
            return None
        quarter = len(self.history) // 4
        before, after = mean(self.history[-2 * quarter : -quarter]), mean(self.history[-quarter:])
        return (before - after) / max(abs(before), 1e-30)

    # ---- slope and curvature ----

    @cached_property
    def slope(self):
        return self.g.norm().item() * self.reach / self.scale

    @cached_property
    def H(self):
        return self.surface.curvature()

    @cached_property
    def ends(self):
        """Eigenpairs at both ends of the Hessian's spectrum."""
        d = len(self.H.like)
        most = max(2, min(d, self.products(45)))
        return eigenpairs(self.H, k=min(2, d), which="BE", max_matvecs=most)

    @cached_property
    def flatness(self):
        h = self.ends.evals.abs().max().item()
        return (self.g.norm().item() * self.reach + 0.5 * h * self.reach**2) / self.scale

    @cached_property
    def rounding(self):
        return rules.ROUNDING[str(self.H.like.dtype).removeprefix("torch.")]

    @cached_property
    def low(self):
        """Smallest eigenvalue over the largest in size, and its vector; searched for harder."""
        size = self.ends.evals.abs().max().item()
        found = self.ends.evals[0].item(), self.ends.evecs[:, 0]
        if size == 0:
            return found
        if found[0] > -rules.NEGATIVE * size and len(self.H.like) > 1:
            tol = 1e-4 if self.H.like.dtype == torch.float32 else 1e-6
            most = self.products(60)
            more = eigenpairs(self.H, which="SA", tol=tol, max_matvecs=most, v0=found[1])
            if more.evals[0].item() < found[0]:
                found = more.evals[0].item(), more.evecs[:, 0]
        return found[0] / size, found[1]

    @cached_property
    def escape(self):
        """The loss along the most negative curvature, to both sides."""
        sizes = self.reach * 0.5 ** np.arange(1, 11)
        steps = np.concatenate([-sizes, sizes[::-1]])
        losses = np.array(self.surface.along(self.low[1], steps))
        best = np.where(np.isfinite(losses), losses, np.inf).argmin()
        gain = (self.loss - losses[best]) / self.scale
        middle = len(sizes)
        steps_, losses_ = np.insert(steps, middle, 0.0), np.insert(losses, middle, self.loss)
        return Escape(steps_, losses_, float(steps[best]), float(gain))

    @cached_property
    def dead(self):
        """Share of parameters that no part of the data has a gradient for."""
        sizes = self.rows.square().mean(0).sqrt()
        # Strictly smaller: where every example is learnt all are zero, and none is dead.
        return (sizes < rules.DEAD_GRADIENT * sizes.max()).double().mean().item()

    @cached_property
    def newton(self):
        # A new operator: trials may have moved the parameters since the other kept its graph.
        H = self.surface.curvature()
        promise, step = newton_step(H, self.g, self.reach, self.products(40))
        losses = [v for v in self.surface.along(step, (1, 0.5, 0.25)) if math.isfinite(v)]
        fall = self.loss - min(losses, default=self.loss)
        return Newton(promise / self.scale, fall / self.scale)

    # ---- steps ----

    @cached_property
    def sharpest(self):
        """Of the curvature that the optimizer's steps see."""
        scale, limit = self.stepping.scale, self.stepping.limit
        if self.stepping.adaptive:
            most = self.products(35)
            pairs = eigenpairs(self.surface.curvature(scale), tol=1e-2, max_matvecs=most)
            value, u, g = pairs.evals[-1].item(), pairs.evecs[:, -1], scale.sqrt() * self.g
        else:
            value, u = self.ends.evals[-1].item() * scale[0].item(), self.ends.evecs[:, -1]
            g = self.g
        along = (u @ g).square() / (g @ g).clamp(min=1e-300)
        return Sharpest(value / limit, along.item())

    @cached_property
    def has_momentum(self):
        group = self.optimizer.param_groups[0]
        return bool(group.get("momentum", 0)) or "betas" in group

    @cached_property
    def noise(self):
        """Variance of the batches' gradients over the squared length of the whole one."""
        off = self.rows - self.rows.mean(0)
        variance = off.square().sum().item() / max(1, len(off) - 1)
        return variance / max((self.g @ self.g).item(), 1e-300)

    @cached_property
    def updates(self):
        """Updates in a trial: for one batch 32, for many about 300 or a pass over all."""
        epochs = min(32 if len(self.batches) == 1 else 20, max(1, round(300 / len(self.batches))))
        return max(LOOKS, int(self.share * epochs * len(self.batches)))

    @cached_property
    def own(self):
        return trial(self.surface, self.optimizer, self.batches, self.updates)

    @cached_property
    def lower(self):
        return trial(self.surface, self.optimizer, self.batches, self.updates, 0.1)

    def fall(self, run):
        """Share of the loss that a trial lost, from where the present steps swing to its end."""
        return (self.own.head - run.tail) / max(self.scale, self.own.head)

    @cached_property
    def jitter(self):
        """Standard error of `own`'s fall, from how its losses scatter about a smooth curve."""
        scatter = np.diff(self.own.loss, 2).std() / 6**0.5  # 1, -2, 1: six times the variance
        return float(scatter * (2 / 6) ** 0.5 / max(self.scale, self.own.head))

    @cached_property
    def raised(self):
        """The factor tried on a learning rate that looks too small: at most to half the limit."""
        return min(30.0, 0.5 / max(self.sharpest.value, 1e-30))

    @cached_property
    def higher(self):
        return trial(self.surface, self.optimizer, self.batches, self.updates, self.raised)

    @cached_property
    def clean(self):
        updates = min(self.updates, max(LOOKS, int(20 * self.share)))
        return trial(self.surface, self.optimizer, self.surface.chunks, updates)


def spread(batches, most):
    """At most so many of the batches, evenly taken."""
    return batches[:: -(-len(batches) // most)]
