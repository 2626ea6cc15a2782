"""Loss and accuracy of a model on a data set, and whether the two fit together."""

from contextlib import contextmanager

import torch

from lib.checks import check_examples, check_function, check_label, check_loss, check_module
from lib.training.history import Evaluation


def evaluate(model, loss_fn, x, label):
    """Loss and accuracy of a model in eval mode; its gradients and modes stay as they were.

    Arguments and errors are those of `train`.

    Returns:
        `Evaluation`: loss, and accuracy (None unless labels are class numbers).

    >>> from lib.training import mlp
    >>> line, x = mlp(2, 3), torch.zeros(4, 2)
    >>> label = torch.tensor([0, 1, 2, line(x[0]).argmax()])
    >>> evaluate(line, torch.nn.functional.cross_entropy, x, label).accuracy
    0.5
    """
    check_fit(model, loss_fn, x, label)
    return score(model, loss_fn, x, label)


def score(model, loss_fn, x, label):
    with _eval_mode(model), torch.no_grad():
        # In parts, to bound the memory; loss_fn sees them together, so that its mean is right.
        output = torch.cat([model(part) for part in x.split(4096)])
        return Evaluation(loss_fn(output, label).item(), accuracy_of(output, label))


def accuracy_of(output, label):
    if label.is_floating_point():
        return None
    return (output.argmax(-1) == label).sum().item() / label.numel()


def check_fit(model, loss_fn, x, label, where=""):
    """Refuse data, model and loss that do not fit together, by a look at two examples."""
    check_module(model)
    check_function("loss_fn", loss_fn)
    check_examples(**{f"{where}x": x, f"{where}label": label})
    with _eval_mode(model), torch.no_grad():
        try:
            output = model(x[:2])
        except (RuntimeError, IndexError) as error:
            given = f"{where}x of shape {tuple(x.shape)} and {x.dtype}"
            raise ValueError(f"{given} does not fit the model: {error}") from error
        if not isinstance(output, torch.Tensor) or output.shape[:1] != x[:2].shape[:1]:
            raise ValueError(f"model must return a tensor, a row for each of x, got {output}")
        check_label(label, output, name=f"{where}label")
        try:
            loss = loss_fn(output, label[:2])
        except RuntimeError as error:
            given = f"{where}label of {label.dtype}"
            raise ValueError(f"{given} does not fit loss_fn: {error}") from error
    check_loss(loss)


@contextmanager
def _eval_mode(model):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
