"""Training: the loop, the history it leaves, and sweeps over settings.

One loop trains every network of the course. What it saw is in the `History` that it returns, also
when the run diverged or was interrupted.
"""

import itertools
import math
import sys
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import joblib
import numpy as np
import torch
from tqdm import tqdm

from lib.data import batches, check_count, check_examples, check_label

_in_sweep = ContextVar("_in_sweep", default=False)


class Evaluation(NamedTuple):
    """Loss and accuracy: two numbers, or in a `History` two arrays."""

    loss: float | np.ndarray
    accuracy: float | np.ndarray | None


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """What happened in training, as arrays; update s = 0, 1, ... starts from theta^s.

    Attributes:
        loss: (updates,) loss of the batch at theta^s, before the update.
        accuracy: (updates,) share of the batch that theta^s gets right; None unless labels are
            class numbers.
        grad_norm: (updates,) Euclidean norm of the gradient of that loss.
        lr: (updates,) learning rate, that of the optimizer's first parameter group.
        epoch: (updates,) epoch of the update, from 0.
        evaluations: for each named data set an `Evaluation` of arrays (epochs + 1,), where
            entry e was taken after e epochs.
        stopped_by: "epochs" (all were run), "until_loss", "diverged" or "interrupted".
    """

    loss: np.ndarray
    accuracy: np.ndarray | None
    grad_norm: np.ndarray
    lr: np.ndarray
    epoch: np.ndarray
    evaluations: dict
    stopped_by: str

    @property
    def diverged_at(self):
        """The update whose loss or gradient was not finite, or None."""
        return len(self.loss) - 1 if self.stopped_by == "diverged" else None

    def __repr__(self):
        text = f"{len(self.loss)} updates"
        if len(self.loss):
            # A digit of an epoch's mean is alike on all machines, so a notebook may store it.
            first, last = (self.loss[self.epoch == epoch].mean() for epoch in self.epoch[[0, -1]])
            text += f" in {self.epoch[-1] + 1} epochs, loss {first:.1g} -> {last:.1g}"
        if self.stopped_by != "epochs":
            text += f", {self.stopped_by}"
        return f"History({text})"


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
            one from them, such as ``partial(Adam, lr=0.1)``.
        epochs: passes over the data, at least 1.
        batch_size: examples in an update, 1 to N; None takes all of them, in their order.
        schedule: ``schedule(step)``, a factor >= 0 on the learning rate of update 0, 1, ...
        seed: an int.
        evaluate_on: name -> (x, label), data sets to evaluate at the start and after each epoch.
        until_loss: stop after the epoch that brings the loss of evaluate_on["train"] to this or
            below; "train" is (x, label) if evaluate_on has no such set.
        progress: show a progress bar, which goes away at the end. None shows it where a person
            looks on, a terminal or a live notebook, and never where outputs are stored.

    Returns:
        The `History`.

    Raises:
        TypeError: x or label is not a tensor, epochs or batch_size not an int, evaluate_on not a
            dict, or optimizer neither an optimizer nor a callable that makes one.
        ValueError: data is empty, of unequal length, not finite or of a shape that does not fit
            the model; labels lie outside the classes; the loss is not a scalar; batch_size or
            epochs is out of range; the optimizer has none of the model's parameters; schedule
            returns something other than a finite number >= 0.

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
    _check(model, loss_fn, x, label)
    for name, data in sets.items():
        _check(model, loss_fn, *data, where=f"evaluate_on[{name!r}] ")
    epochs = check_count("epochs", epochs)
    if batch_size is not None:
        check_count("batch_size", batch_size, len(x))
    optimizer = _optimizer(optimizer, model)
    params = [p for group in optimizer.param_groups for p in group["params"]]
    base_lrs = [group["lr"] for group in optimizer.param_groups]
    state = [p.detach() for p in params] + list(model.buffers())
    last_finite = [tensor.clone() for tensor in state]
    generator = torch.Generator().manual_seed(seed)
    rows, scores = [], []
    history = partial(_history, rows, scores)
    try:
        with _seeded(seed, params), _bar(epochs * len(x), progress) as bar:
            scores.append({name: _score(model, loss_fn, *data) for name, data in sets.items()})
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
                scores.append({name: _score(model, loss_fn, *data) for name, data in sets.items()})
                if until_loss is not None and scores[-1]["train"].loss <= until_loss:
                    return history("until_loss")
    except KeyboardInterrupt:
        if _in_sweep.get():  # or the sweep would go on with the next run
            raise
        warnings.warn(f"training was interrupted after {len(rows)} updates", stacklevel=2)
        return history("interrupted")
    finally:
        for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
            group["lr"] = lr
    return history("epochs")


