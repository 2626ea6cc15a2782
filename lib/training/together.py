"""Many copies of one network trained side by side, in hardly more time than one of them."""

import math
from collections.abc import Iterable
from numbers import Integral, Real

import torch

from lib.checks import check_count, generator_of
from lib.hessian import flat_loss
from lib.optimizers import checked_factor
from lib.training.evaluation import check_fit


def train_together(
    model,
    loss_fn,
    x,
    label,
    theta0,
    optimizer,
    steps,
    *,
    batch_size,
    seeds,
    schedule=None,
    weight_decay=0.0,
    keep=None,
):
    r"""Train n copies of a model at once, each on batches of its own.

    Small networks spend their time in calls rather than in arithmetic, and here all copies share
    the calls. Copy i takes the batches that `train` would take with seed ``seeds[i]``. A copy that
    diverges goes on, as NaN, and leaves the others alone. The model itself stays as it is.

    Args:
        model: a ``torch.nn.Module`` without dropout, from x (B, ...) to output (B, ..., classes).
        loss_fn: ``loss_fn(output, label)``, a scalar, the mean over the batch, which works under
            ``torch.func.vmap``, as those of `lib.losses` do.
        x, label: examples (N, ...) and their labels, shared by all copies.
        theta0: starts (n, d), finite: all parameters in one vector, as `flat_loss` has them.
        optimizer: makes an optimizer of `lib.optimizers` for a list of parameters, as
            ``partial(Adam, lr=0.1)`` does; its hyper-parameters may be tensors (n, 1).
        steps: how many updates, at least 1.
        batch_size: examples in an update, 1 to N.
        seeds: n ints, which rule the shuffles.
        schedule: ``schedule(step)``, a factor on the learning rate of update 0, 1, ...: a number,
            or a tensor (n, 1) with one for each copy.
        weight_decay: c in :math:`\tfrac12 c \lVert\theta\rVert^2`, which is added to the loss.
        keep: step numbers s, 0 to steps, whose theta^s is returned; None keeps the last.

    Returns:
        ``(loss, theta)``: loss (steps, n) of each update's batch, before it, and theta
        (len(keep), n, d).

    Raises:
        TypeError, ValueError: an argument is not as above.

    >>> from functools import partial
    >>> from lib.optimizers import GradientDescent
    >>> from lib.training import mlp
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> descent = partial(GradientDescent, lr=torch.tensor([[0.01], [0.1]]))
    >>> starts, fit = torch.zeros(2, 2), torch.nn.functional.mse_loss
    >>> loss, theta = train_together(
    ...     mlp(1, 1), fit, x, 3 * x, starts, descent, 200, batch_size=3, seeds=[0, 0]
    ... )
    >>> print(loss.shape, *(f"{value:.2f}" for value in loss[-1]))
    torch.Size([200, 2]) 0.09 0.00
    """
    check_fit(model, loss_fn, x, label)
    steps, batch_size = check_count("steps", steps), check_count("batch_size", batch_size, len(x))
    _check_starts(theta0, flat_loss(model, loss_fn, x, label)[1])
    if not isinstance(seeds, Iterable) or len(seeds := list(seeds)) != len(theta0):
        raise ValueError(f"seeds must be {len(theta0)} ints, one for each start, got {seeds}")
    generators = [generator_of(seed) for seed in seeds]
    keep = [steps] if keep is None else keep
    if not isinstance(keep, Iterable) or not (keep := list(keep)):
        raise ValueError(f"keep must be step numbers 0 to {steps}, got {keep}")
    if not all(isinstance(s, Integral) and 0 <= s <= steps for s in keep):
        raise ValueError(f"keep must be step numbers 0 to {steps}, got {keep}")
    if not (isinstance(weight_decay, Real) and 0 <= weight_decay < math.inf):
        raise ValueError(f"weight_decay must be a number of 0 or more, got {weight_decay!r}")
    if not (schedule is None or callable(schedule)):
        raise TypeError(f"schedule must be a function or None, got {schedule!r}")

    def objective(theta, x, label):
        loss, _ = flat_loss(model, loss_fn, x, label)
        return loss(theta).reshape(()) + weight_decay / 2 * (theta @ theta)

    each = torch.func.vmap(objective)
    theta = theta0.detach().clone().requires_grad_()
    runner = optimizer([theta]) if callable(optimizer) else None
    if not isinstance(runner, torch.optim.Optimizer):
        raise TypeError(f"optimizer must make an optimizer of a list of tensors, got {optimizer!r}")
    group, kept, rows = runner.param_groups[0], {}, []
    lr = group["lr"]
    batches = _batches_of(len(x), batch_size, generators)
    for t in range(steps):
        if t in keep:
            kept[t] = theta.detach().clone()
        if schedule is not None:
            factor = checked_factor(schedule, t, theta)
            group["lr"] = lr * (factor.to(theta) if isinstance(factor, torch.Tensor) else factor)
        batch = next(batches).to(x.device)
        try:
            values = each(theta, x[batch], label[batch])
        except RuntimeError as error:
            raise ValueError(
                f"model and loss_fn must work under torch.func.vmap: {error}"
            ) from error
        (theta.grad,) = torch.autograd.grad(values.sum(), theta)
        runner.step()
        rows.append(values.detach())
    kept[steps] = theta.detach()
    return torch.stack(rows), torch.stack([kept[s] for s in keep])


def _check_starts(theta0, theta):
    d, dtype = len(theta), theta.dtype
    fits = isinstance(theta0, torch.Tensor) and theta0.ndim == 2 and theta0.shape[1] == d
    if not fits or not len(theta0) or theta0.dtype != dtype or not theta0.isfinite().all():
        raise ValueError(f"theta0 must be finite starts (n, {d}) in {dtype}, got {theta0!r}")


def _batches_of(num_examples, batch_size, generators):
    """Row numbers (n, B) of batch after batch, as `lib.data.batches` shuffles them."""
    while True:
        order = torch.stack([torch.randperm(num_examples, generator=g) for g in generators])
        yield from order.split(batch_size, dim=1)
