r"""Every optimizer of the course is one line, and this file is that line.

.. math:: \theta^{t+1} = \theta^t - \frac{\eta^t}{\sigma^t} m^t

m is a direction, sigma a scale for each parameter, eta the learning rate at step t = 0, 1, ...
`OneLine` takes the step; the five named optimizers only choose m and sigma:

===============  =================  =======================
optimizer        m                  sigma, the root of
===============  =================  =======================
GradientDescent  gradient g         1
Momentum         momentum * m + g   1
Adagrad          g                  mean (or sum) of all g²
RMSProp          g                  running mean of g²
Adam             running mean of g  running mean of g²
===============  =================  =======================

A mean moves toward each new value, mean <- mean + weight (value - mean), torch's `lerp_`. The
weight 1 / (t + 1) gives the mean of all values; a fixed weight gives a running mean, which forgets.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Rational, Real

import torch

# Each hyper-parameter lies in [0, limit), and in the range of the parameters' dtype.
LIMITS = {"lr": math.inf, "momentum": 1, "alpha": 1, "betas": 1, "eps": math.inf}


class OneLine(torch.optim.Optimizer):
    """The step that all optimizers share; a subclass says what m and sigma are.

    It works wherever a torch optimizer does: parameter groups, closures, `state_dict` and, while
    lr is a float, torch's learning-rate schedulers. Without a gradient a parameter stays.

    Args:
        params: tensors, or dicts of tensors ("params") and hyper-parameters of their own.
        lr: eta, 0 or more.
        eps: added to sigma, outside the root, against 0 / 0 where every gradient was 0.

    These and what a subclass adds are numbers or, for parameters (..., d), tensors (..., 1) with
    one number for each row, which are copied. Out of range or of the wrong shape they raise a
    ValueError; what is no number, complex parameters and sparse gradients a TypeError.
    """

    keeps = ()  # names of the tensors that are remembered, all 0 before the first gradient

    def __init__(self, params, **hyper_parameters):
        if not isinstance(params, Iterable):
            raise TypeError(f"params must be an iterable of tensors or dicts, got {params!r}")
        super().__init__(params, hyper_parameters)

    def m(self, g, past, group):
        return g

    def sigma(self, g, past, group):
        return g.new_ones(())

    @torch.no_grad()
    def step(self, closure=None):
        """Take one step; with a closure that computes the loss, return that loss."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is not None:
                    self._update(theta, theta.grad, self.state[theta], group)
        return loss

    def _update(self, theta, g, past, group):
        if g.layout is not torch.strided:
            raise TypeError(f"gradients must be dense, got one of layout {g.layout}")
        if not past:
            past.update({name: torch.zeros_like(theta) for name in self.keeps}, t=0)
        eta, m, sigma = group["lr"], self.m(g, past, group), self.sigma(g, past, group)
        if isinstance(eta, torch.Tensor):  # addcdiv_ takes no more than a number
            eta, m = 1, eta * m
        theta.addcdiv_(m, sigma, value=-eta)  # theta <- theta - (eta / sigma) m
        past["t"] += 1

    def add_param_group(self, param_group):
        """Add a dict of "params" and hyper-parameters; those left out are the optimizer's."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f'param_group must be a dict with "params", got {param_group!r}')
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            if any(theta.is_complex() for theta in group["params"]):
                raise TypeError("params must be real, got a complex tensor")
            if not isinstance(group.get("mean", True), bool):
                raise TypeError(f"mean must be True or False, got {group['mean']!r}")
            for name in LIMITS.keys() & self.defaults:
                group[name] = _checked(name, group[name], LIMITS[name], group["params"])
        except (TypeError, ValueError):
            self.param_groups.pop()
            raise


class GradientDescent(OneLine):
    r"""Step against the newest gradient: :math:`m^t = g^t, \sigma^t = 1`.

    >>> theta = torch.tensor([1.0, -2.0], requires_grad=True)
    >>> theta.grad = torch.tensor([4.0, 1.0])
    >>> GradientDescent([theta], lr=0.5).step()
    >>> theta.detach()
    tensor([-1.0000, -2.5000])
    """

    def __init__(self, params, lr):
        super().__init__(params, lr=lr)


class Momentum(OneLine):
    r"""Keep a share `momentum`, in [0, 1), of the last direction (Polyak, 1964).

    .. math:: m^t = \lambda m^{t-1} + g^t, \quad m^{-1} = 0, \qquad \sigma^t = 1

    This is the form of libraries. The form with eta inside m, m <- lambda m - eta g and
    theta <- theta + m, takes the same steps until eta changes.
    """

    keeps = ("m",)

    def __init__(self, params, lr, momentum=0.9):
        super().__init__(params, lr=lr, momentum=momentum)

    def m(self, g, past, group):
        return past["m"].mul_(group["momentum"]).add_(g)


class Adagrad(OneLine):
    r"""Divide by the root mean square of all gradients, the newest included.

    .. math:: m^t = g^t, \qquad \sigma^t = \sqrt{\tfrac{1}{t+1} \sum_{i=0}^t (g^i)^2} + \epsilon

    With mean=False the sum stands without 1 / (t + 1), as in torch and in the paper (Duchi, Hazan
    and Singer, 2011); but for eps, that is the mean with eta / sqrt(t + 1).
    """

    keeps = ("squares",)

    def __init__(self, params, lr, mean=True, eps=1e-8):
        super().__init__(params, lr=lr, mean=mean, eps=eps)

    def sigma(self, g, past, group):
        if group["mean"]:
            past["squares"].lerp_(g * g, 1 / (past["t"] + 1))
        else:
            past["squares"].addcmul_(g, g)
        return past["squares"].sqrt().add_(group["eps"])


class RMSProp(OneLine):
    r"""Divide by a running root mean square that keeps a share `alpha`, in [0, 1), of the past.

    .. math:: m^t = g^t, \qquad \sigma^t = s^t + \epsilon, \quad s^0 = |g^0|, \quad
        s^t = \sqrt{\alpha (s^{t-1})^2 + (1 - \alpha) (g^t)^2}

    Tieleman and Hinton (2012). torch starts from s = 0, so its first step is eta / sqrt(1 - alpha)
    long where this one is eta.
    """

    keeps = ("squares",)

    def __init__(self, params, lr, alpha=0.9, eps=1e-8):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps)

    def sigma(self, g, past, group):
        weight = 1 if past["t"] == 0 else 1 - group["alpha"]
        return past["squares"].lerp_(g * g, weight).sqrt().add_(group["eps"])


class Adam(OneLine):
    r"""Momentum and RMSProp as running means from 0, bias-corrected (Kingma and Ba, 2015).

    .. math::
        m^t &= a^t / (1 - \beta_1^{t+1}), & \quad a^t &= \beta_1 a^{t-1} + (1 - \beta_1) g^t \\
        \sigma^t &= \sqrt{b^t / (1 - \beta_2^{t+1})} + \epsilon,
        & \quad b^t &= \beta_2 b^{t-1} + (1 - \beta_2) (g^t)^2

    The betas lie in [0, 1). The code keeps the corrected means: divided by 1 - beta^(t+1), the
    newest value has weight (1 - beta) / (1 - beta^(t+1)), from 1 at t = 0 down to 1 - beta.
    """

    keeps = ("m", "squares")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr=lr, betas=betas, eps=eps)

    def m(self, g, past, group):
        beta = group["betas"][0]
        return past["m"].lerp_(g, (1 - beta) / (1 - beta ** (past["t"] + 1)))

    def sigma(self, g, past, group):
        beta = group["betas"][1]
        past["squares"].lerp_(g * g, (1 - beta) / (1 - beta ** (past["t"] + 1)))
        return past["squares"].sqrt().add_(group["eps"])


def trajectory(loss, theta0, optimizer, steps, schedule=None):
    """Path of an optimizer over a loss surface; from n starts n paths, even if some diverge.

    Args:
        loss: maps (..., d) to (...).
        theta0: start (d,) or (n, d), finite.
        optimizer: makes an optimizer for a list of parameters, as `partial(Adam, lr=0.1)` does;
            for a start (n, d) its hyper-parameters may be tensors (n, 1).
        steps: how many, 0 or more.
        schedule: maps the step number 0, 1, ... to a factor on lr, a number of 0 or more or, for
            a start (n, d), a tensor (n, 1); None leaves lr alone.

    Returns:
        Path (steps + 1, d) or (steps + 1, n, d) that begins with theta0.

    Raises:
        TypeError: loss or schedule is not a function, loss returns no tensor, or optimizer makes
            no optimizer.
        ValueError: theta0, steps, or what loss or schedule returns is not as above.

    >>> from functools import partial
    >>> bowl = lambda theta: theta.square().sum(-1) / 2
    >>> rates = torch.tensor([[0.25], [1.0], [2.0]])
    >>> trajectory(bowl, torch.ones(3, 1), partial(GradientDescent, lr=rates), steps=2)[:, :, 0]
    tensor([[ 1.0000,  1.0000,  1.0000],
            [ 0.7500,  0.0000, -1.0000],
            [ 0.5625,  0.0000,  1.0000]])
    """
    real = isinstance(theta0, torch.Tensor) and theta0.is_floating_point()
    if not real or theta0.dim() not in (1, 2) or not theta0.numel() or not theta0.isfinite().all():
        raise ValueError(f"theta0 must be a finite float tensor (d,) or (n, d), got {theta0!r}")
    if not isinstance(steps, Integral) or steps < 0:
        raise ValueError(f"steps must be an integer, 0 or more, got {steps!r}")
    if not callable(loss):
        raise TypeError(f"loss must be a function, got {loss!r}")
    if not (schedule is None or callable(schedule)):
        raise TypeError(f"schedule must be a function or None, got {schedule!r}")
    path = theta0.detach().expand(steps + 1, *theta0.shape).clone()
    theta = path[0].clone().requires_grad_()
    runner = optimizer([theta]) if callable(optimizer) else None
    if not isinstance(runner, torch.optim.Optimizer):
        raise TypeError(f"optimizer must make an optimizer of a list of tensors, got {optimizer!r}")
    group = runner.param_groups[0]
    lr = group["lr"]
    for t in range(steps):
        if schedule is not None:
            group["lr"] = lr * checked_factor(schedule, t, theta)
        values = loss(theta)
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"loss must return a tensor, got {values!r}")
        if values.shape != theta.shape[:-1]:
            raise ValueError(f"loss must map (..., d) to (...), got shape {tuple(values.shape)}")
        try:
            (theta.grad,) = torch.autograd.grad(values.sum(), theta)
        except RuntimeError as error:
            raise ValueError(f"loss must be real and differentiable: {error}") from error
        runner.step()
        path[t + 1] = theta.detach()
    return path


def checked_factor(schedule, t, theta):
    """schedule(t), a number or one for each row of theta, refused if it is no such factor."""
    factor, shape = schedule(t), (*theta.shape[:-1], 1)
    if isinstance(factor, torch.Tensor):
        fits = factor.is_floating_point() and factor.shape in ((), shape)
    else:
        fits = isinstance(factor, Real) and 0 <= factor < math.inf
    if not fits:
        raise ValueError(f"schedule({t}) must be a number of 0 or more, or {shape}, got {factor!r}")
    return factor


def _checked(name, value, limit, params):
    """The value of a hyper-parameter, a tensor copied to the dtype and device of params."""
    if name == "betas":
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise TypeError(f"betas must be a pair, got {value!r}")
        return tuple(_checked(f"betas[{i}]", value[i], limit, params) for i in (0, 1))
    if isinstance(value, torch.Tensor):
        shapes = {(*theta.shape[:-1], 1) if theta.dim() else () for theta in params}
        if not value.numel() or (value.dim() > 0 and {value.shape} != shapes):
            raise ValueError(f"{name} must be a number or have shape {shapes}, got {value!r}")
        if value.is_complex() or len({theta.dtype for theta in params}) > 1:
            raise TypeError(f"{name} must be real, or a number if dtypes differ, got {value!r}")
        value = value.detach().to(params[0], copy=True)
        low, high = value.min(), value.max()
    elif isinstance(value, Real):
        low = high = value if isinstance(value, Rational) else float(value)
    else:
        raise TypeError(f"{name} must be a number or a tensor, got {value!r}")
    limit = min(limit, *(torch.finfo(t.dtype).max for t in params if t.is_floating_point()))
    if not (low >= 0 and high < limit):
        raise ValueError(f"{name} must be in [0, {limit}), got {value!r}")
    return value if isinstance(value, torch.Tensor) else float(value)
