import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jacrev, vmap

from lib.losses import cross_entropy, mse, sigmoid, softmax

close = partial(torch.testing.assert_close, rtol=1e-12, atol=1e-12)
tensor = partial(torch.tensor, dtype=torch.float64)


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mse_of_softmax(logits, label):
    return mse(softmax(logits), label)


both_losses = pytest.mark.parametrize("loss", [cross_entropy, mse_of_softmax])

# Logits of 2 x 3 examples and 4 classes, with labels of both kinds.
LOGITS = 3 * draw(2, 3, 4, seed=0)
NUMBERS = torch.tensor([[0, 3, 1], [2, 2, 0]])
PROBABILITIES = torch.softmax(draw(2, 3, 4, seed=1), -1)
both_labels = pytest.mark.parametrize("label", [NUMBERS, PROBABILITIES], ids=["int", "float"])


# --- values ----------------------------------------------------------------------------------


def test_softmax_is_torchs():
    close(softmax(LOGITS), torch.softmax(LOGITS, -1))


def test_softmax_of_logarithms_is_their_numbers_shares():
    close(softmax(tensor([1.0, 2.0, 5.0]).log()), tensor([1 / 8, 2 / 8, 5 / 8]))


def test_softmax_of_three_logits_is_the_example_worked_by_hand():
    torch.testing.assert_close(
        softmax(tensor([3, 1, -3])), tensor([0.8789, 0.1189, 0.0022]), atol=5e-5, rtol=0
    )


logits = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8)


@settings(deadline=None)
@given(logits, st.floats(-1e4, 1e4))
def test_softmax_sums_to_one_and_shifts_away(logits, shift):
    p = softmax(tensor(logits))
    close(p.sum(), tensor(1.0))
    assert (p >= 0).all()
    torch.testing.assert_close(softmax(tensor(logits) + shift), p, rtol=1e-9, atol=1e-12)


def test_sigmoid_is_torchs_to_the_last_digits_in_both_tails():
    z = torch.linspace(-700, 700, 2801, dtype=torch.float64)
    torch.testing.assert_close(sigmoid(z), torch.sigmoid(z), rtol=1e-14, atol=0)


