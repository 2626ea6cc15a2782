"""One loop that trains every network of the course."""

import math
import warnings
from contextlib import contextmanager
from functools import partial
from numbers import Real

import torch

from lib.checks import check_count, check_seed
from lib.data import batches
from lib.progress import in_sweep, progress_bar
from lib.training.evaluation import accuracy_of, check_fit, score
from lib.training.history import history_of


def train(
    model,
    loss_fn,
    x,
    label,
    optimizer,
    epochs,
    *,
    batch_size=None,
    schedule=None,
    seed=0,
    evaluate_on=None,
    until_loss=None,
    progress=None,
):
    """Train a model in place; return the history of it.

    The same seed gives the same history. It rules the shuffling and, during training, torch's
    global random numbers (dropout), which afterwards go on as if nothing had been. The model's
    modules stay in the mode, train or eval, that they are in.

    Divergence is no error: training stops at the first update whose loss or gradient is not
    finite, and the parameters go back to the last ones where both were. A KeyboardInterrupt ends
    training with a warning. In both cases the history has all that was computed.

    Args:
        model: a ``torch.nn.Module`` from x (N, ...) to output (N, ..., classes).
        loss_fn: ``loss_fn(output, label)``, a scalar, the mean over the batch.
        x: examples (N, ...).
        label: class numbers (N, ...), or a floating tensor of the output's shape.
        optimizer: a ``torch.optim.Optimizer`` on the model's parameters, or a callable that makes
            one from them, such as ``partial(Adam, lr=0.1)``; none that asks for a closure.
        epochs: passes over the data, at least 1.
        batch_size: examples in an update, 1 to N; None takes all of them, in their order.
        schedule: ``schedule(step)``, a factor >= 0 on the learning rate of update 0, 1, ...
        seed: an int, 0 to 2^64 - 1.
        evaluate_on: name -> (x, label), data sets to evaluate at the start and after each epoch.
        until_loss: stop after the epoch that brings the loss of evaluate_on["train"] to this or
            below; "train" is (x, label) if evaluate_on has no such set.
        progress: show a progress bar, which goes away at the end. None shows it where a person
            looks on, a terminal or a live notebook, and never where outputs are stored.

    Returns:
        The `History`.

    Raises:
        TypeError: model is not a module, loss_fn or schedule not a function, x or label not a
            tensor, epochs, batch_size or seed not an int, evaluate_on not a dict of pairs,
            until_loss not a number, or optimizer neither an optimizer nor a callable that makes
            one.
        ValueError: data is empty, of unequal length, not finite or of a shape that does not fit
            the model; labels lie outside the classes; the loss is not a scalar, or has no
            gradient; batch_size, epochs or seed is out of range; the optimizer has none of the
            model's parameters; schedule returns something other than a finite number >= 0.

    >>> from lib.training import mlp
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> line, sgd = mlp(1, 1), partial(torch.optim.SGD, lr=0.1)
    >>> history = train(line, torch.nn.functional.mse_loss, x, 3 * x, sgd, epochs=200)
    >>> print(f"{line(torch.tensor([[10.0]])).item():.2f}")
    30.00
    """
    if not isinstance(evaluate_on, dict | None):
        raise TypeError(f"evaluate_on must be a dict of name -> (x, label), got {evaluate_on!r}")
    sets = dict(evaluate_on or {})
    if until_loss is not None:
        sets.setdefault("train", (x, label))
    check_fit(model, loss_fn, x, label)
    for name, data in sets.items():
        if not isinstance(data, tuple | list) or len(data) != 2:
            kind = type(data).__name__
            raise TypeError(f"evaluate_on[{name!r}] must be a pair (x, label), got {kind}")
        check_fit(model, loss_fn, *data, where=f"evaluate_on[{name!r}] ")
    x, label = x.detach(), label.detach()  # or their graph would be gone after one update
    epochs, seed = check_count("epochs", epochs), check_seed(seed)
    if batch_size is not None:
        check_count("batch_size", batch_size, len(x))
    if not (schedule is None or callable(schedule)):
        raise TypeError(f"schedule must be a function or None, got {schedule!r}")
    # What is not at most infinity is NaN.
    if not (until_loss is None or (isinstance(until_loss, Real) and until_loss <= math.inf)):
        raise TypeError(f"until_loss must be a number or None, got {until_loss!r}")
    optimizer = _optimizer(optimizer, model)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    base_lrs = [group["lr"] for group in optimizer.param_groups]
    state = [p.detach() for p in params] + list(model.buffers())
    last_finite = [tensor.clone() for tensor in state]
    generator = torch.Generator().manual_seed(seed)
    rows, scores = [], []
    history = partial(history_of, rows, scores)
    try:
        with _seeded(seed, params), progress_bar(epochs * len(x), progress) as bar:
            scores.append({name: score(model, loss_fn, *data) for name, data in sets.items()})
            for epoch in range(epochs):
                for batch in _one_epoch(x, label, batch_size, generator):
                    if schedule is not None:
                        _set_lrs(optimizer, base_lrs, schedule, step=len(rows))
                    loss, accuracy, grad_norm = _gradient(model, loss_fn, params, *batch)
                    lr = float(optimizer.param_groups[0]["lr"])
                    rows.append((loss, accuracy, grad_norm, lr, epoch))
                    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
                        _copy(last_finite, state)
                        return history("diverged")
                    _copy(state, last_finite)
                    optimizer.step()
                    bar.update(len(batch[0]))
                scores.append({name: score(model, loss_fn, *data) for name, data in sets.items()})
                if until_loss is not None and scores[-1]["train"].loss <= until_loss:
                    return history("until_loss")
    except KeyboardInterrupt:
        if in_sweep.get():  # or the sweep would go on with the next run
            raise
        warnings.warn(f"training was interrupted after {len(rows)} updates", stacklevel=2)
        return history("interrupted")
    finally:
        for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
            group["lr"] = lr
    return history("epochs")


