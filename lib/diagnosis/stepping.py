"""How long an optimizer's steps are along each parameter, and how long they may be."""

from typing import NamedTuple

import torch

# State of optimizers that divide by a root of squared gradients: torch's names, and lib's.
SQUARES = ("max_exp_avg_sq", "exp_avg_sq", "square_avg", "squares", "sum")


class Stepping(NamedTuple):
    r"""An update :math:`\theta \leftarrow \theta - s\, m` as it is now.

    Attributes:
        scale: s (d,), learning rate over sigma.
        limit: steps are stable while every eigenvalue of :math:`S^{1/2} H S^{1/2}` is below it.
        decay: weight decay as a term :math:`\tfrac12 c \theta^2` of the loss, c (d,).
        lr: that of the first parameter group.
        adaptive: whether sigma differs between parameters.
    """

    scale: torch.Tensor
    limit: float
    decay: torch.Tensor
    lr: float
    adaptive: bool


def read(optimizer, params, squares):
    r"""The `Stepping` of an optimizer, from its settings and its state.

    On a quadratic with curvature h, momentum in the form m <- momentum m + g is stable while
    :math:`\eta h < 2 (1 + \lambda)`, and with Nesterov's look ahead while
    :math:`\eta h < 2 (1 + \lambda) / (1 + 2 \lambda)`; a running mean, as Adam has it, while
    :math:`\eta h / \sigma < 2 (1 + \beta_1) / (1 - \beta_1)`.

    Args:
        optimizer: of torch.optim or lib.optimizers; of another with a state of unknown names,
            sigma is taken to be 1.
        params: the tensors in the order wanted.
        squares: mean squared gradient (d,), for sigma before the first step.
    """
    rows = []
    for p, square in zip(params, squares.split([p.numel() for p in params]), strict=True):
        group = next(g for g in optimizer.param_groups if any(p is q for q in g["params"]))
        rows.append((p, *_one(optimizer, group, p, square.view_as(p))))
    scale, decay = (torch.cat([row[i].reshape(-1) for row in rows]) for i in (1, 2))
    lr = float(torch.as_tensor(optimizer.param_groups[0]["lr"], dtype=torch.float64).max())
    adaptive = bool((scale < 0.99 * scale.max()).any())
    return Stepping(scale, min(row[3] for row in rows), decay, lr, adaptive)


def _one(optimizer, group, p, square):
    """Step sizes, decay and limit of one parameter tensor."""
    state = optimizer.state.get(p, {})
    sigma = _sigma(optimizer, group, state, square)
    lr = torch.as_tensor(group["lr"]).to(p) / (1 + _ticks(state) * group.get("lr_decay", 0))
    decay = torch.as_tensor(float(group.get("weight_decay", 0))).to(p)
    if group.get("decoupled_weight_decay") or type(optimizer).__name__ == "AdamW":
        decay = decay * sigma  # where the step stops, m / sigma + c theta = 0
    scale = lr * (1 - group.get("dampening", 0)) / sigma
    return scale.expand_as(p), decay.expand_as(p), _limit(group)


def _limit(group):
    if "betas" in group:
        beta = float(group["betas"][0])
        return 2 * (1 + beta) / (1 - beta)
    momentum = float(group.get("momentum", 0))
    return 2 * (1 + momentum) / (1 + 2 * momentum * bool(group.get("nesterov")))


def _sigma(optimizer, group, state, square):
    if "betas" not in group and "alpha" not in group and "Adagrad" not in type(optimizer).__name__:
        return torch.ones_like(square)
    eps = group.get("eps", 1e-8)
    if "exp_inf" in state:
        return state["exp_inf"] + eps
    kept = next((state[name] for name in SQUARES if name in state), None)
    if kept is None:
        return square.sqrt() + eps
    corrected = "exp_avg_sq" in state
    return (kept / (1 - group["betas"][1] ** _ticks(state) if corrected else 1)).sqrt() + eps


def _ticks(state):
    return max(1.0, float(state.get("step", 1)))
