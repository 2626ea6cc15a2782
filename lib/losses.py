r"""Losses for classification, written out as their formulas.

Logits are real numbers in shape (..., classes), a float tensor. A label is a class number, an
integer tensor (...), or one probability for each class, a float tensor (..., classes), which is
taken as it is. Values and gradients are right in float32 at logits of ±10,000; only logits that
are infinite, or differ by more than their dtype can say, may give NaN. All can be differentiated
as often as wanted and work under `torch.func.vmap` and `torch.func.grad`.

Anything but a tensor raises a TypeError. A ValueError says that shapes or dtype do not fit, that
there is no example to average over, or that a class number is outside the classes (on a GPU it is
CUDA that stops the program then, as with torch's own losses).
"""

import torch

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def softmax(logits):
    r"""Probabilities of the classes.

    .. math:: p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}

    Args:
        logits: z (..., classes).

    Returns:
        p (..., classes), which sums to 1 over the classes.

    >>> softmax(torch.tensor([3.0, 1.0, -3.0]))
    tensor([0.8789, 0.1189, 0.0022])
    """
    exp = _below_zero(logits).exp()
    return exp / exp.sum(-1, keepdim=True)


def sigmoid(z):
    r"""Probability of the first of two classes, where its logit is larger by z.

    .. math:: p = \frac{1}{1 + e^{-z}} = \frac{e^z}{e^z + 1}

    Args:
        z: logits of any shape.

    Returns:
        p in the shape of z.

    >>> sigmoid(torch.tensor([-1e4, 0.0, 2.0]))
    tensor([0.0000, 0.5000, 0.8808])
    """
    _check_floats("z", z)
    # The first form where z >= 0 and the second elsewhere: neither exponential can overflow.
    exp = torch.where(z >= 0, -z, z).exp()
    return torch.where(z >= 0, 1, exp) / (1 + exp)


def mse(probabilities, label):
    r"""Squared error, summed over classes (no 1/2, no mean there) and averaged over examples.

    .. math:: L = \frac{1}{N} \sum_{n=1}^N \sum_k (p_{nk} - \hat y_{nk})^2

    Args:
        probabilities: p (..., classes), the output of `softmax`.
        label: class numbers (...) or probabilities (..., classes).

    Returns:
        L, a scalar; between 0 and 2 where p and label are probabilities.

    >>> mse(torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([0, 1]))
    tensor(0.2500)
    """
    _check("probabilities", probabilities)
    return (probabilities - _probabilities(label, probabilities)).square().sum(-1).mean()


def cross_entropy(logits, label):
    r"""Cross-entropy between label and softmax, averaged over examples.

    .. math:: L = -\frac{1}{N} \sum_{n=1}^N \sum_k \hat y_{nk} \ln p_{nk}, \qquad
        \ln p_k = z_k - \ln \sum_j e^{z_j}

    Args:
        logits: z (..., classes).
        label: class numbers (...) or probabilities (..., classes).

    Returns:
        L, a scalar in nats; :math:`\ln` of the number of classes where all logits are equal.

    >>> cross_entropy(torch.tensor([[0.0, 0.0], [0.0, 1e4]]), torch.tensor([0, 1]))
    tensor(0.3466)
    """
    z = _below_zero(logits)
    log_p = z - z.exp().sum(-1, keepdim=True).log()
    return -(_probabilities(label, logits) * log_p).sum(-1).mean()


def _below_zero(logits):
    """Logits less the largest: the same softmax, and no exponential that overflows."""
    _check("logits", logits)
    return logits - logits.detach().amax(-1, keepdim=True)


def _probabilities(label, output):
    """The label as probabilities in the shape of the output."""
    if not isinstance(label, torch.Tensor):
        raise TypeError(f"label must be a tensor, got {type(label).__name__}")
    if output.numel() == 0:
        raise ValueError(f"there must be an example, got outputs of shape {tuple(output.shape)}")
    if label.is_floating_point() and label.shape == output.shape:
        return label
    if label.dtype not in INTEGERS or label.shape != output.shape[:-1]:
        raise ValueError(
            f"label must be integers {tuple(output.shape[:-1])} or floats {tuple(output.shape)}, "
            f"got {label.dtype} {tuple(label.shape)}"
        )
    try:
        return torch.zeros_like(output).scatter(-1, label.long().unsqueeze(-1), 1)
    except RuntimeError as error:  # looking at the numbers first would fail under vmap
        last = output.shape[-1] - 1
        raise ValueError(f"label must hold class numbers from 0 to {last}: {error}") from error


def _check(name, output):
    _check_floats(name, output)
    if output.dim() == 0 or output.shape[-1] == 0:
        raise ValueError(f"{name} must have shape (..., classes), got {tuple(output.shape)}")


def _check_floats(name, values):
    if not isinstance(values, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(values).__name__}")
    if not values.is_floating_point():
        raise ValueError(f"{name} must be floats, got {values.dtype}")