def _optimizer(optimizer, model):
    if isinstance(optimizer, torch.optim.Optimizer):
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if held.isdisjoint(id(p) for p in model.parameters()):
            raise ValueError("optimizer has none of the model's parameters, so cannot train it")
        return optimizer
    made = optimizer(model.parameters()) if callable(optimizer) else None
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(
            "optimizer must be a torch.optim.Optimizer, or a callable that makes one from "
            f"parameters, got {optimizer!r}"
        )
    return made


def _one_epoch(x, label, batch_size, generator):
    if batch_size is None:
        return [(x, label)]
    return batches(x, label, batch_size=batch_size, seed=generator)


def _set_lrs(optimizer, base_lrs, schedule, step):
    factor = schedule(step)
    if isinstance(factor, torch.Tensor) and factor.ndim == 0:
        factor = factor.item()
    if not (isinstance(factor, Real) and 0 <= factor < math.inf):
        raise ValueError(f"schedule({step}) must be a finite number >= 0, got {factor!r}")
    for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
        group["lr"] = lr * factor


def _gradient(model, loss_fn, params, x, label):
    """Put the gradient into the parameters; return loss, accuracy and gradient norm."""
    for p in params:
        p.grad = None
    output = model(x)
    loss = loss_fn(output, label)
    try:
        loss.backward()
        norms = [torch.linalg.vector_norm(p.grad) for p in params if p.grad is not None]
        grad_norm = torch.linalg.vector_norm(torch.stack(norms))
    except RuntimeError as error:
        if any(p.grad is not None for p in params):
            raise
        message = "loss_fn must give a loss with a gradient for a parameter of the optimizer"
        raise ValueError(f"{message}: {error}") from error
    return loss.item(), accuracy_of(output, label), grad_norm.item()


def _copy(source, target):
    for old, new in zip(target, source, strict=True):
        old.copy_(new)


@contextmanager
def _seeded(seed, params):
    """Seed torch's global random numbers where the parameters live; put them back at the end."""
    gpus = {p.device.index for p in params if p.is_cuda}
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        yield
