from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import draw, symmetric
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn
from torch.nn.functional import cross_entropy

from lib.hessian import HessianOperator, eigenpairs, sharpness
from lib.hessian.krylov import BLOCK, KrylovSpace
from lib.training import sweep

tensor = partial(torch.tensor, dtype=torch.float64)
law = settings(max_examples=60, deadline=None)
each_end = pytest.mark.parametrize("which", ["LA", "SA", "LM", "BE"])


def wanted(evals, k, which):
    """The k eigenvalues that SciPy's names stand for, ascending."""
    evals = np.sort(evals)
    low = {"SA": k, "LA": 0, "BE": k // 2, "LM": None}[which]
    if low is None:
        return np.sort(evals[np.argsort(np.abs(evals))[::-1][:k]])
    return np.concatenate([evals[:low], evals[len(evals) - (k - low) :]])


def counted(H):
    """H as a SciPy operator, and the list that its products are counted in."""
    calls = []
    matvec = lambda v: calls.append(1) or H.numpy() @ v  # noqa: E731
    return LinearOperator(H.shape, matvec=matvec, dtype=np.float64), calls


def check(H, k, which, tol=1e-8, **options):
    """eigenpairs of a dense H against numpy's; returns the pairs."""
    truth = wanted(np.linalg.eigvalsh(H.numpy()), k, which)
    scale = torch.linalg.matrix_norm(H, 2).item()
    operator, calls = counted(H)
    pairs = eigenpairs(operator, k=k, which=which, tol=tol, **options)
    evals, evecs, residuals, num_matvecs, converged = pairs
    assert converged
    assert evals.shape == residuals.shape == (k,)
    assert evecs.shape == (len(H), k)
    found = evals.numpy()
    assert (np.diff(found) >= 0).all()
    if which == "LM":  # +λ and -λ are as large as each other
        found, truth = np.sort(np.abs(found)), np.sort(np.abs(truth))
    np.testing.assert_allclose(found, truth, rtol=0, atol=2 * tol * scale)
    rounding = 1e-13 * scale
    torch.testing.assert_close(
        (H @ evecs - evecs * evals).norm(dim=0), residuals, rtol=1e-9, atol=rounding
    )
    assert (residuals <= tol * scale + rounding).all()
    torch.testing.assert_close(evecs.T @ evecs, torch.eye(k).double(), rtol=0, atol=1e-10)
    assert num_matvecs == len(calls)
    return pairs


# --- against numpy ---------------------------------------------------------------------------


@each_end
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("d", [5, 80])
def test_eigenpairs_are_numpys(d, k, which):
    pairs = check(symmetric(draw(d, seed=1)), k, which)
    assert pairs.num_matvecs <= d


@each_end
@pytest.mark.parametrize("k", [2, 3, 4])
def test_eigenpairs_are_scipys(k, which):
    H = symmetric(draw(60, seed=2), seed=3)
    truth = np.sort(eigsh(H.numpy(), k=k, which=which, return_eigenvectors=False))
    ours = eigenpairs(H, k=k, which=which, tol=1e-8).evals
    np.testing.assert_allclose(ours, truth, atol=1e-7)


spectra = st.one_of(
    st.lists(st.floats(-10, 10).map(lambda x: round(x, 9)), min_size=1, max_size=30),
    st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1e-9, 1.0, 2.0]), min_size=1, max_size=30),
)


@given(spectra, st.sampled_from(["LA", "SA", "LM", "BE"]), st.data())
@law
def test_eigenpairs_of_random_spectra_are_numpys(evals, which, data):
    k = data.draw(st.integers(1, len(evals)))
    check(symmetric(evals, seed=data.draw(st.integers(0, 9))), k, which, seed=7)


