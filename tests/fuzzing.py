"""What fuzz tests share: tensors of every kind, things that are none, and what is to come of them.

A fuzz test says, independently of lib, which arguments fit, and what is the right answer. `answer`
then holds lib to it: an answer where they fit, an error that names the argument where they do not.
"""

import math
from fractions import Fraction
from numbers import Real

import numpy as np
import pytest
import torch
from hypothesis import event, settings
from hypothesis import strategies as st

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
DTYPES = (*FLOATS, *INTEGERS, torch.bool, torch.complex64, torch.complex128)
nan, inf = math.nan, math.inf

# The default profile takes a quarter of Hypothesis's 100 examples, as there are many such tests.
fuzz = settings(max_examples=settings().max_examples // 4)

EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-3, 3e38, -3e38, 6e4, 1e-45, 1e-310, 1e300, -1e300)
finite = (
    st.sampled_from(EDGES) | st.floats(-10, 10) | st.floats(allow_nan=False, allow_infinity=False)
)
numbers = st.sampled_from((nan, inf, -inf)) | finite
calm = st.floats(-10, 10, allow_subnormal=False)
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def tensors(draw, dtypes=DTYPES, shapes=shapes, elements=None):
    """A tensor, its memory in any order, which may want a gradient."""
    dtype, shape = draw(st.sampled_from(dtypes)), draw(shapes)
    size = math.prod(shape)
    if elements is None:
        elements = numbers if dtype in FLOATS or dtype.is_complex else st.integers(-9, 300)
    flat = torch.tensor(draw(st.lists(elements, min_size=size, max_size=size)))
    tensor = flat.to(dtype).reshape(shape)
    layout = draw(st.sampled_from(("plain", "turned", "gaps")))
    if layout == "turned":
        axes = tuple(reversed(range(tensor.ndim)))
        tensor = tensor.permute(axes).contiguous().permute(axes)
    elif layout == "gaps":
        tensor = torch.stack([tensor, tensor], -1)[..., 0]
    if dtype.is_floating_point and draw(st.booleans()):
        tensor.requires_grad_()
    return tensor


junk = st.sampled_from(
    (None, "1.0", b"1", 1, 0.5, nan, True, 1j, 10**400, Fraction(1, 2), [1.0, 2.0], {"a": 1})
) | st.sampled_from(
    ({1.0}, np.ones(2), np.float32(0.5), torch.float32, torch.nn.Linear, math.exp, object())
)
anything = tensors() | junk


def mostly(fitting, *others):
    """Two times in three one that fits."""
    return st.integers(0, 2).flatmap(lambda i: st.one_of(*others) if i == 2 else fitting)


def number(value):
    """As a float; NaN for what is none."""
    if not isinstance(value, Real):
        return nan
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def exact(tensor):
    """Its numbers as an array of 80 bits (where the machine has them)."""
    return np.asarray(tensor.detach().double()).astype(np.longdouble)


def answer(call, fits, *names):
    """What `call` returns, for arguments that fit; else None, once it has refused one by name."""
    event("answered" if fits else "refused")
    if fits:
        return call()
    with pytest.raises((TypeError, ValueError), match="|".join(names)):
        call()
    return None
