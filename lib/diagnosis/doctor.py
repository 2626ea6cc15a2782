"""Look at a model that is stuck, and say why."""

import numpy as np
import torch

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

    It costs at most about `max_gradients` gradients over all of `data`, often half. So of a large
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
        max_gradients: at least 20.

    Returns:
        A `Diagnosis`.

    Raises:
        TypeError: an argument is of another kind than above.
        ValueError: data is empty or not finite, nothing is trained, parameters are mixed in dtype
            or device, the loss is not a scalar, or max_gradients is below 20.

    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1, False), torch.nn.Linear(1, 1, False))
    >>> for p in model.parameters():
    ...     _ = p.data.zero_()
    >>> x = torch.ones(1, 1)
    >>> diagnose(model, torch.nn.functional.mse_loss, [(x, x)]).verdict.name
    'SADDLE'
    """
    check(model, loss_fn, optimizer, max_gradients)
    losses, blown_up = past(history)
    with untouched(model, data, optimizer):
        torch.default_generator.manual_seed(0)  # a loader shuffles alike at every diagnosis
        surface = Surface(model, loss_fn, read_batches(data, model))
        see = Examination(surface, losses, blown_up, optimizer, max_gradients)
        answer, picture = decide(see)
    return Diagnosis(*answer[:1], see.evidence, *answer[1:], surface.spent, see.step, picture)


def check(model, loss_fn, optimizer, max_gradients):
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if not callable(loss_fn):
        raise TypeError(f"loss_fn must be a function of output and label, got {loss_fn!r}")
    if not max_gradients >= 20:
        raise ValueError(f"max_gradients must be at least 20, got {max_gradients}")
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    if optimizer is not None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            kind = type(optimizer).__name__
            raise TypeError(f"optimizer must be a torch.optim.Optimizer or None, got {kind}")
        trained &= {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not trained:
        raise ValueError("model has no parameter that requires a gradient and is in the optimizer")


def past(history):
    """Losses of the updates, or None, and whether they say that training has diverged."""
    if history is None:
        return None, False
    losses = history.loss if isinstance(history, History) else history
    try:
        losses = np.asarray(losses, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"history must be a History or losses (updates,): {error}") from error
    if losses.ndim != 1:
        raise TypeError(f"history must be a History or losses (updates,), got {losses.shape}")
    ended = isinstance(history, History) and history.stopped_by == "diverged"
    return losses, ended or not np.isfinite(losses).all()


def read_batches(data, model):
    """The batches, where the model is."""
    if isinstance(data, tuple | list) and data and isinstance(data[0], torch.Tensor):
        raise TypeError("data must be batches: pass [(x, label)], not (x, label)")
    device = next(model.parameters()).device
    try:
        batches = [tuple(to(part, device) for part in (x, label)) for x, label in data]
    except (TypeError, ValueError) as error:
        raise TypeError(f"data must be batches, such as [(x, label)]: {error}") from error
    batches = [(x, label) for x, label in batches if len(label)]
    if not batches:
        raise ValueError("data must hold at least one example, got none")
    for part in (part for batch in batches for part in batch):
        if isinstance(part, torch.Tensor) and not part.isfinite().all():
            raise ValueError("data must be finite, got NaN or infinity")
    return batches


def to(part, device):
    return part.to(device) if isinstance(part, torch.Tensor) else part
