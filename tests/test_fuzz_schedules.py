"""Schedules on any input: the formula's value, worked out in 80 bits, or an error."""

from fractions import Fraction
from numbers import Real

import numpy as np
import pytest
from fuzzing import answer, anything, fuzz, inf, junk, mostly, nan, number
from hypothesis import given
from hypothesis import strategies as st

from lib import schedules
from lib.schedules import constant, product

FORMULAS = {
    "inverse_power": (("scale", "power"), lambda t, a, p: np.exp(-p * np.log1p(t / a))),
    "exponential": (("scale",), lambda t, a: np.exp(-t / a)),
    "linear": (("steps",), lambda t, n: np.maximum(n - t, 0) / n),
    "cosine": (("steps",), lambda t, n: np.cos(np.pi * np.minimum(t / n, 1) / 2) ** 2),
    "warmup": (("steps",), lambda t, n: np.minimum((t + 1) / np.maximum(n, 1), 1)),
    "transformer": (
        ("d_model", "warmup"),
        lambda t, d, w: np.minimum(1, ((t + 1) / w) ** 1.5) / np.sqrt(d * (t + 1)),
    ),
}
real = (
    st.integers(-1, 10**6)
    | st.floats()
    | st.sampled_from((0, True, False, 1e-299, 1e299, 10**30, 10**400, Fraction(7, 2), np.int64(3)))
    | st.sampled_from((np.float32(2.5), np.float16(1000), Fraction(1, 10**400), nan, inf))
)
lengths = mostly(st.integers(1, 10**5) | st.floats(1e-3, 1e6), real, anything)
steps = mostly(st.integers(0, 10**6), real, anything)


def is_length(value, name):
    none = isinstance(value, Real) and value == 0
    return 0 < number(value) < inf or (name == "warmup" and none)


def is_step(step):
    return 0 <= number(step) < inf


@pytest.mark.parametrize("name", FORMULAS)
@given(data=st.data())
@fuzz
@np.errstate(all="ignore")
def test_schedules_are_their_formulas_or_refuse(name, data):
    names, formula = FORMULAS[name]
    values = [data.draw(lengths, each) for each in names]
    good = all(is_length(value, name) for value in values)
    f = answer(lambda: getattr(schedules, name)(*values), good, *names)
    if f is not None:
        step = data.draw(steps, "step")
        factor = answer(lambda: f(step), is_step(step), "step")
        if factor is not None:
            values = [np.longdouble(float(value)) for value in values]
            expected = float(formula(np.longdouble(float(step)), *values))
            assert isinstance(factor, float)
            if name == "inverse_power" and values[1] > 1e6:
                assert 0 <= factor <= 1  # 1 + t / scale is rounded: a high power shows it
            else:
                np.testing.assert_allclose(factor, expected, rtol=1e-9, atol=1e-15)


@given(step=steps)
@fuzz
def test_inverse_sqrt_is_its_formula_or_refuses(step):
    factor = answer(lambda: schedules.inverse_sqrt(step), is_step(step), "step")
    if factor is not None:
        assert factor == pytest.approx((1 + float(step)) ** -0.5, rel=1e-12)
    assert constant(step) == 1


@given(given_ones=st.lists(mostly(st.floats(0, 2).map(lambda x: lambda t: x), junk)))
@fuzz
def test_product_multiplies_functions_or_refuses(given_ones):
    fits = all(map(callable, given_ones))
    f = answer(lambda: product(*given_ones), fits, "schedules")
    if f is not None and all(type(one) is type(lambda: 0) for one in given_ones):
        assert f(3) == pytest.approx(np.prod([one(3) for one in given_ones]), rel=1e-12)
