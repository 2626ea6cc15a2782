"""Hessian tools on any input: NumPy's eigenvalues in float64, closed forms, or an error."""

import operator
from numbers import Real

import numpy as np
import pytest
import torch
from fuzzing import (
    FLOATS,
    answer,
    anything,
    calm,
    finite,
    fuzz,
    inf,
    junk,
    mostly,
    nan,
    number,
    tensors,
)
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import aslinearoperator

from lib.hessian import (
    CriticalPoint,
    HessianOperator,
    classify,
    diagonal,
    eigenpairs,
    escape_direction,
    find_minimum,
    flat_loss,
    gradient,
    hessian,
    hvp,
    shares,
    sharpness,
    spectral_density,
    trace,
)
from lib.losses import cross_entropy, mse
from lib.training import mlp

few = settings(fuzz, max_examples=fuzz.max_examples // 2)
BOTH = (torch.float64, torch.float32)
not_called = junk.filter(lambda thing: not callable(thing))
integers = st.integers(-2, 6) | st.sampled_from((True, 1.5, 2.0, nan, inf, "2", None, np.int64(2)))


def as_int(value):
    try:
        return operator.index(value)
    except TypeError:
        return None


def at_least(value, low):
    return as_int(value) is not None and as_int(value) >= low


# --- functions of a flat theta ---------------------------------------------------------------

# Losses: gradient and Hessian in closed form, or None for one that does not fit.
A = torch.tensor([[2.0, 1.0, 0.5], [1.0, -3.0, 0.0], [0.5, 0.0, 1.0]], dtype=torch.float64)
LOSSES = {
    "quadratic": (lambda t: t @ A.to(t) @ t / 2, lambda t: A @ t, lambda t: A),
    "cubes": (lambda t: (t**3).sum(), lambda t: 3 * t**2, lambda t: torch.diag(6 * t)),
    "linear": (lambda t: t.sum(), torch.ones_like, lambda t: 0 * torch.diag(t)),
    "constant": (lambda t: torch.tensor(7.0), lambda t: 0 * t, lambda t: 0 * torch.diag(t)),
    "one of one": (lambda t: t[:1] ** 2, lambda t: 2 * t * E0, lambda t: 2 * torch.diag(E0)),
    "vector": (lambda t: t, None, None),
    "number": (lambda t: 1.0, None, None),
    "complex": (lambda t: (1j * t).sum(), None, None),
    "NaN": (lambda t: nan * t.sum(), None, None),
}
E0 = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
functions = st.sampled_from(list(LOSSES.values())) | not_called.map(
    lambda thing: (thing, None, None)
)
points = mostly(
    tensors(BOTH, st.just((3,)), calm), tensors(FLOATS, st.just((3,)), finite), anything
)


def is_point(t):
    floats = torch.is_tensor(t) and t.is_floating_point() and t.shape == (3,)
    return floats and bool(t.isfinite().all())


def close(value, expected, dtype):
    eps = torch.finfo(dtype).eps
    assert value.dtype == dtype
    size = 10 * (1 + expected.abs().max())
    assert ((value.double() - expected).abs() <= 20 * eps * size).all()


@given(
    loss=mostly(st.just(LOSSES["quadratic"]), functions),
    theta=points,
    v=points,
    chunk=mostly(st.just(64), integers, anything),
)
@example(LOSSES["cubes"], torch.ones(3), torch.ones(3, dtype=torch.float64), 64)
@fuzz
def test_derivatives_are_closed_forms_or_refused(loss, theta, v, chunk):
    function, g, H = loss
    fits = g is not None and is_point(theta)
    if fits:  # nothing in the closed form may leave the range of theta's dtype
        assume(theta.abs().max() < 1e2 and theta.dtype in BOTH)
    found = answer(lambda: gradient(function, theta), fits, "loss", "theta")
    if found is not None:
        close(found, g(theta.detach().double()), theta.dtype)
    names = ("loss", "theta", "chunk")
    found = answer(lambda: hessian(function, theta, chunk), fits and at_least(chunk, 1), *names)
    if found is not None:
        close(found, H(theta.detach().double()), theta.dtype)
    pairs = torch.is_tensor(v) and torch.is_tensor(theta) and v.shape == theta.shape
    pairs = pairs and v.dtype == theta.dtype
    found = answer(lambda: hvp(function, theta, v), fits and pairs, "loss", "theta", "v must")
    if found is not None:
        assume(v.isfinite().all() and v.abs().max() < 1e2)
        close(found / 10, H(theta.detach().double()) @ v.detach().double() / 10, theta.dtype)


DESCENTS = {
    "bowl": lambda t: (t**2).sum(),
    "wells": lambda t: (t**4 - t**2).sum(),
    "linear": lambda t: t.sum(),
    "constant": lambda t: torch.tensor(1.0),
    "no floor": lambda t: -(t**2).sum(),
    "exponential": lambda t: -t.exp().sum(),
    "logarithm": lambda t: t.log().sum(),
    "root": lambda t: t.abs().sqrt().sum(),
    "edge": lambda t: torch.where(t > 0.5, t**2, nan).sum(),
    "NaN": lambda t: nan * t.sum(),
    "steep": lambda t: (1e30 * t**2).sum(),
    "pole": lambda t: (1 / t).sum(),
}


@pytest.mark.parametrize("name", DESCENTS)
@given(theta=tensors(BOTH, st.just((2,)), calm | st.just(0.0)), steps=st.integers(0, 12))
@few
def test_find_minimum_comes_to_an_end_at_or_below_its_start(name, theta, steps):
    loss, theta = DESCENTS[name], theta.detach()
    try:
        found = find_minimum(loss, theta, steps, tol=1e-6)
    except ValueError as error:
        found = str(error)
    if isinstance(found, str):
        assert "loss must be" in found
        assert name not in ("bowl", "wells", "linear", "constant")  # whose derivatives are finite
        return
    assert found.theta.isfinite().all()
    assert loss(found.theta) <= loss(theta) + 1e-4 * loss(theta).abs()
    g = gradient(loss, found.theta)
    assert found.gradient_norm == pytest.approx(g.norm().item(), rel=1e-5)
    assert found.converged == bool(g.norm() <= 1e-6)
    if name == "bowl" and steps:
        assert found.theta.abs().max() < 1e-5


GOOD = [each for each in LOSSES.values() if each[1] is not None]
MINIMUM = {
    "loss": (functions.map(lambda f: f[0]), lambda f: any(f is g[0] for g in GOOD)),
    "theta": (points, lambda t: is_point(t) and t.dtype in BOTH),
    "steps": (mostly(st.integers(0, 3), integers, anything), lambda v: at_least(v, 0)),
    "tol": (mostly(st.floats(1e-12, 1), st.floats(), anything), lambda v: number(v) > 0),
}


@pytest.mark.parametrize("name", MINIMUM)
@given(data=st.data())
@few
def test_find_minimum_takes_arguments_that_fit_or_refuses(name, data):
    strategy, fits = MINIMUM[name]
    arguments = {"loss": LOSSES["quadratic"][0], "theta": torch.ones(3), "steps": 2}
    arguments[name] = data.draw(strategy)
    if torch.is_tensor(arguments["theta"]) and is_point(arguments["theta"]):
        assume(arguments["theta"].abs().max() < 1e2)
    answer(lambda: find_minimum(**arguments), fits(arguments[name]), name)


# --- a spectrum ------------------------------------------------------------------------------

spectra = st.lists(st.sampled_from((0.0, 1.0, -1.0, 1e-9)) | finite, min_size=1, max_size=6)


@given(
    evals=mostly(
        st.one_of(
            spectra,
            spectra.map(np.array),
            tensors(shapes=st.integers(1, 5).map(lambda n: (n,))),
        ),
        st.lists(st.floats() | junk, max_size=3),
        anything,
    ),
    tol=mostly(st.sampled_from((0, 1e-6, 0.5)), st.floats(), anything),
)
@fuzz
def test_classify_and_shares_count_signs_or_refuse(evals, tol):
    array = None
    if torch.is_tensor(evals) and not evals.is_complex():
        array = evals.detach().double().numpy()
    elif isinstance(evals, list | np.ndarray):
        plain = all(isinstance(value, Real) and abs(number(value)) < inf for value in evals)
        array = np.array(evals, dtype=float) if plain else None
    fits = array is not None and array.ndim == 1 and array.size > 0 and np.isfinite(array).all()
    fits = bool(fits) and 0 <= number(tol) < 1
    found = answer(lambda: shares(evals, tol), fits, "evals", "tol")
    kind = answer(lambda: classify(evals, tol), fits, "evals", "tol")
    if found is not None:
        zero = float(tol) * abs(array).max()
        signs = [(array > zero).sum(), (abs(array) <= zero).sum(), (array < -zero).sum()]
        np.testing.assert_allclose(found, np.array(signs) / len(array))
        up, flat, down = (count > 0 for count in signs)
        one_sign = CriticalPoint.MINIMUM if up else CriticalPoint.MAXIMUM
        undecided = CriticalPoint.DEGENERATE if flat else one_sign
        assert kind == (CriticalPoint.SADDLE if up and down else undecided)


# --- a matrix or an operator -----------------------------------------------------------------


@st.composite
def symmetric(draw):
    """A symmetric matrix in float64 of any size, and the same as lib may be given it."""
    d = draw(st.integers(1, 6))
    B = draw(tensors((torch.float64,), st.just((d, d)), st.floats(-3, 3) | st.just(0.0))).detach()
    H = (B + B.T) / 2 * draw(st.sampled_from((1, 1, 1e-200, 1e-120, 1e120, 1e30)))
    kinds = ["tensor", "array", "operator", "turned", "read only", "gradient"]
    kind = draw(st.sampled_from([*kinds, "float32", "int", "bfloat16", "bool"]))
    if kind == "float32" and H.abs().max() < 1e32:
        H = H.float().double()
        return H, H.float()
    if kind == "int":
        H = H.clamp(-100, 100).round()
        return H, H.long()
    if kind == "bfloat16" and H.abs().max() < 1e32:
        H = H.bfloat16().double()
        return H, H.bfloat16()
    if kind == "bool":
        H = (H > 0).double()
        return H, H.bool()
    array = H.numpy().copy()
    array.flags.writeable = kind != "read only"
    given_as = {"operator": aslinearoperator(array), "turned": H.T, "tensor": H.clone()}
    given_as["gradient"] = H.clone().requires_grad_()
    return H, given_as.get(kind, array)


squares = st.integers(1, 3).flatmap(lambda d: tensors(shapes=st.just((d, d))))
wrong = mostly(squares, tensors(shapes=st.just((2, 3))), anything)


def is_symmetric(H):
    """Whether a thing of any kind is a square matrix of finite numbers, symmetric to 1e-3."""
    if isinstance(H, np.ndarray) and H.dtype.kind in "biuf":
        H = torch.tensor(H)
    if not torch.is_tensor(H) or H.is_complex() or H.ndim != 2 or len(H) == 0:
        return False
    H = H.detach().double()
    if H.shape[0] != H.shape[1] or not H.isfinite().all():
        return False
    return bool(((H - H.T).abs() <= 1e-3 * H.abs().max()).all())


def wanted(evals, k, which):
    """Of the ascending evals those that SciPy's name stands for, ascending."""
    if which == "LM":
        return np.sort(evals[np.argsort(abs(evals))[-k:]])
    low = {"LA": 0, "SA": k, "BE": k // 2}[which]
    return np.concatenate([evals[:low], evals[len(evals) - k + low :]])


def norm(vector):
    biggest = vector.abs().max()
    return float(biggest * (vector / biggest).norm()) if biggest > 0 else 0.0


@given(H=symmetric(), which=st.sampled_from(("LA", "SA", "LM", "BE")), data=st.data())
@settings(fuzz, max_examples=2 * fuzz.max_examples)
def test_eigenpairs_of_every_kind_of_matrix_are_numpys(H, which, data):
    true, given_as = H
    d = len(true)
    k = data.draw(st.integers(1, d))
    v0 = data.draw(st.none() | tensors(FLOATS, st.just((d,)), st.floats(1e-3, 1e3)))
    pairs = eigenpairs(given_as, k, which, tol=1e-4, v0=v0, seed=data.draw(st.integers(0, 2**70)))
    evals = np.linalg.eigvalsh(true)
    size, rounding = abs(evals).max(), 1e-5 if pairs.evals.dtype == torch.float32 else 1e-12
    assert pairs.converged  # as many products as dimensions are enough
    assert pairs.evecs.shape == (d, k)
    found, evecs = pairs.evals.double(), pairs.evecs.double()
    assert evecs.T @ evecs == pytest.approx(np.eye(k), abs=1e-3)
    for value, v in zip(found, evecs.T, strict=True):
        assert norm(true @ v - value * v) <= (1e-4 + rounding) * size
    expected = wanted(evals, k, which)
    if which == "LM":  # of two of one size and opposite signs either will do
        found, expected = np.sort(abs(found.numpy())), np.sort(abs(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 * size)


@given(H=symmetric(), seed=st.integers(0, 2**64))
@fuzz
def test_trace_and_diagonal_of_every_kind_of_matrix_are_numpys(H, seed):
    true, given_as = H
    scale = true.abs().max()
    assume(scale < 1e100)  # squares of larger ones overflow, and the standard error is infinite
    atol = max(1e-300, 1e-5 * float(scale))
    several = diagonal(given_as, num_probes=64, seed=seed)
    total = trace(given_as, num_probes=64, seed=seed)
    off = true - torch.diag(true.diagonal())
    if not isinstance(given_as, torch.Tensor | np.ndarray):
        error = 8 * (off / (scale or 1)).square().sum(1).sqrt() * scale / 64**0.5 + atol
        assert ((several.estimate.double() - true.diagonal()).abs() <= error).all()
    else:
        np.testing.assert_allclose(several.estimate.double(), true.diagonal(), atol=atol)
    spread = (2 * (off / (scale or 1)).square().sum()).sqrt() * scale / 64**0.5
    assert abs(total.estimate - float(true.trace())) <= 8 * float(spread) + 6 * atol


@given(H=symmetric(), width=st.floats(0.02, 2), seed=st.integers(0, 9))
@few
def test_spectral_density_is_one_bell_for_each_eigenvalue(H, width, seed):
    true, given_as = H
    evals = np.linalg.eigvalsh(true)
    size = abs(evals).max()
    assume(1e-100 < size < 1e100 or size == 0)
    density = spectral_density(given_as, num_probes=40, width=width, seed=seed)
    step = density.grid[1] - density.grid[0]
    assert density.density.sum() * step == pytest.approx(1, abs=0.01)
    assert density.grid[0] <= evals[0] + 1e-5 * size
    assert density.grid[-1] >= evals[-1] - 1e-5 * size
    # The mean of the density is that of the eigenvalues; a probe's own varies by the spread.
    mean = (density.grid * density.density).sum() * step
    assert abs(mean - evals.mean()) <= 6 * evals.std() / 40**0.5 + 0.01 * (size or 1)


@given(H=symmetric(), tol=st.sampled_from((1e-2, 1e-3)))
@fuzz
def test_escape_direction_is_the_lowest_or_refused(H, tol):
    true, given_as = H
    evals = np.linalg.eigvalsh(true)
    low, size = evals[0], abs(evals).max()
    assume(abs(low + tol * size) > 2 * tol * size or size == 0)  # else rounding decides
    found = answer(lambda: escape_direction(given_as, tol), low < -tol * size, "H")
    if found is not None:
        assert found.eval == pytest.approx(low, abs=2 * tol * size)
        u = found.u.double()
        assert float(u @ (true / size) @ u) == pytest.approx(low / size, abs=2 * tol)
    assert sharpness(given_as, tol=1e-4) == pytest.approx(evals[-1], abs=2e-3 * size)


MATRIX = torch.diag(torch.tensor([3.0, 1.0, -2.0], dtype=torch.float64))
starts = mostly(tensors(FLOATS, st.just((3,)), finite), tensors(shapes=st.just((3,))), anything)


def is_start(v):
    if isinstance(v, np.ndarray):
        v = torch.tensor(v)
    good = torch.is_tensor(v) and not v.is_complex() and v.shape == (3,)
    return v is None or (good and bool(v.isfinite().all()) and bool(v.any()))


counts = mostly(st.integers(1, 3), integers, anything)
seeds = mostly(st.integers(0, 2**65), integers, anything)
tols = mostly(st.floats(1e-6, 0.5), st.floats(), anything)
SEARCH = {
    "H": (wrong, is_symmetric),
    "k": (counts, lambda v: at_least(v, 1) and as_int(v) <= 3),
    "which": (
        st.sampled_from(("LA", "SA", "XX", "", "be")) | anything,
        lambda v: isinstance(v, str) and v in ("LA", "SA"),
    ),
    "tol": (tols, lambda v: 0 < number(v) < 1),
    "max_matvecs": (mostly(st.integers(1, 9), integers, anything), lambda v: at_least(v, 1)),
    "v0": (starts, is_start),
    "seed": (seeds, lambda v: at_least(v, 0)),
}
PROBES = {
    "H": SEARCH["H"],
    "num_probes": (mostly(st.integers(2, 9), integers, anything), lambda v: at_least(v, 2)),
    "seed": SEARCH["seed"],
}
DENSITY = PROBES | {
    "num_steps": (mostly(st.integers(1, 5), integers, anything), lambda v: at_least(v, 1)),
    "points": (mostly(st.integers(100, 130), integers, anything), lambda v: at_least(v, 111)),
    "width": (
        mostly(st.floats(0.003, 9), st.sampled_from((0, -1, nan, inf, 1e300, 1e-320)), anything),
        lambda v: 1 / 389 <= number(v) <= 1e9,
    ),
}
TOOLS = [
    *[(eigenpairs, name, *rest) for name, rest in SEARCH.items()],
    *[(escape_direction, name, *SEARCH[name]) for name in ("H", "tol")],
    *[(trace, name, *rest) for name, rest in PROBES.items()],
    *[(diagonal, name, *rest) for name, rest in PROBES.items()],
    *[(spectral_density, name, *rest) for name, rest in DENSITY.items()],
]


@pytest.mark.parametrize(
    ("tool", "name", "strategy", "fits"), TOOLS, ids=[f"{t[0].__name__}-{t[1]}" for t in TOOLS]
)
@given(data=st.data())
@few
def test_spectral_tools_take_arguments_that_fit_or_refuse(tool, name, strategy, fits, data):
    value = data.draw(strategy)
    as_given = (
        MATRIX if tool in (eigenpairs, escape_direction) else aslinearoperator(MATRIX.numpy())
    )
    arguments = {"H": as_given, name: value}
    good = fits(value)
    if tool is escape_direction and name == "H" and good:
        return  # whether an eigenvalue is negative is asked above
    if name == "H" and good:
        tensor = torch.as_tensor(value).double().abs()
        assume(tensor.max() < 1e100)
    names = ("H", "width", "points") if name == "width" else (name,)
    answer(lambda: tool(**arguments), good, *names)


# --- a model ---------------------------------------------------------------------------------

X = torch.tensor([[0.0, 1.0], [1.0, -1.0], [2.0, 0.5]], dtype=torch.float64)
LABEL = torch.tensor([0, 1, 1])
DATA = [(X, LABEL)]


def net(dtype=torch.float64):
    return mlp(2, 2, 2, dtype=dtype)


def training_dropout():
    return torch.nn.Sequential(net(), torch.nn.Dropout())


MODELS = {
    "mlp": (net, True),
    "half": (lambda: net(torch.float16), False),
    "frozen": (lambda: net().requires_grad_(False), False),
    "no parameters": (torch.nn.Identity, False),
    "dropout in training": (training_dropout, False),
    "dropout in eval": (lambda: training_dropout().eval(), True),
    "other width": (lambda: mlp(5, 2, dtype=torch.float64), False),
    "other dtype": (lambda: net(torch.float32), False),
}
OBJECTIVES = {
    "cross-entropy": (cross_entropy, True),
    "mean square": (mse, True),
    "constant": (lambda output, label: torch.tensor(1.0), True),
    "linear": (lambda output, label: output.sum(), True),
    "vector": (lambda output, label: output, False),
    "number": (lambda output, label: 1.0, False),
    "complex": (lambda output, label: (1j * output).sum(), False),
    "NaN": (lambda output, label: nan * output.sum(), False),
    "infinite": (lambda output, label: output.sum() / 0, False),
    "torch's, of pairs": (torch.nn.functional.cosine_similarity, False),
}
SETS = {
    "two batches": ([(X, LABEL), (X[:1], LABEL[:1])], True),
    "an empty batch": ([(X, LABEL), (X[:0], LABEL[:0])], False),
    "read once": (iter(DATA), False),
    "generator": ((batch for batch in DATA), False),
    "a pair": ((X, LABEL), False),
    "no pair": ([(X,)], False),
    "no length": ([(X, 3)], False),
    "none": ([], False),
    "other length": ([(X, LABEL[:2])], False),
    "other width": ([(torch.ones(3, 5).double(), LABEL)], False),
    "other dtype": ([(X.float(), LABEL)], False),
    "NaN": ([(nan * X, LABEL)], False),
    "labels outside": ([(X, LABEL + 1)], False),
    "text": ([("ab", "cd")], False),
    "dict": ({1: 2}, False),
}


def one_of(table):
    return st.sampled_from(list(table.values()))


def refused(things=junk):
    return things.map(lambda thing: (thing, False))


OPERATOR = {
    "model": one_of(MODELS) | junk.map(lambda thing: (lambda: thing, False)),
    "loss_fn": one_of(OBJECTIVES) | refused(not_called),
    "data": one_of(SETS) | refused(),
    "params": st.sampled_from(
        (
            (None, True),
            ("0", True),
            (["2.bias"], True),
            ([], False),
            ("1", False),
            (["0", 1], False),
        )
    )
    | refused(st.sampled_from((5, nan, b"0", object()))),
    "dtype": st.sampled_from(((None, True), (torch.float32, True), (torch.float16, False)))
    | refused(st.sampled_from(("float64", float, 64))),
    "memory": mostly(st.floats(), anything).map(lambda v: (v, number(v) >= 0)),
}
NAMES = {
    "model": ("model", "module", "parameters must", "batch 0 of data"),
    "loss_fn": ("loss",),
    "data": ("data", "loss is not finite in batch", "label"),
}


@pytest.mark.parametrize("name", OPERATOR)
@given(data=st.data())
@few
def test_hessian_operator_is_the_hessian_of_the_flat_loss_or_refuses(name, data):
    value, fits = data.draw(OPERATOR[name])
    arguments = {"model": net, "loss_fn": cross_entropy, "data": DATA, name: value}
    arguments["model"] = arguments["model"]()
    H = answer(lambda: HessianOperator(**arguments).dense(), fits, *NAMES.get(name, (name,)))
    if H is not None and name not in ("params", "dtype"):
        x, label = (torch.cat(parts) for parts in zip(*arguments["data"], strict=True))
        loss, theta = flat_loss(arguments["model"], arguments["loss_fn"], x, label)
        torch.testing.assert_close(H, hessian(loss, theta), rtol=1e-9, atol=1e-12)


vectors = mostly(
    tensors(FLOATS, st.just((12,)), calm),
    tensors(shapes=st.sampled_from(((12,), (12, 1), (11,), ()))),
    anything,
)


@given(v=vectors)
@fuzz
def test_product_is_the_dense_hessian_times_v_or_refuses(v):
    H = HessianOperator(net(), cross_entropy, DATA)
    fits = torch.is_tensor(v) and not v.is_complex() and v.shape == (12,)
    product = answer(lambda: H.product(v), fits, "v must be")
    if product is not None and v.isfinite().all() and v.double().abs().max() < 1e100:
        v = v.detach()
        torch.testing.assert_close(product, H.dense() @ v.double(), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(torch.as_tensor(H @ v.double().numpy()), product)


@given(kind=st.sampled_from("fiubcOUM"), columns=st.sampled_from((None, 1, 3)))
@few
def test_hessian_operator_multiplies_arrays_of_real_numbers_or_refuses(kind, columns):
    H = HessianOperator(net(), cross_entropy, DATA)
    v = np.ones((12,) if columns is None else (12, columns))
    v = v.astype({"O": object, "U": str, "M": "datetime64[s]", "b": bool}.get(kind, f"{kind}8"))
    product = answer(lambda: H @ v, kind in "fiub", "v must be real")
    if product is not None:
        np.testing.assert_allclose(product, H.dense().numpy() @ v.astype(float), atol=1e-12)


@given(
    model=mostly(
        st.just(MODELS["mlp"]), one_of(MODELS), junk.map(lambda thing: (lambda: thing, False))
    ),
    theta=mostly(
        tensors((torch.float64,), st.just((12,)), calm), tensors(shapes=st.just((11,))), anything
    ),
)
@fuzz
def test_flat_loss_is_the_loss_of_the_model_or_refuses(model, theta):
    made = model[0]()
    trained = isinstance(made, torch.nn.Module) and any(p.requires_grad for p in made.parameters())
    found = answer(lambda: flat_loss(made, cross_entropy, X, LABEL), trained, "model")
    if found is not None and model is MODELS["mlp"]:
        loss, start = found
        fits = torch.is_tensor(theta) and theta.shape == start.shape
        assume(not fits or theta.dtype == torch.float64)
        value = answer(lambda: loss(theta), fits, "theta must be")
        if value is not None:
            torch.nn.utils.vector_to_parameters(theta.detach(), made.parameters())
            torch.testing.assert_close(value, cross_entropy(made(X), LABEL), equal_nan=True)
