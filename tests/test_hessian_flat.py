"""A model's loss as a function of one vector, against the model itself."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from lib.hessian import flat_loss, gradient


def small_network(seed=0):
    torch.manual_seed(seed)
    layers = torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)
    return torch.nn.Sequential(*layers).double()


@pytest.fixture
def examples():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    return x, torch.randint(2, (7,), generator=generator)


def test_flat_loss_is_the_models_loss_and_gradient(examples):
    x, label = examples
    model = small_network()
    loss, theta = flat_loss(model, cross_entropy, x, label)
    there = cross_entropy(model(x), label)
    there.backward()
    torch.testing.assert_close(loss(theta), there.detach())
    expected = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    torch.testing.assert_close(gradient(loss, theta), expected)


def test_flat_loss_at_another_theta_is_another_models_loss_and_changes_nothing(examples):
    x, label = examples
    model, other = small_network(0), small_network(5)
    before = [p.clone() for p in model.parameters()]
    loss, theta = flat_loss(model, cross_entropy, x, label)
    elsewhere = torch.nn.utils.parameters_to_vector(other.parameters()).detach()
    torch.testing.assert_close(loss(elsewhere), cross_entropy(other(x), label).detach())
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    theta += 1  # a copy: the model must not notice
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_flat_loss_works_under_vmap(examples):
    loss, theta = flat_loss(small_network(), cross_entropy, *examples)
    points = theta + torch.arange(3.0, dtype=torch.float64)[:, None]
    expected = torch.stack([loss(point) for point in points])
    torch.testing.assert_close(torch.func.vmap(loss)(points), expected)


def test_flat_loss_leaves_frozen_parameters_out(examples):
    model = small_network()
    model[0].requires_grad_(False)
    loss, theta = flat_loss(model, cross_entropy, *examples)
    assert len(theta) == 3 * 2 + 2
    torch.testing.assert_close(loss(theta), cross_entropy(model(examples[0]), examples[1]).detach())


def test_flat_loss_refuses_a_model_with_nothing_to_move(examples):
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        flat_loss(small_network().requires_grad_(False), cross_entropy, *examples)


@pytest.mark.parametrize("theta", [torch.zeros(3), torch.zeros(1, 31), None])
def test_flat_loss_refuses_a_theta_of_another_shape(examples, theta):
    loss, _ = flat_loss(small_network(), cross_entropy, *examples)
    with pytest.raises(ValueError, match="theta must be a tensor"):
        loss(theta)


def test_flat_loss_refuses_what_is_no_model_or_no_loss(examples):
    with pytest.raises(TypeError, match="model must be a"):
        flat_loss(None, cross_entropy, *examples)
    with pytest.raises(TypeError, match="loss_fn must be a function"):
        flat_loss(small_network(), None, *examples)