def evaluate(model, loss_fn, x, label):
    """Loss and accuracy of a model in eval mode; its gradients and modes stay as they were.

    Arguments and errors are those of `train`.

    Returns:
        `Evaluation`: loss, and accuracy (None unless labels are class numbers).

    >>> line, x = mlp(2, 3), torch.zeros(4, 2)
    >>> label = torch.tensor([0, 1, 2, line(x[0]).argmax()])
    >>> evaluate(line, torch.nn.functional.cross_entropy, x, label).accuracy
    0.5
    """
    _check(model, loss_fn, x, label)
    return _score(model, loss_fn, x, label)


def mlp(*widths, activation=torch.nn.Tanh, seed=0, dtype=torch.float32):
    """Fully connected network, with an activation after every layer but the last.

    Weights and biases follow PyTorch's default law, uniform within 1 / sqrt(fan_in) of 0, and are
    those that ``torch.manual_seed(seed)`` would give; the global random numbers stay untouched.

    Args:
        widths: inputs, hidden widths, outputs: two or more numbers.
        activation: called for the module after each hidden layer.
        seed: an int.
        dtype: floating type of the parameters.

    Raises:
        TypeError: a width is not an int.
        ValueError: fewer than two widths, or one below 1.

    >>> mlp(64, 64, 10)
    Sequential(
      (0): Linear(in_features=64, out_features=64, bias=True)
      (1): Tanh()
      (2): Linear(in_features=64, out_features=10, bias=True)
    )
    """
    if len(widths) < 2:
        raise ValueError(f"widths must be two or more numbers, got {widths}")
    for width in widths:
        check_count("each of widths", width)
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, fan_in, fan_out, dtype=dtype)
        for p in linear.parameters():
            torch.nn.init.uniform_(p, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        layers += [linear, activation()]
    return torch.nn.Sequential(*layers[:-1])


def sweep(run, grid, n_jobs=-1):
    """Call ``run(**setting)`` at every setting of a grid, several at a time.

    The calls go through joblib, so ``with joblib.parallel_config(backend="dask")`` (or "ray")
    sends them to a cluster. ``run`` may be defined in a notebook. Each call has its share of the
    machine's threads. An exception in a call ends the sweep and carries a note of the setting.

    Args:
        run: a function of the names in grid.
        grid: name -> values to try, such as ``{"lr": [0.1, 0.3], "seed": range(5)}``.
        n_jobs: calls at a time, as in joblib: -1 for all cores, 1 for no worker processes, None
            for what ``parallel_config`` says.

    Returns:
        List of (setting, result); the last name of the grid varies fastest.

    Raises:
        TypeError: grid is not a dict of lists.
        ValueError: grid has no setting.

    >>> sweep(lambda a, b: a * b, {"a": [1, 2], "b": [10, 20]}, n_jobs=1)[1]
    ({'a': 1, 'b': 20}, 20)
    """
    if not isinstance(grid, dict) or any(isinstance(values, str) for values in grid.values()):
        raise TypeError(f"grid must be a dict of name -> list of values, got {grid!r}")
    product = itertools.product(*grid.values())
    settings = [dict(zip(grid, values, strict=True)) for values in product]
    if not grid or not settings:
        raise ValueError(f"grid must have a name, and a value for every name, got {grid!r}")
    workers = min(joblib.effective_n_jobs(n_jobs), len(settings))
    call, threads_before = joblib.delayed(_call), torch.get_num_threads()
    threads = max(1, joblib.cpu_count() // workers) if workers > 1 else threads_before
    try:
        calls = (call(run, setting, threads) for setting in settings)
        results = joblib.Parallel(n_jobs=workers)(calls)
    finally:
        torch.set_num_threads(threads_before)
    return list(zip(settings, results, strict=True))


def _call(run, setting, threads):
    outside = _in_sweep.set(True)
    torch.set_num_threads(threads)
    try:
        return run(**setting)
    except Exception as error:
        error.add_note(f"in a sweep, with {setting}")
        raise
    finally:
        _in_sweep.reset(outside)


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
    if not 0 <= factor < math.inf:
        raise ValueError(f"schedule({step}) must be a finite number >= 0, got {factor}")
    for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
        group["lr"] = lr * factor


def _gradient(model, loss_fn, params, x, label):
    """Put the gradient into the parameters; return loss, accuracy and gradient norm."""
    for p in params:
        p.grad = None
    output = model(x)
    loss = loss_fn(output, label)
    loss.backward()
    norms = [torch.linalg.vector_norm(p.grad) for p in params if p.grad is not None]
    grad_norm = torch.linalg.vector_norm(torch.stack(norms))
    return loss.item(), _accuracy(output, label), grad_norm.item()


def _accuracy(output, label):
    if label.is_floating_point():
        return None
    return (output.argmax(-1) == label).sum().item() / label.numel()


def _score(model, loss_fn, x, label):
    with _eval_mode(model), torch.no_grad():
        # In parts, to bound the memory; loss_fn sees them together, so that its mean is right.
        output = torch.cat([model(part) for part in x.split(4096)])
        return Evaluation(loss_fn(output, label).item(), _accuracy(output, label))


def _copy(source, target):
    for old, new in zip(target, source, strict=True):
        old.copy_(new)


def _history(rows, scores, stopped_by):
    loss, accuracy, grad_norm, lr, epoch = _columns(rows, 5)
    evaluations = {
        name: Evaluation(*_columns([score[name] for score in scores], 2))
        for name in (scores[0] if scores else ())
    }
    return History(loss, accuracy, grad_norm, lr, epoch.astype(int), evaluations, stopped_by)


def _columns(rows, number):
    columns = list(np.array(rows, dtype=float).reshape(-1, number).T.copy())
    if np.isnan(columns[1]).any():  # the accuracies were None
        columns[1] = None
    return columns


def _check(model, loss_fn, x, label, where=""):
    """Refuse data, model and loss that do not fit together, by a look at two examples."""
    check_examples(**{f"{where}x": x, f"{where}label": label})
    with _eval_mode(model), torch.no_grad():
        try:
            output = model(x[:2])
        except RuntimeError as error:
            given = f"{where}x of shape {tuple(x.shape)} and {x.dtype}"
            raise ValueError(f"{given} does not fit the model: {error}") from error
        check_label(label, output, name=f"{where}label")
        loss = loss_fn(output, label[:2])
    if not isinstance(loss, torch.Tensor) or loss.ndim:
        raise ValueError(f"loss_fn must return a scalar tensor, the mean over a batch, got {loss}")


@contextmanager
def _eval_mode(model):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _seeded(seed, params):
    """Seed torch's global random numbers where the parameters live; put them back at the end."""
    gpus = {p.device.index for p in params if p.is_cuda}
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            torch.cuda.default_generators[gpu].manual_seed(seed)
        yield


def _bar(total, progress):
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    in_notebook = hasattr(shell, "kernel")
    if progress is None:
        # Programs that store what a notebook shows (nbclient, on which Jupyter Book, nbconvert
        # and papermill rest, and nbval) tell the kernel that there is no one to ask for input.
        content = shell.get_parent().get("content", {}) if in_notebook else {}
        person = content.get("allow_stdin", False) if in_notebook else sys.stderr.isatty()
        progress = person and not _in_sweep.get()
    return tqdm(
        total=total,
        disable=not progress,
        file=_NotebookLine() if in_notebook else sys.stderr,
        leave=False,
        delay=1,
        unit=" examples",
        unit_scale=True,
    )


class _NotebookLine:
    """A file whose newest text is a line of a notebook's output; blank text takes it away.

    Stored, an emptied line is an output without data: nothing to see and nothing to compare.
    """

    handle = None

    def write(self, text):
        from IPython.display import display

        content = {"text/plain": text.strip()} if text.strip() else {}
        if self.handle is not None:
            self.handle.update(content, raw=True)
        elif content:
            self.handle = display(content, raw=True, display_id=True)

    def flush(self):
        pass