@settings(deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_sigmoid_of_a_difference_is_softmax_of_two(a, b):
    close(sigmoid(tensor(a) - b), softmax(tensor([a, b]))[0])


def test_mse_sums_over_classes_and_averages_over_examples():
    # label [1, 0]: .5² + .5² for the first example and .8² + .8² for the second
    p = tensor([[0.5, 0.5], [0.2, 0.8]])
    close(mse(p, torch.tensor([0, 0])), tensor((0.5 + 1.28) / 2))
    close(mse(p, tensor([[0.5, 0.5], [0.2, 0.8]])), tensor(0.0))


@both_labels
def test_mse_is_torchs_times_the_number_of_classes(label):
    target = label if label.is_floating_point() else F.one_hot(label, 4).double()
    close(mse(PROBABILITIES.flip(0), label), 4 * F.mse_loss(PROBABILITIES.flip(0), target))


@both_labels
def test_cross_entropy_is_torchs(label):
    expected = F.cross_entropy(LOGITS.reshape(6, 4), label.flatten(0, 1))
    close(cross_entropy(LOGITS, label), expected)


@both_losses
def test_losses_take_one_example_without_a_batch(loss):
    close(loss(LOGITS[0, 0], NUMBERS[0, 0]), loss(LOGITS[0, :1], NUMBERS[0, :1]))
    close(loss(LOGITS[0, 0], NUMBERS[0, 0]), loss(LOGITS[0, 0], tensor([1, 0, 0, 0])))


@both_losses
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_losses_take_class_numbers_of_any_integer_dtype(loss, dtype):
    close(loss(LOGITS, NUMBERS.to(dtype)), loss(LOGITS, NUMBERS))


def test_cross_entropy_is_minus_the_mean_log_likelihood():
    p = torch.softmax(LOGITS, -1)
    likelihood = math.prod(p[i, j, NUMBERS[i, j]].item() for i in range(2) for j in range(3))
    close(cross_entropy(LOGITS, NUMBERS), tensor(-math.log(likelihood) / 6))


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes():
    close(cross_entropy(torch.full((5, 7), -3.0).double(), torch.arange(5)), tensor(math.log(7)))


def test_losses_are_flat_and_steep_where_the_label_is_far():
    # Label [1, 0, 0], so p1 = 1 / (1 + e^20) and p2 = 1 - p1. MSE is 2 p2², its gradient
    # 4 p1 p2² (-1, 1, 0); cross-entropy is -ln p1, its gradient p2 (-1, 1, 0).
    z = tensor([-10, 10, -1000]).requires_grad_()
    loss = mse_of_softmax(z, torch.tensor(0))
    assert loss.item() == pytest.approx(2.0, abs=1e-7)
    assert torch.autograd.grad(loss, z)[0].norm().item() == pytest.approx(
        4 * 2**0.5 * math.exp(-20), rel=1e-7
    )
    loss = cross_entropy(z, torch.tensor(0))
    assert loss.item() == pytest.approx(20 + math.log1p(math.exp(-20)), rel=1e-14)
    assert torch.autograd.grad(loss, z)[0].norm().item() == pytest.approx(2**0.5, rel=1e-7)


# --- derivatives -----------------------------------------------------------------------------


@pytest.mark.parametrize("function", [softmax, sigmoid])
def test_softmax_and_sigmoid_have_right_first_and_second_derivatives(function):
    z = tensor([[-3.0, 0.0, 2.0], [0.0, 0.0, 0.0]]).requires_grad_()
    assert gradcheck(function, z)
    assert gradgradcheck(function, z)


@both_losses
@both_labels
def test_losses_have_right_first_and_second_derivatives(loss, label):
    z = LOGITS.clone().requires_grad_()
    assert gradcheck(loss, (z, label))
    assert gradgradcheck(loss, (z, label))


def test_mse_has_right_derivatives_by_its_probabilities():
    p = PROBABILITIES.clone().requires_grad_()
    assert gradcheck(mse, (p, NUMBERS))
    close(torch.autograd.grad(mse(p, NUMBERS), p)[0], (p - F.one_hot(NUMBERS, 4)).detach() / 3)


def test_sigmoid_has_slope_a_quarter_at_zero():
    z = tensor(0.0).requires_grad_()
    close(torch.autograd.grad(sigmoid(z), z)[0], tensor(0.25))


def test_cross_entropy_has_gradient_p_minus_label_and_the_hessian_of_softmax():
    z, p = LOGITS[0, 0], torch.softmax(LOGITS[0, 0], -1)
    label = NUMBERS[0, 0]
    close(grad(cross_entropy)(z, label), p - F.one_hot(label, 4))
    close(jacrev(grad(cross_entropy))(z, label), p.diag() - torch.outer(p, p))


# --- large logits ----------------------------------------------------------------------------

FAR = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4], [-1e4, -1e4, -1e4]])
SHARES = torch.tensor([[1, 0, 0], [0, 1 / 2, 1 / 2], [1 / 3] * 3, [1 / 3] * 3])


def test_softmax_and_sigmoid_are_right_at_large_logits_in_float32():
    z = FAR.clone().requires_grad_()
    torch.testing.assert_close(softmax(z), SHARES)
    torch.testing.assert_close(sigmoid(z), (1 + FAR.sign()) / 2)
    for ours, torchs in ((softmax, partial(torch.softmax, dim=-1)), (sigmoid, torch.sigmoid)):
        slopes = [torch.autograd.grad(f(z)[:, 0].sum(), z)[0] for f in (ours, torchs)]
        torch.testing.assert_close(*slopes)


def test_cross_entropy_is_right_at_large_logits_in_float32():
    z = FAR.clone().requires_grad_()
    label = torch.tensor([1, 0, 2, 0])
    loss = cross_entropy(z, label)
    # ln p of the label: -20000, -20000 - ln 2, and -ln 3 twice
    expected = (40000 + math.log(2) + 2 * math.log(3)) / 4
    torch.testing.assert_close(loss, torch.tensor(expected))
    torch.testing.assert_close(torch.autograd.grad(loss, z)[0], (SHARES - F.one_hot(label, 3)) / 4)


def test_mse_is_right_at_large_logits_in_float32():
    z = FAR.clone().requires_grad_()
    loss = mse_of_softmax(z, torch.tensor([1, 0, 2, 0]))
    # squared errors 2, 3/2, 2/3, 2/3
    torch.testing.assert_close(loss, torch.tensor((2 + 1.5 + 4 / 3) / 4))
    assert torch.autograd.grad(loss, z)[0].isfinite().all()


