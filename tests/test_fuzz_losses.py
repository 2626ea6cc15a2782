"""Losses on any input: the closed form in 80 bits, values and gradients, or an error."""

import numpy as np
import pytest
import torch
from fuzzing import (
    FLOATS,
    INTEGERS,
    answer,
    anything,
    exact,
    finite,
    fuzz,
    mostly,
    numbers,
    shapes,
    tensors,
)
from hypothesis import given
from hypothesis import strategies as st

from lib.losses import cross_entropy, mse, sigmoid, softmax

outputs = tensors(FLOATS, st.tuples(shapes, st.integers(1, 4)).map(lambda s: (*s[0], s[1])), finite)


def is_floats(t):
    return torch.is_tensor(t) and t.dtype in FLOATS


def is_output(t):
    return is_floats(t) and t.ndim > 0 and t.shape[-1] > 0


def is_label(label, output):
    if not torch.is_tensor(label) or output.numel() == 0:
        return False
    if label.dtype in FLOATS:
        return label.shape == output.shape
    classes = output.shape[-1]
    in_range = label.dtype in INTEGERS and bool(((label >= 0) & (label < classes)).all())
    return in_range and label.shape == output.shape[:-1]


def labels(output):
    """Of both kinds, for any output, most of them right."""
    if not is_output(output):
        return anything
    shape, classes = tuple(output.shape), output.shape[-1]
    kinds = {
        "class numbers": tensors(INTEGERS, st.just(shape[:-1]), st.integers(0, classes - 1)),
        "nearly": tensors(INTEGERS, st.just(shape[:-1]), st.integers(-1, classes)),
        "probabilities": tensors(FLOATS, st.just(shape), st.floats(0, 1)),
        "any floats": tensors(FLOATS, st.just(shape), finite),
        "one column": tensors(FLOATS, st.just((*shape[:-1], 1))),
    }
    good = kinds["class numbers"] | kinds["probabilities"]
    return mostly(good, kinds["nearly"], kinds["any floats"], kinds["one column"], anything)


def one_hot(label, classes):
    if label.dtype in FLOATS:
        return exact(label)
    return np.eye(classes, dtype=np.longdouble)[label.long().numpy()]


def close(value, expected, size, dtype, reach=0):
    """Right to rounding, unless something on the way, as big as ``reach``, overflows."""
    info = torch.finfo(dtype)
    right = np.abs(exact(value) - expected) <= 40 * info.eps * size + 100 * info.tiny
    assert np.all(right | ~(np.maximum(size, reach) < info.max / 4))


def softmax_of(z):
    """Softmax of an array, and its logarithm."""
    z = z - z.max(-1, keepdims=True)
    total = np.exp(z).sum(-1, keepdims=True)
    return np.exp(z) / total, z - np.log(total)


@given(logits=mostly(outputs, tensors(FLOATS, elements=numbers), anything))
@fuzz
@np.errstate(all="ignore")
def test_softmax_is_its_formula_or_refuses(logits):
    p = answer(lambda: softmax(logits), is_output(logits), "logits")
    if p is not None:
        assert p.dtype == logits.dtype
        assert p.shape == logits.shape
        if logits.numel():
            expected, log_p = softmax_of(exact(logits))
            # A distance z is rounded by eps z, which changes e^-z by the share eps z.
            size = np.where(expected > 0, expected * (4 + np.abs(log_p)), 0)
            infinite = ~np.isfinite(exact(logits).max(-1, keepdims=True))
            close(p, expected, np.where(infinite, np.inf, size), logits.dtype)


@given(z=mostly(tensors(FLOATS), anything))
@fuzz
@np.errstate(all="ignore")
def test_sigmoid_is_its_formula_or_refuses(z):
    p = answer(lambda: sigmoid(z), is_floats(z), "z")
    if p is not None:
        assert p.dtype == z.dtype
        expected = np.exp(-np.logaddexp(0, -exact(z)))
        assert np.array_equal(np.isnan(exact(p)), np.isnan(expected))
        close(p, expected, 4 * expected, z.dtype)
        torch.testing.assert_close(p, torch.sigmoid(z), rtol=8e-3, atol=0, equal_nan=True)


@given(data=st.data())
@fuzz
@np.errstate(all="ignore")
def test_mse_is_its_formula_or_refuses(data):
    p = data.draw(mostly(outputs, anything))
    label = data.draw(labels(p))
    fits = is_output(p) and is_label(label, p)
    loss = answer(lambda: mse(p, label), fits, "probabilities", "label", "example")
    if loss is not None:
        square = ((exact(p) - one_hot(label, p.shape[-1])) ** 2).sum(-1)
        close(loss, square.mean(), square.mean(), p.dtype, square.sum())


@given(data=st.data())
@fuzz
@np.errstate(all="ignore")
def test_cross_entropy_is_its_formula_or_refuses(data):
    logits = data.draw(mostly(outputs, anything))
    label = data.draw(labels(logits))
    fits = is_output(logits) and is_label(label, logits)
    loss = answer(lambda: cross_entropy(logits, label), fits, "logits", "label", "example")
    if loss is not None:
        target, (_, log_p) = one_hot(label, logits.shape[-1]), softmax_of(exact(logits))
        terms = (np.abs(target) * (4 + np.abs(log_p))).sum(-1)
        reach = np.abs(log_p).max() * max(1, np.abs(target).max()) * target.size
        close(loss, -(target * log_p).sum(-1).mean(), terms.mean(), logits.dtype, reach)


@pytest.mark.parametrize("loss", [mse, cross_entropy])
@given(data=st.data())
@fuzz
@np.errstate(all="ignore")
def test_losses_have_the_gradients_of_their_formulas(loss, data):
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 4)))
    output = data.draw(tensors(FLOATS[:2], st.just(shape), st.floats(-1e4, 1e4)))
    label = data.draw(labels(output).filter(lambda label: is_label(label, output)))
    leaf = output.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf, label), leaf)
    target, (p, log_p) = one_hot(label, shape[-1]), softmax_of(exact(output))
    if loss is mse:
        expected = 2 * (exact(output) - target)
        size = np.abs(expected)
    else:
        expected = p * target.sum(-1, keepdims=True) - target
        weight = np.abs(target).sum(-1, keepdims=True)
        size = p * weight * (4 + np.abs(log_p)) + np.abs(target)
    reach = 1e5 * np.abs(target).sum()
    close(gradient, expected / shape[0], size / shape[0], output.dtype, reach)
