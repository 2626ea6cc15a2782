import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearLR

from lib.schedules import (
    constant,
    cosine,
    exponential,
    inverse_power,
    inverse_sqrt,
    linear,
    product,
    transformer,
    warmup,
)

close = partial(pytest.approx, rel=1e-12, abs=1e-15)


def rates(scheduler, steps, lr=0.5):
    """The learning rates that a torch scheduler gives to steps 0, 1, ..."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = scheduler(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (constant, 1.0),
        (inverse_sqrt, 1.0),
        (inverse_power(100, power=0.5), 1.0),
        (exponential(1000), 1.0),
        (linear(20), 1.0),
        (cosine(20), 1.0),
        (warmup(20), 1 / 20),
        (transformer(512, warmup=4000), 512**-0.5 * 4000**-1.5),
        (product(warmup(20), cosine(50)), 1 / 20),
    ],
)
def test_schedules_start_right_and_work_in_lambda_lr_as_they_are(schedule, first):
    assert schedule(0) == close(first)
    found = rates(partial(LambdaLR, lr_lambda=schedule), steps=60)
    assert found == close([0.5 * schedule(t) for t in range(60)])


@pytest.mark.parametrize(
    ("schedule", "torchs", "steps"),
    [
        (linear(30), partial(LinearLR, start_factor=1, end_factor=0, total_iters=30), 40),
        (warmup(30), partial(LinearLR, start_factor=1 / 30, total_iters=29), 40),
        (exponential(30), partial(ExponentialLR, gamma=math.exp(-1 / 30)), 40),
        # torch's cosine rises again after its end, ours stays at 0.
        (cosine(30), partial(CosineAnnealingLR, T_max=30), 31),
    ],
)
def test_schedules_are_those_of_torch(schedule, torchs, steps):
    assert [0.5 * schedule(t) for t in range(steps)] == close(rates(torchs, steps))


def test_constant_is_one_at_every_step():
    assert [constant(t) for t in (0, 1, 10**6)] == [1, 1, 1]


def test_inverse_sqrt_is_one_over_the_root_of_the_count_of_steps():
    assert [inverse_sqrt(t) for t in (0, 3, 8, 99)] == close([1, 1 / 2, 1 / 3, 1 / 10])
    assert inverse_sqrt(7) == close(inverse_power(1, power=0.5)(7))


def test_inverse_power_is_the_decay_of_its_scale():
    # 1 / sqrt(1 + 300 / 100) and 1 / (1 + 500 / 1000)
    assert inverse_power(100, power=0.5)(300) == close(1 / 2)
    assert inverse_power(1000)(500) == close(2 / 3)


def test_linear_and_cosine_stay_at_zero_after_their_end():
    for schedule in (linear(30), cosine(30)):
        assert [schedule(t) for t in (30, 31, 45, 60)] == [0, 0, 0, 0]
        assert schedule(15) == close(1 / 2)


def test_cosine_is_half_a_wave():
    # cos(pi / 3) = 1 / 2, cos(2 pi / 3) = -1 / 2
    assert [cosine(3)(t) for t in range(4)] == close([1, 3 / 4, 1 / 4, 0])


def test_warmup_rises_in_equal_parts_and_stays_at_one():
    assert [warmup(4)(t) for t in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize("steps", [0, 1])
def test_warmup_of_at_most_one_step_is_none(steps):
    assert [warmup(steps)(t) for t in range(3)] == [1, 1, 1]


def test_transformer_rises_in_a_line_and_falls_as_a_root():
    f = transformer(64, warmup=100)
    assert f(99) == close(1 / (8 * 10))  # s = w: d^-1/2 w^-1/2
    assert f(24) == close(f(99) / 4)  # s = w / 4 on the line
    assert f(399) == close(f(99) / 2)  # s = 4 w on the root
    assert max(range(1000), key=f) == 99


@settings(deadline=None)
@given(step=st.integers(0, 10**6), d_model=st.integers(1, 4096), steps=st.integers(1, 10**5))
def test_transformer_is_a_product_of_warmup_and_inverse_sqrt(step, d_model, steps):
    # min(s^-1/2, s w^-3/2) is not warmup * s^-1/2, but min(s / w, 1) times the smaller root.
    expected = d_model**-0.5 * warmup(steps)(step) * min(inverse_sqrt(step), steps**-0.5)
    assert transformer(d_model, steps)(step) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(step=st.integers(0, 10**6), size=st.floats(1e-3, 1e6), power=st.floats(0.1, 3))
def test_decays_fall_within_zero_and_one(step, size, power):
    decays = [inverse_sqrt, inverse_power(size, power), exponential(size), linear(size)]
    for decay in [*decays, cosine(size)]:
        assert 0 <= decay(step + 1) <= decay(step) <= 1


def test_product_multiplies_its_schedules():
    joined = product(warmup(4), inverse_sqrt, cosine(9))
    assert joined(3) == close(1.0 * 0.5 * 0.75)
    assert joined(1) == close(0.5 * 2**-0.5 * cosine(9)(1))
    assert product()(5) == 1


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (inverse_power, "scale"),
        (partial(inverse_power, 1), "power"),
        (exponential, "scale"),
        (linear, "steps"),
        (cosine, "steps"),
        (warmup, "steps"),
        (partial(transformer, warmup=100), "d_model"),
        (partial(transformer, 512), "warmup"),
    ],
)
def test_schedules_refuse_a_number_out_of_range_and_what_is_no_number(make, name, value):
    with pytest.raises(ValueError, match=f"{name} must be above 0 and finite"):
        make(value)
    with pytest.raises(TypeError, match=f"{name} must be a number, got '4'"):
        make("4")


@pytest.mark.parametrize("make", [inverse_power, exponential, linear, cosine])
def test_decays_refuse_a_length_of_zero(make):
    with pytest.raises(ValueError, match="must be above 0"):
        make(0)


@pytest.mark.parametrize(
    "schedule",
    [
        inverse_sqrt,
        inverse_power(2),
        exponential(2),
        linear(2),
        cosine(2),
        warmup(2),
        transformer(1, 2),
    ],
)
def test_schedules_refuse_a_step_before_the_first(schedule):
    for step in (-1, math.nan, math.inf, 10**400):
        with pytest.raises(ValueError, match="step must be 0 or more"):
            schedule(step)
    with pytest.raises(TypeError, match="step must be a number, got '1'"):
        schedule("1")


def test_schedules_take_lengths_that_are_tiny_huge_or_of_half_precision():
    assert transformer(1, warmup=1e-300)(3) == 1 / 2  # the rise is over at the first step
    assert exponential(np.float16(1000))(70_000) == close(math.exp(-70))
    for make in (inverse_power, exponential, linear, cosine, warmup):
        with pytest.raises(ValueError, match="must be above 0 and finite"):
            make(10**400)


def test_product_refuses_what_is_no_function():
    with pytest.raises(TypeError, match=r"schedules must be functions of the step, got 0\.5"):
        product(constant, 0.5)