@both_losses
def test_losses_have_finite_second_derivatives_at_large_logits_in_float32(loss):
    for z in FAR:
        assert jacrev(grad(loss))(z, torch.tensor(1)).isfinite().all()


# --- torch.func ------------------------------------------------------------------------------


@both_losses
@both_labels
def test_losses_work_under_vmap_and_grad(loss, label):
    z, label = LOGITS.flatten(0, 1), label.flatten(0, 1)
    close(vmap(loss)(z, label).mean(), loss(z, label))
    by_example = vmap(grad(loss))(z, label)
    whole = z.clone().requires_grad_()
    close(by_example / 6, torch.autograd.grad(loss(whole, label), whole)[0])
    # one output, many labels
    close(vmap(loss, in_dims=(None, 0))(z[0], label), torch.stack([loss(z[0], y) for y in label]))


def test_softmax_and_sigmoid_work_under_vmap_and_grad():
    for function in (softmax, sigmoid):
        close(vmap(function)(LOGITS), function(LOGITS))
    slopes = vmap(grad(sigmoid))(LOGITS[0, 0])
    close(slopes, sigmoid(LOGITS[0, 0]) * sigmoid(-LOGITS[0, 0]))


# --- errors ----------------------------------------------------------------------------------


@both_losses
@pytest.mark.parametrize("number", [4, -1])
def test_losses_refuse_a_class_number_outside_the_classes(loss, number):
    label = NUMBERS.clone()
    label[0, 1] = number
    with pytest.raises(ValueError, match=f"label must hold class numbers from 0 to 3: .*{number}"):
        loss(LOGITS, label)
    with pytest.raises(ValueError, match="label must hold class numbers from 0 to 3"):
        vmap(loss)(LOGITS, label)


@both_losses
@pytest.mark.parametrize(
    "label",
    [
        NUMBERS[0],  # too few
        NUMBERS.double(),  # class numbers as floats
        F.one_hot(NUMBERS, 4),  # probabilities as integers
        PROBABILITIES[..., :3],
        NUMBERS > 1,
        torch.zeros(2, 3, dtype=torch.complex64),
    ],
)
def test_losses_refuse_a_label_that_does_not_fit(loss, label):
    message = r"label must be integers \(2, 3\) or floats \(2, 3, 4\), got torch\.\w+ \("
    with pytest.raises(ValueError, match=message):
        loss(LOGITS, label)


@both_losses
def test_losses_refuse_to_average_over_no_examples(loss):
    with pytest.raises(ValueError, match=r"must be an example, got outputs of shape \(0, 4\)"):
        loss(LOGITS[0, :0], NUMBERS[0, :0])


@pytest.mark.parametrize("output", [tensor(1.0), torch.zeros(3, 0)])
def test_losses_refuse_outputs_without_classes(output):
    label = torch.tensor([0, 0, 0])
    with pytest.raises(ValueError, match=r"logits must have shape \(\.\.\., classes\), got"):
        softmax(output)
    with pytest.raises(ValueError, match=r"logits must have shape \(\.\.\., classes\), got"):
        cross_entropy(output, label)
    with pytest.raises(ValueError, match=r"probabilities must have shape \(\.\.\., classes\), got"):
        mse(output, label)


def test_losses_refuse_what_is_no_tensor():
    for function, name in ((softmax, "logits"), (sigmoid, "z")):
        with pytest.raises(TypeError, match=f"{name} must be a tensor, got list"):
            function([1.0, 2.0])
    for function, name in ((cross_entropy, "logits"), (mse, "probabilities")):
        with pytest.raises(TypeError, match=f"{name} must be a tensor, got list"):
            function([1.0, 2.0], NUMBERS)
        with pytest.raises(TypeError, match="label must be a tensor, got int"):
            function(LOGITS, 1)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool, torch.complex64])
def test_losses_refuse_outputs_that_are_no_floats(dtype):
    output = torch.tensor([[0, 1]]).to(dtype)  # of integers, differences would wrap around
    for function, name in ((softmax, "logits"), (sigmoid, "z")):
        with pytest.raises(ValueError, match=f"{name} must be floats"):
            function(output)
    for function, name in ((cross_entropy, "logits"), (mse, "probabilities")):
        with pytest.raises(ValueError, match=f"{name} must be floats"):
            function(output, torch.tensor([0]))
