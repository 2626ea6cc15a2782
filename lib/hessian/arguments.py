"""Arguments refused by their names, before anything is computed."""

from contextlib import contextmanager
from numbers import Real

import numpy as np
import torch

from lib.checks import integer


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
