"""Look at a model that is stuck, and say why."""

from collections.abc import Sequence

import numpy as np
import torch

from lib.checks import check_function, check_module, real
from lib.diagnosis.chart import decide
from lib.diagnosis.examine import Examination
from lib.diagnosis.guard import untouched
from lib.diagnosis.result import Diagnosis
from lib.diagnosis.surface import Surface
from lib.training import History


def diagnose(model, loss_fn, data, history=None, optimizer=None, max_gradients=200):
    r"""Why has this model's training loss stopped falling?

    Looks at the gradient, at both ends of the Hessian's spectrum, at the curvature that the
    optimizer's steps see, and at what becomes of the loss in a few updates more: as they are, with
    a smaller and with a larger learning rate, without noise. It says UNSURE rather than guess.

    It costs at most about `max_gradients` gradients over all of `data`, often half; but trials with
    whole batches take 20 updates each, in all up to some 70, however few are allowed. So of a large
    data set pass a part, some thousand examples in batches of the size that is trained with: what
    is said is said of that part. The data is read once and held in memory.

    The model is left as it was: parameters, buffers, ``.grad``, modes, the optimizer's state and
    all random numbers. It is looked at in eval mode, so without dropout and with the running
    statistics of batch normalisation; where those lag far behind, so does the diagnosis.
    Parameters that do not require a gradient, or that the optimizer does not hold, stay fixed.

    Args:
        model: a ``torch.nn.Module`` in float32 or float64, on one device.
        loss_fn: ``loss_fn(output, label)``, a scalar, the mean over the batch. It may use the
            model's parameters, as a weight decay of one's own does.
        data: batches ``(x, label)``, as a list or loader. Noise is judged at their size.
        history: what training has left, a `lib.training.History` or the losses of its updates.
        optimizer: that of torch.optim or lib.optimizers that trains the model: learning rate,
            momentum, weight decay and sigma are read from it as they are now. Without it only
            critical points, flats, divergence and, from the history, progress are told.
        max_gradients: from 20 to 1e9.

    Returns:
        A `Diagnosis`.

    Raises:
        TypeError: an argument is of another kind than above.
        ValueError: data is empty, not finite or does not fit model and loss_fn, nothing is
            trained, parameters are of another dtype or mixed in dtype or device, the loss is not a
            scalar with a gradient, its curvature overflows, or a learning rate or max_gradients is
            out of its range.

    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, False), torch.nn.Linear(1, 1, False))
    >>> for p in model.parameters():
    ...     _ = p.data.zero_()
    >>> x = torch.ones(1, 1)
    >>> diagnose(model, torch.nn.functional.mse_loss, [(x, x)]).verdict.name
    'SADDLE'
    """
    check(model, loss_fn, optimizer, max_gradients)
    losses, blown_up = past(history)
    with untouched(model, data, optimizer), np.errstate(all="ignore"):
        torch.default_generator.manual_seed(0)  # a loader shuffles alike at every diagnosis
        surface = Surface(model, loss_fn, read_batches(data, model))
        see = Examination(surface, losses, blown_up, optimizer, max_gradients)
        answer, picture = decide(see)
    return Diagnosis(*answer[:1], see.evidence, *answer[1:], surface.spent, see.step, picture)


def check(model, loss_fn, optimizer, max_gradients):
    check_module(model)
    check_function("loss_fn", loss_fn)
    if not 20 <= real("max_gradients", max_gradients) <= 1e9:
        raise ValueError(f"max_gradients must be from 20 to 1e9, got {max_gradients}")
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    floats = [p.dtype for p in model.parameters() if p.is_floating_point()]
    most = min((torch.finfo(dtype).max for dtype in floats), default=0.0) / 1000
    if optimizer is not None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            kind = type(optimizer).__name__
            raise TypeError(f"optimizer must be a torch.optim.Optimizer or None, got {kind}")
        for group in optimizer.param_groups:  # room for the larger ones that are tried
            if not 0 <= float(torch.as_tensor(group["lr"], dtype=torch.float64).max()) <= most:
                raise ValueError(
                    f"optimizer must have learning rates from 0 to {most:.0e}, got {group['lr']}"
                )
        trained &= {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not trained:
        raise ValueError("model has no parameter that requires a gradient and is in the optimizer")


def past(history):
    """Losses of the updates, or None, and whether they say that training has diverged."""
    if history is None:
        return None, False
    losses = history.loss if isinstance(history, History) else history
    losses = losses.tolist() if getattr(losses, "ndim", 0) == 1 else losses
    try:
        if not isinstance(losses, Sequence) or isinstance(losses, str | bytes):
            raise TypeError(f"got {type(losses).__name__}")
        losses = [v.item() if hasattr(v, "item") else v for v in losses]
        losses = np.array([float(real("a loss", v)) for v in losses])
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"history must be a History or losses (updates,): {error}") from error
    ended = isinstance(history, History) and history.stopped_by == "diverged"
    return losses, ended or not np.isfinite(losses).all()


def read_batches(data, model):
    """The batches, where the model is."""
    if isinstance(data, tuple | list) and data and isinstance(data[0], torch.Tensor):
        raise TypeError("data must be batches: pass [(x, label)], not (x, label)")
    device = next(model.parameters()).device
    try:
        batches = [tuple(to(part, device) for part in (x, label)) for x, label in data]
        batches = [(x, label) for x, label in batches if len(label)]
    except (TypeError, ValueError) as error:
        raise TypeError(f"data must be batches, such as [(x, label)]: {error}") from error
    if not batches:
        raise ValueError("data must hold at least one example, got none")
    for part in (part for batch in batches for part in batch):
        if isinstance(part, torch.Tensor) and not part.isfinite().all():
            raise ValueError("data must be finite, got NaN or infinity")
    return batches


def to(part, device):
    return part.detach().to(device) if isinstance(part, torch.Tensor) else part
