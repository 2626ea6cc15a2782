"""What arguments the functions of lib refuse: each by its name, in an error of one line."""

import math
import operator
from contextlib import contextmanager
from numbers import Real

import numpy as np
import torch


def integer(name, value):
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None


def at_least(name, value, low):
    """The value as an int, refused unless it is one of low, low + 1, ...

    >>> at_least("num_probes", 1, 2)
    Traceback (most recent call last):
    ValueError: num_probes must be at least 2, got 1
    """
    number = integer(name, value)
    if number < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
    return number


def real(name, value):
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return value


def as_tensor(values, dtype=None):
    """Numbers of any kind as a tensor; an array is copied, lest torch warn of a read-only one."""
    values = values.copy() if isinstance(values, np.ndarray) else values
    return torch.as_tensor(values, dtype=dtype).detach()


def check_function(name, function):
    if not callable(function):
        raise TypeError(f"{name} must be a function, got {function!r}")


def check_joined(params, dtype=None, hint=""):
    """Refuse parameters on several devices, or of other than one float type, unless dtype casts."""
    dtypes, devices = ({getattr(p, key) for p in params} for key in ("dtype", "device"))
    joined = len(dtypes) == 1 and dtypes <= {torch.float32, torch.float64}
    if len(devices) > 1 or not (joined or dtype):
        raise ValueError(
            "parameters must be all float32 or all float64 and on one device, got "
            f"{sorted(map(str, dtypes | devices))}{hint}"
        )


@contextmanager
def fitting(what):
    """What model or loss_fn raise, as a ValueError that says what did not fit them."""
    try:
        yield
    except (RuntimeError, TypeError, IndexError) as error:
        if type(error) not in (RuntimeError, TypeError, IndexError):  # no memory, for one
            raise
        raise ValueError(f"{what} does not fit model and loss_fn: {error}") from error


def check_count(name, number, largest=math.inf):
    """The number as an int, refused by its name unless it is one of 1, ..., largest.

    >>> check_count("batch_size", 0, 20)
    Traceback (most recent call last):
    ValueError: batch_size must be 1 to 20, got 0
    """
    number = integer(name, number)
    if not 1 <= number <= largest:
        raise ValueError(f"{name} must be 1 to {largest}, got {number}")
    return number


def check_seed(seed):
    """The seed as an int, refused unless it is one of 64 bits.

    >>> check_seed(-1)
    Traceback (most recent call last):
    ValueError: seed must be 0 to 2^64 - 1, got -1
    """
    number = integer("seed", seed)
    if not 0 <= number < 2**64:
        raise ValueError(f"seed must be 0 to 2^64 - 1, got {seed!r}")
    return number


def generator_of(seed):
    """Random numbers on the CPU that a seed rules."""
    return torch.Generator().manual_seed(check_seed(seed))


def check_floating(dtype):
    """Refuse what is no floating type of torch, in which images would be rounded to 0 and 1."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise TypeError(f"dtype must be a floating type such as torch.float32, got {dtype!r}")


def check_module(model):
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")


def check_examples(**tensors):
    """Refuse what is no data set: nothing, no rows, rows that do not pair up, NaN or infinity.

    Raises:
        TypeError: not a tensor, dense and real; a generator, for one, could be read only once.
        ValueError: anything else; the message names the tensor.

    >>> check_examples(x=torch.ones(3, 2), label=torch.ones(2))
    Traceback (most recent call last):
    ValueError: label has 2 rows, x has 3: they need one for each example
    """
    if not tensors:
        raise ValueError("tensors: none was given, it takes one or more of N rows")
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} must be a tensor (N, ...), got {type(tensor).__name__}")
        if tensor.ndim == 0 or tensor.numel() == 0:
            raise ValueError(f"{name} has no examples: its shape is {tuple(tensor.shape)}")
        first = next(iter(tensors))
        if len(tensor) != len(tensors[first]):
            raise ValueError(
                f"{name} has {len(tensor)} rows, {first} has {len(tensors[first])}: "
                "they need one for each example"
            )
        # The two ends are NaN or infinite if any element is, and come 10 times faster than
        # isfinite over all.
        try:
            ends = tensor.aminmax()
        except (RuntimeError, TypeError) as error:  # by torch's version
            raise TypeError(f"{name} must be real numbers in a dense tensor: {error}") from error
        if not all(torch.isfinite(end) for end in ends):
            raise ValueError(f"{name} holds NaN or infinity")


def check_label(label, output, name="label"):
    """Refuse labels that do not pair with a model's output for the first of them.

    Class numbers (integers) take the output's shape without its last axis, the classes; floating
    labels take its whole shape, lest a loss broadcast one against the other.

    Raises:
        TypeError: label or output is not a tensor, or label neither integers nor floating.
        ValueError: the shape does not fit, or a class number is not below the output's width.

    >>> check_label(torch.tensor([0, 3]), torch.zeros(2, 3))
    Traceback (most recent call last):
    ValueError: label must be class numbers 0 to 2, as the output is 3 wide, got 0 to 3
    """
    for what, tensor in ((name, label), ("output", output)):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{what} must be a tensor, got {type(tensor).__name__}")
        if not tensor.ndim or not tensor.numel():
            raise ValueError(f"{what} must have shape (N, ...), got {tuple(tensor.shape)}")
    floating = label.is_floating_point()
    if label.is_complex() or label.dtype == torch.bool:
        raise TypeError(f"{name} must be class numbers or floating, got {label.dtype}")
    given = label[: len(output)].shape
    takes = output.shape if floating else output.shape[:-1]
    if given != takes:
        raise ValueError(
            f"{name} must have shape {tuple(takes)} for an output of shape {tuple(output.shape)} "
            f"if it is {'floating' if floating else 'class numbers'}, got {tuple(given)}"
        )
    low, high = label.aminmax()
    if not floating and not 0 <= low <= high < output.shape[-1]:
        raise ValueError(
            f"{name} must be class numbers 0 to {output.shape[-1] - 1}, as the output is "
            f"{output.shape[-1]} wide, got {low} to {high}"
        )


def check_loss(loss):
    """Refuse what loss_fn returned unless it is one real number in a tensor.

    >>> check_loss(torch.zeros(2))
    Traceback (most recent call last):
    ValueError: loss_fn must return a scalar tensor, the mean over a batch, got tensor([0., 0.])
    """
    if not torch.is_tensor(loss) or loss.numel() != 1 or loss.is_complex():
        raise ValueError(f"loss_fn must return a scalar tensor, the mean over a batch, got {loss}")
