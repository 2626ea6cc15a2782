"""Copies trained side by side, held against the loop that trains one."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.utils import parameters_to_vector

from lib import losses, schedules
from lib.optimizers import Adam, GradientDescent
from lib.training import mlp, train, train_together


@pytest.fixture
def setting():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    return mlp(3, 4, 2, dtype=torch.float64), x, torch.arange(10) % 2


def theta_of(model):
    return parameters_to_vector(model.parameters()).detach()


def together(setting, theta0, optimizer, steps=9, **kwargs):
    model, x, label = setting
    kwargs = {"batch_size": 4, "seeds": range(len(theta0))} | kwargs
    return train_together(model, losses.cross_entropy, x, label, theta0, optimizer, steps, **kwargs)


def test_train_together_takes_the_steps_that_train_takes(setting):
    _, x, label = setting
    adam, warm = partial(Adam, lr=0.1), schedules.warmup(5)
    models = [mlp(3, 4, 2, seed=seed, dtype=torch.float64) for seed in range(3)]
    starts = torch.stack([theta_of(model) for model in models])
    loss, theta = together(setting, starts, adam, schedule=warm)
    for i, model in enumerate(models):
        history = train(
            model, losses.cross_entropy, x, label, adam, 3, batch_size=4, schedule=warm, seed=i
        )
        torch.testing.assert_close(loss[:, i], torch.tensor(history.loss))
        torch.testing.assert_close(theta[0, i], theta_of(model))


def test_a_loss_may_come_as_a_vector_of_one_number(setting):
    model, x, label = setting
    descent = partial(GradientDescent, lr=0.1)

    def in_a_vector(output, label):
        return losses.cross_entropy(output, label).reshape(1)

    theta0, kwargs = theta_of(model), {"batch_size": 4, "seeds": [0]}
    plain, boxed = (
        train_together(model, loss_fn, x, label, theta0[None], descent, 3, **kwargs)
        for loss_fn in (losses.cross_entropy, in_a_vector)
    )
    assert plain[0].shape == boxed[0].shape == (3, 1)
    assert torch.equal(plain[1], boxed[1])
    history = train(model, in_a_vector, x, label, descent, 1, batch_size=4)
    torch.testing.assert_close(torch.tensor(history.loss), boxed[0][:, 0])


def test_train_together_gives_each_copy_its_rate_and_schedule(setting):
    start = theta_of(setting[0]).repeat(2, 1)
    rates = torch.tensor([[0.1], [0.4]], dtype=torch.float64)
    factors = torch.tensor([[4.0], [1.0]])
    both = together(
        setting,
        start,
        partial(GradientDescent, lr=rates),
        seeds=[5, 5],
        schedule=lambda t: factors,
    )
    for values in both:
        torch.testing.assert_close(values[:, 0], values[:, 1])


def test_train_together_adds_weight_decay(setting):
    model, x, label = setting
    theta = theta_of(model).requires_grad_()
    loss, (after,) = together(
        setting,
        theta[None],
        partial(GradientDescent, lr=0.1),
        steps=1,
        batch_size=10,
        weight_decay=0.3,
    )
    value = losses.cross_entropy(model(x), label)
    gradient = parameters_to_vector(torch.autograd.grad(value, model.parameters()))
    torch.testing.assert_close(loss[0, 0], value.detach() + 0.15 * theta.detach() @ theta.detach())
    torch.testing.assert_close(after[0], theta.detach() * 0.97 - 0.1 * gradient)


def test_train_together_keeps_the_steps_asked_for_and_leaves_the_model(setting):
    model = setting[0]
    before = theta_of(model).clone()
    _, theta = together(setting, before[None], partial(GradientDescent, lr=0.1), keep=[9, 0, 3])
    _, three = together(setting, before[None], partial(GradientDescent, lr=0.1), steps=3)
    assert theta.shape == (3, 1, len(before))
    assert torch.equal(theta[1, 0], before)
    assert torch.equal(theta[2], three[0])
    assert not torch.equal(theta[0], theta[2])
    assert torch.equal(theta_of(model), before)


def test_train_together_lets_one_copy_diverge_alone(setting):
    start = theta_of(setting[0]).repeat(2, 1)
    rates = torch.tensor([[0.1], [1e300]], dtype=torch.float64)
    descent = partial(GradientDescent, lr=rates)
    loss, theta = together(setting, start, descent, seeds=[1, 1], weight_decay=1.0)
    assert theta[0, 0].isfinite().all()
    assert not theta[0, 1].isfinite().all()
    assert loss[:, 0].isfinite().all()


def test_train_together_takes_seeds_and_steps_to_keep_that_can_be_read_once(setting):
    start = theta_of(setting[0]).repeat(2, 1)
    once = together(setting, start, RULE, seeds=iter([4, 5]), keep=iter([3, 9]))
    lists = together(setting, start, RULE, seeds=[4, 5], keep=[3, 9])
    assert all(map(torch.equal, once, lists))


def test_train_together_takes_counts_from_numpy(setting):
    start = theta_of(setting[0])[None]
    counts = {"steps": np.int64(3), "batch_size": np.int64(4)}
    for one, two in zip(
        together(setting, start, RULE, **counts),
        together(setting, start, RULE, steps=3),
        strict=True,
    ):
        assert torch.equal(one, two)


def test_train_together_refuses_a_model_that_draws_random_numbers(setting):
    model, x, label = setting
    random = torch.nn.Sequential(*model, torch.nn.Dropout())
    with pytest.raises(ValueError, match="model and loss_fn must work under"):
        together((random, x, label), theta_of(model)[None], RULE)


RULE = partial(GradientDescent, lr=0.1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("theta0", {"theta0": torch.zeros(2, 5)}),
        ("theta0", {"theta0": torch.zeros(26)}),
        ("theta0", {"theta0": torch.zeros(0, 26).double()}),
        ("theta0", {"theta0": torch.full((2, 26), torch.nan).double()}),
        ("theta0", {"theta0": torch.zeros(2, 26)}),  # float32, as the model is not
        ("seeds", {"seeds": [0]}),
        ("seeds", {"seeds": 2}),
        ("seed", {"seeds": [0, -1]}),
        ("seed", {"seeds": [0, 0.5]}),
        ("steps", {"steps": 0}),
        ("batch_size", {"batch_size": 11}),
        ("keep", {"keep": [10]}),
        ("keep", {"keep": [0.5]}),
        ("keep", {"keep": []}),
        ("keep", {"keep": 3}),
        ("weight_decay", {"weight_decay": -1}),
        ("weight_decay", {"weight_decay": torch.nan}),
        ("weight_decay", {"weight_decay": "0"}),
        ("optimizer", {"optimizer": None}),
        ("optimizer", {"optimizer": lambda params: params}),
        ("schedule", {"schedule": 0.5}),
        ("schedule", {"schedule": lambda t: torch.nan}),
        ("schedule", {"schedule": lambda t: torch.ones(2)}),
    ],
)
def test_train_together_names_what_it_refuses(setting, name, change):
    arguments = {"theta0": torch.zeros(2, 26).double(), "optimizer": RULE} | change
    with pytest.raises((TypeError, ValueError), match=name):
        together(setting, **arguments)