@given(st.integers(0, 2**31), st.sampled_from(["LA", "SA", "LM", "BE"]), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_eigenpairs_lie_within_their_residuals_of_true_ones(seed, which, k):
    H = symmetric(draw(100, seed=seed))
    pairs = eigenpairs(H, k=k, which=which, tol=1e-2, seed=seed)
    assert pairs.converged
    distance = (torch.linalg.eigvalsh(H)[:, None] - pairs.evals).abs().min(0).values
    assert (distance <= pairs.residuals + 1e-12).all()


# --- spectra that mislead --------------------------------------------------------------------

SPECTRA = {
    "identity": [1.0] * 20,
    "zero": [0.0] * 20,
    "tripled": [5.0, 5.0, 5.0] + [1.0] * 17,
    "both ends doubled": [-3.0, -3.0, *np.linspace(-1, 1, 30), 4.0, 4.0],
    "plus and minus one": [1.0, -1.0],
    "plus and minus, many": [1.0, -1.0] * 15,
    "clustered ends": [-1.0, -0.9999, -0.9998, *np.linspace(-0.1, 0.1, 40), 0.9998, 0.9999, 1.0],
    "one apart": [7.0] + [0.0] * 25,
    "tiny": list(1e-100 * np.arange(-8, 12)),
    "huge": list(1e100 * np.arange(-8, 12)),
    "from 1 to 1e12": list(10.0 ** np.arange(13)),
}


@each_end
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("evals", SPECTRA.values(), ids=SPECTRA)
@pytest.mark.parametrize("turned", [False, True], ids=["diagonal", "turned"])
def test_eigenpairs_of_spectra_that_mislead(evals, k, which, turned):
    if k <= len(evals):
        H = symmetric(evals) if turned else torch.diag(tensor(evals))
        check(H, k, which)


def test_eigenpairs_of_plus_and_minus_one_are_both():
    both = eigenpairs(torch.diag(tensor([1, -1])), k=2, which="BE").evals
    torch.testing.assert_close(both, tensor([-1, 1]))
    for seed in range(20):  # whatever the start
        pairs = eigenpairs(torch.diag(tensor([1, -1])), which="SA", seed=seed)
        assert pairs.evals.item() == pytest.approx(-1, abs=1e-12)


@each_end
@pytest.mark.parametrize("d", [1, 2, 7, 40])
def test_eigenpairs_are_the_whole_spectrum_for_k_of_d(d, which):
    H = symmetric(draw(d, seed=4))
    pairs = check(H, d, which)
    torch.testing.assert_close(pairs.evals, torch.linalg.eigvalsh(H), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        (pairs.evecs * pairs.evals) @ pairs.evecs.T, H, rtol=1e-10, atol=1e-12
    )


def test_eigenpairs_find_an_eigenvector_far_from_the_start():
    # A gap of 1e-4 of the range at the wanted end: some hundred products.
    evals = [-1.0001, *np.linspace(-1, 1, 299)]
    pairs = check(torch.diag(tensor(evals)), 1, "SA", tol=1e-6)
    assert pairs.evecs[0].abs() > 0.999


# --- stopping --------------------------------------------------------------------------------


def test_eigenpairs_say_when_products_ran_out():
    H = torch.diag(torch.linspace(-1, 1, 400).double())
    operator, calls = counted(H)
    pairs = eigenpairs(operator, k=2, which="BE", tol=1e-6, max_matvecs=15)
    assert not pairs.converged
    assert pairs.num_matvecs == len(calls) == 15
    assert pairs.residuals.max() > 1e-6
    torch.testing.assert_close(
        (H @ pairs.evecs - pairs.evecs * pairs.evals).norm(dim=0), pairs.residuals
    )
    assert eigenpairs(H, k=2, which="BE", tol=1e-6).converged


def test_residuals_tell_of_an_operator_that_is_not_symmetric():
    H = symmetric(draw(60, seed=6)) + 0.1 * torch.triu(draw(60, 60, seed=7), 1)
    pairs = eigenpairs(counted(H)[0], k=2, which="BE", max_matvecs=40)
    assert not pairs.converged
    torch.testing.assert_close(
        (H @ pairs.evecs - pairs.evecs * pairs.evals).norm(dim=0), pairs.residuals
    )


def test_eigenpairs_spend_less_where_less_is_asked():
    H = symmetric(draw(300, seed=5))
    spent = [eigenpairs(H, which="LA", tol=tol).num_matvecs for tol in (1e-1, 1e-3, 1e-6)]
    assert spent[0] < spent[1] < spent[2] < 200


def test_eigenpairs_serve_both_ends_from_one_space():
    H = symmetric(draw(300, seed=6))
    both = check(H, 2, "BE", tol=1e-6).num_matvecs
    single = [check(H, 1, which, tol=1e-6).num_matvecs for which in ("LA", "SA")]
    assert both < 0.75 * sum(single)


def test_eigenpairs_start_from_the_seed():
    H = symmetric(draw(50, seed=7))
    first, again, other = (eigenpairs(H, seed=seed).evecs for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# --- sharpness -------------------------------------------------------------------------------


def test_sharpness_is_the_largest_eigenvalue():
    H = symmetric([-9.0, *np.linspace(-1, 1, 60), 4.0])
    value = sharpness(H, tol=1e-9)
    assert isinstance(value, float)
    assert value == pytest.approx(4)
    assert sharpness(H, tol=1e-9, v0=torch.ones(62)) == pytest.approx(4)


def test_sharpness_warns_when_products_ran_out():
    H = torch.diag(torch.linspace(-1, 1, 400).double())
    with pytest.warns(UserWarning, match="sharpness did not converge: the residual is") as caught:
        sharpness(H, tol=1e-9, max_matvecs=10)
    assert caught[0].filename == __file__


# --- interruption ----------------------------------------------------------------------------


def interrupted_after(H, products):
    """H as an operator on which Ctrl-C is pressed once so many products are made."""
    calls = []

    def matvec(v):
        if len(calls) == products:
            raise KeyboardInterrupt
        calls.append(1)
        return H.numpy() @ v

    return LinearOperator(H.shape, matvec=matvec, dtype=np.float64)


@pytest.mark.parametrize("products", [2, 3, 12, 30])
def test_eigenpairs_interrupted_are_the_best_so_far(products):
    H = symmetric(draw(300, seed=5))
    with pytest.warns(UserWarning, match="eigenpairs was interrupted") as caught:
        pairs = eigenpairs(interrupted_after(H, products), k=2, which="BE", tol=1e-8)
    assert caught[0].filename == __file__
    assert pairs.converged is False
    assert pairs.num_matvecs == products
    limited = eigenpairs(H, k=2, which="BE", tol=1e-8, max_matvecs=products)
    torch.testing.assert_close(pairs.evals, limited.evals)
    torch.testing.assert_close(pairs.residuals, limited.residuals, rtol=1e-9, atol=1e-12)


def test_eigenpairs_interrupted_between_the_limit_and_its_half_are_not_converged():
    H = symmetric([1.1, *np.linspace(-1, 1, 98), -1.1])
    search = partial(eigenpairs, k=2, which="BE", tol=1e-2)
    enough = next(n for n in range(2, 100) if search(H, max_matvecs=n).converged)
    assert enough < search(H).num_matvecs
    with pytest.warns(UserWarning, match="eigenpairs was interrupted"):
        pairs = search(interrupted_after(H, enough))
    assert not pairs.converged
    torch.testing.assert_close(pairs.evals, tensor([-1.1, 1.1]), rtol=0, atol=1e-2)


def test_eigenpairs_interrupted_before_there_is_anything_stop_as_python_does():
    with pytest.raises(KeyboardInterrupt):
        eigenpairs(interrupted_after(torch.eye(5).double(), 1), k=2, which="BE")


def test_eigenpairs_interrupted_in_a_sweep_stop_the_sweep():
    H = interrupted_after(symmetric(draw(300, seed=5)), 20)
    with pytest.raises(KeyboardInterrupt):
        sweep(lambda seed: eigenpairs(H, tol=1e-8, seed=seed), {"seed": [0, 1]}, n_jobs=1)


# --- warm starts -----------------------------------------------------------------------------


def network_spectrum(d=300):
    """A bulk at zero with a few eigenvalues outside it on either side, as of a network."""
    return torch.cat([0.01 * draw(d - 6, seed=8), tensor([-0.15, -0.12, 0.3, 0.4, 0.6, 1.0])])


@pytest.mark.parametrize(("which", "at"), [("LA", [-1]), ("SA", [0]), ("BE", [0, -1])])
def test_eigenpairs_need_fewer_products_from_an_earlier_pair(which, at):
    H = symmetric([-1.03, *np.linspace(-1, 1, 298), 1.04])
    moved = H + 1e-4 * symmetric(draw(300, seed=9), seed=10)
    earlier = torch.linalg.eigh(H).eigenvectors[:, at].sum(1)
    cold = check(moved, len(at), which, tol=1e-3).num_matvecs
    warm = check(moved, len(at), which, tol=1e-3, v0=earlier).num_matvecs
    assert warm < 0.7 * cold


@each_end
def test_eigenpairs_leave_an_eigenvector_that_is_not_wanted(which):
    evals = network_spectrum()
    H, evecs = torch.diag(evals), torch.eye(300, dtype=torch.float64)
    for at in (0, 100, -6, -4, -2, -1):
        check(H, 1, which, tol=1e-4, v0=evecs[at])
        check(H, 2, which, tol=1e-4, v0=evecs[at])


@pytest.mark.parametrize("start", [list, np.array, tensor, torch.tensor])
def test_eigenpairs_take_any_start_vector(start):
    check(symmetric([1.0, 2.0, -5.0]), 2, "BE", v0=start([1.0, 0.0, -2.0]))


def test_eigenpairs_do_not_depend_on_the_length_of_v0():
    H, v0 = symmetric(draw(40, seed=11)), draw(40, seed=12)
    evecs = [eigenpairs(H, v0=scale * v0).evecs for scale in (1e-100, 1, 1e100)]
    for other in evecs[1:]:
        torch.testing.assert_close(other.abs(), evecs[0].abs(), rtol=1e-8, atol=1e-8)


class Quadratic(LinearOperator):
    """A dense H with the gradient that a model's loss would have beside it."""

    def __init__(self, H, g):
        super().__init__(H.numpy().dtype, H.shape)
        self.matrix, self.g, self.like, self.product = H, g, H[0], H.mv

    def gradient(self):
        return self.g

    def _matvec(self, v):
        return self.matrix.numpy() @ v


def test_the_largest_pair_is_found_sooner_from_a_gradient_along_it():
    evals, evecs = torch.diag(network_spectrum()), torch.eye(300, dtype=torch.float64)
    blind = eigenpairs(evals, tol=1e-4).num_matvecs
    leading = eigenpairs(Quadratic(evals, 1e-9 * evecs[:, -1] + 1e-12), tol=1e-4)
    assert leading.num_matvecs < blind
    assert leading.evals.item() == pytest.approx(evals.max().item(), rel=1e-4)


@pytest.mark.parametrize("at", [0, 100, -2])
def test_a_gradient_along_another_eigenvector_does_not_hide_the_largest_pair(at):
    H, evecs = torch.diag(network_spectrum()), torch.eye(300, dtype=torch.float64)
    for g in (evecs[at], 0 * evecs[at]):
        pairs = eigenpairs(Quadratic(H, g), k=2, tol=1e-4)
        torch.testing.assert_close(pairs.evals, H.diagonal()[-2:], rtol=1e-3, atol=0)


# --- what H may be ---------------------------------------------------------------------------


def test_eigenpairs_take_tensors_arrays_and_operators():
    H = symmetric(draw(30, seed=13))
    expected = eigenpairs(H, k=3, which="BE", tol=1e-8).evals
    locked = H.numpy().copy()
    locked.flags.writeable = False
    for other in (
        H.clone().requires_grad_(),
        H.numpy(),
        locked,
        H.numpy()[::-1, ::-1],
        LinearOperator(H.shape, matvec=lambda v: H.numpy() @ v, dtype=np.float64),
    ):
        pairs = eigenpairs(other, k=3, which="BE", tol=1e-8, v0=locked[0])
        assert not pairs.evecs.requires_grad
        torch.testing.assert_close(pairs.evals, expected, rtol=1e-7, atol=1e-7)


def test_eigenpairs_take_whole_numbers():
    for H in (torch.tensor([[2, 1], [1, 2]]), np.array([[2, 1], [1, 2]])):
        evals = eigenpairs(H, k=2, which="LA").evals
        torch.testing.assert_close(evals, tensor([1, 3]))


@pytest.mark.parametrize("kind", ["tensor", "array", "operator", "careless operator"])
def test_eigenpairs_work_in_float32(kind):
    H = symmetric(draw(200, seed=14))
    single = H.float()
    given = {
        "tensor": single,
        "array": single.numpy(),
        "operator": LinearOperator(H.shape, lambda v: single.numpy() @ v, dtype=np.float32),
        "careless operator": LinearOperator(H.shape, lambda v: H.numpy() @ v, dtype=np.float32),
    }[kind]
    pairs = eigenpairs(given, k=4, which="BE", tol=1e-5)
    assert pairs.converged
    assert pairs.evals.dtype == pairs.evecs.dtype == pairs.residuals.dtype == torch.float32
    truth = torch.linalg.eigvalsh(H)[[0, 1, -2, -1]]
    torch.testing.assert_close(pairs.evals.double(), truth, rtol=0, atol=1e-5 * truth.abs().max())


def test_eigenpairs_of_a_flat_surface_in_float32():
    # As of a saturated softmax: the squares of such products are 0 in float32.
    H = torch.diag(torch.linspace(-1, 2, 60)) * 1e-26
    pairs = eigenpairs(H, k=2, which="BE", tol=1e-4)
    assert pairs.converged
    torch.testing.assert_close(pairs.evals, torch.tensor([-1e-26, 2e-26]), rtol=1e-3, atol=0)


def test_eigenpairs_of_a_network_are_those_of_its_dense_hessian():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    data = [
        (draw(20, 6, seed=15), torch.arange(20) % 3),
        (draw(9, 6, seed=16), torch.arange(9) % 3),
    ]
    H = HessianOperator(model, cross_entropy, data)
    with torch.no_grad():
        pairs = eigenpairs(H, k=4, which="BE", tol=1e-8)
    truth = torch.linalg.eigvalsh(H.dense())
    torch.testing.assert_close(pairs.evals, truth[[0, 1, -2, -1]], rtol=0, atol=1e-7)
    assert pairs.num_matvecs == H.num_matvecs


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("H", [[[1.0]], 3.0, None], ids=["list", "number", "none"])
def test_eigenpairs_refuse_what_is_no_operator(H):
    with pytest.raises(TypeError, match="H must be a tensor, array or LinearOperator, got"):
        eigenpairs(H)


@pytest.mark.parametrize(
    "H",
    [
        torch.ones(2, 3),
        np.ones(4),
        torch.ones(0, 0),
        torch.ones(2, 2, 2),
        LinearOperator((2, 3), matvec=lambda v: v, dtype=float),
    ],
    ids=["oblong", "vector", "empty", "three axes", "oblong operator"],
)
def test_eigenpairs_refuse_what_is_not_square(H):
    with pytest.raises(ValueError, match="H must be square and not empty, got shape"):
        eigenpairs(H)


@pytest.mark.parametrize(
    "H",
    [
        torch.eye(2, dtype=torch.complex64),
        np.eye(2) * 1j,
        LinearOperator((2, 2), matvec=lambda v: v, dtype=complex),
    ],
    ids=["tensor", "array", "operator"],
)
def test_eigenpairs_refuse_complex_numbers(H):
    with pytest.raises(ValueError, match=r"H must be real, got .*complex"):
        eigenpairs(H)


def test_eigenpairs_refuse_a_matrix_that_is_not_symmetric():
    with pytest.raises(ValueError, match="H must be symmetric"):
        eigenpairs(tensor([[1, 2], [0, 1]]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_eigenpairs_refuse_products_that_are_not_finite(bad):
    H = tensor([[1, 0], [0, bad]])
    operator = LinearOperator((2, 2), matvec=lambda v: H.numpy() @ v, dtype=np.float64)
    for given_as in (H, operator):
        with pytest.raises(ValueError, match="H v is not finite"):
            eigenpairs(given_as)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be between 1 and d = 3, got 0"),
        ({"k": 4}, "k must be between 1 and d = 3, got 4"),
        ({"which": "SM"}, "which must be LA, SA, LM or BE, got 'SM'"),
        ({"tol": 0}, r"tol must be in \(0, 1\), got 0"),
        ({"tol": 1.0}, r"tol must be in \(0, 1\), got 1.0"),
        ({"tol": float("nan")}, r"tol must be in \(0, 1\), got nan"),
        ({"k": 2, "max_matvecs": 1}, "max_matvecs must be at least k = 2, got 1"),
        ({"v0": [1.0, 2.0]}, r"v0 must be a finite, nonzero vector \(3,\), got"),
        ({"v0": [0.0, 0.0, 0.0]}, r"v0 must be a finite, nonzero vector \(3,\), got"),
        ({"v0": [1.0, float("inf"), 0.0]}, r"v0 must be a finite, nonzero vector \(3,\), got"),
    ],
)
def test_eigenpairs_refuse_arguments_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        eigenpairs(torch.eye(3), **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("k", value) for value in (2.0, "1", None)],
        *[("max_matvecs", value) for value in (2.5, float("inf"), "9")],
        *[("tol", value) for value in ("0.1", None, torch.tensor(0.1))],
        *[("seed", value) for value in (0.5, None, "0")],
        *[("v0", value) for value in ("abc", object())],
    ],
)
def test_eigenpairs_refuse_an_argument_of_another_kind(name, value):
    with pytest.raises(TypeError, match=f"{name} must be"):
        eigenpairs(torch.eye(3), **{name: value})


@pytest.mark.parametrize(
    "H",
    [np.eye(2, dtype=object), np.eye(2, dtype=np.longdouble), torch.eye(2).to_sparse()],
    ids=["objects", "long doubles", "sparse"],
)
def test_eigenpairs_refuse_a_matrix_that_torch_cannot_multiply(H):
    with pytest.raises(TypeError, match="H must be"):
        eigenpairs(H)


@pytest.mark.parametrize("value", [-1, 2**64])
def test_eigenpairs_take_seeds_from_zero_on(value):
    if value < 0:
        with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
            eigenpairs(torch.eye(3), seed=value)
    else:
        assert eigenpairs(torch.eye(3), seed=value).converged


# --- numbers whose squares float64 cannot hold -------------------------------------------------


@each_end
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_eigenpairs_scale_with_the_matrix(which, scale):
    H = symmetric(np.linspace(-2, 3, 12))
    pairs, scaled = eigenpairs(H, k=2, which=which, tol=1e-8), eigenpairs(scale * H, 2, which, 1e-8)
    assert scaled.converged
    torch.testing.assert_close(scaled.evals / scale, pairs.evals, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e300])
def test_eigenpairs_do_not_heed_how_long_v0_is(scale):
    H = symmetric(np.linspace(-2, 3, 12))
    v0 = draw(12, seed=3)
    for matrix in (H, H.float()):
        one, other = eigenpairs(matrix, v0=v0), eigenpairs(matrix, v0=scale * v0)
        torch.testing.assert_close(one.evecs, other.evecs)
    with pytest.raises(ValueError, match="v0 must be a finite, nonzero vector"):
        eigenpairs(H, v0=1j * v0)


def test_eigenpairs_of_a_matrix_in_half_precision_are_those_of_its_numbers():
    H = symmetric(np.linspace(-2, 3, 12)).to(torch.bfloat16)
    pairs = eigenpairs(H, k=2, which="BE", tol=1e-6)
    assert pairs.converged
    assert pairs.evals.dtype == torch.float64
    np.testing.assert_allclose(pairs.evals, np.linalg.eigvalsh(H.double())[[0, -1]], atol=1e-5)


# --- the space underneath --------------------------------------------------------------------


def basis(space):
    return torch.cat(space.blocks)[: space.count]


@pytest.mark.parametrize("starts", [1, 3])
@pytest.mark.parametrize(
    "evals", [np.linspace(-1, 1, 90), 10.0 ** np.linspace(-12, 0, 90)], ids=["even", "decaying"]
)
def test_krylov_space_stays_orthonormal_and_its_ritz_pairs_true(evals, starts):
    H = symmetric(evals)
    space = KrylovSpace(H.mv, draw(starts, 90, seed=17))
    while space.size < 2 * BLOCK + 6:
        space.grow()
        V = basis(space)
        torch.testing.assert_close(V @ V.T, torch.eye(len(V)).double(), rtol=0, atol=1e-12)
    ritz, c, residuals = space.ritz()
    vectors = space.combine(c)
    torch.testing.assert_close(vectors, torch.from_numpy(c.T) @ V[: space.size])
    error = (vectors @ H - torch.from_numpy(ritz)[:, None] * vectors).norm(dim=1)
    torch.testing.assert_close(error, torch.from_numpy(residuals), rtol=0, atol=1e-13)
    torch.testing.assert_close(
        torch.from_numpy(ritz), torch.linalg.eigvalsh(V[: space.size] @ H @ V[: space.size].T)
    )


def test_krylov_space_closes_on_an_invariant_subspace_and_leaves_it():
    H = torch.diag(tensor([1, 2, 3, 4]))
    space = KrylovSpace(H.mv, tensor([[1, 1, 0, 0]]))
    for _ in range(2):
        assert not space.closed
        space.grow()
    assert space.closed
    np.testing.assert_allclose(space.ritz()[0], [1, 2], atol=1e-14)
    for _ in range(2):
        space.grow()
    assert space.closed
    np.testing.assert_allclose(space.ritz()[0], [1, 2, 3, 4], atol=1e-14)
