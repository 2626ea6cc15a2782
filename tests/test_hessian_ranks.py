"""Two processes with a share of the data each, against one process that has all of it."""

import warnings
from functools import partial

import pytest
import torch
from matrices import draw
from torch import distributed, multiprocessing, nn
from torch.nn.functional import cross_entropy

from lib.hessian import HessianOperator, diagonal, eigenpairs, spectral_density, trace

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-10)
SHARES = [(4, 5), (11,)]  # batches of either rank: 9 examples and 11


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def batches(*sizes):
    x, label = draw(sum(sizes), 5, seed=1), torch.arange(sum(sizes)) % 3
    return list(zip(x.split(sizes), label.split(sizes), strict=True))


def share(rank):
    data = batches(*SHARES[0], *SHARES[1])
    return data[: len(SHARES[0])] if rank == 0 else data[len(SHARES[0]) :]


def results(H):
    """All that one may ask of an operator, by name."""
    v = draw(H.shape[0], seed=2)
    pairs = eigenpairs(H, k=2, which="BE", tol=1e-6)
    return {
        "gradient": H.gradient(),
        "product": H.product(v),
        "dense": H.dense(),
        "eigenvalues": pairs.evals,
        "residuals below the limit": pairs.residuals < 1e-5,
        "trace": torch.tensor(trace(H, num_probes=5)),
        "diagonal": diagonal(H, num_probes=5).estimate,
        "density": torch.from_numpy(spectral_density(H, 2, 20, width=0.1).density),
        "counts": torch.tensor([H.num_matvecs, H.num_examples]),
    }


class Interrupted(HessianOperator):
    """One on whose second rank Ctrl-C is pressed in the eighth product."""

    def _sum_here(self, part, *args):
        if self.num_matvecs == 8 and distributed.get_rank() == 1:
            raise KeyboardInterrupt
        return super()._sum_here(part, *args)


def refusal(make, *args):
    """The error that a call ends in, as text."""
    try:
        make(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error} {getattr(error, '__notes__', '')}"
    return "none"


def on_one_rank(rank, folder):
    torch.set_num_threads(1 + rank)  # sums in another order, and still in step
    store, found = (folder / "store").as_uri(), {}
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    model, data = mlp(), share(rank)
    found["results"] = results(HessianOperator(model, cross_entropy, data))
    wrapped = nn.parallel.DistributedDataParallel(model)
    found["wrapped"] = HessianOperator(wrapped, cross_entropy, data, memory=0).dense()
    operator = partial(HessianOperator, model, cross_entropy)
    found["no data"] = refusal(operator, data if rank == 0 else [])
    found["no batches"] = refusal(operator, 5 if rank == 0 else data)
    found["other model"] = refusal(HessianOperator, mlp(seed=rank), cross_entropy, data)
    spoilt = [(x.clone().fill_(float("nan")) if rank else x, label) for x, label in data]
    found["not finite"] = refusal(operator(spoilt).gradient)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        H = Interrupted(model, cross_entropy, data)
        pairs = eigenpairs(H, k=2, which="BE", tol=1e-8)
    found["interrupted"] = pairs.evals, pairs.num_matvecs, pairs.converged, len(caught)
    distributed.destroy_process_group()
    torch.save(found, folder / str(rank))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of the two ranks found, by name."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(on_one_rank, (folder,), nprocs=2)
    return [torch.load(folder / str(rank)) for rank in (0, 1)]


def test_operator_on_two_ranks_is_that_of_one_process_with_all_data(found):
    alone = results(HessianOperator(mlp(), cross_entropy, batches(20)))
    for rank in (0, 1):
        assert found[rank]["results"].keys() == alone.keys()
        for name, expected in alone.items():
            close(found[rank]["results"][name], expected, msg=lambda text, n=name: f"{n}: {text}")


def test_operator_takes_the_model_out_of_its_distributed_wrapper(found):
    expected = HessianOperator(mlp(), cross_entropy, batches(20)).dense()
    for rank in (0, 1):
        close(found[rank]["wrapped"], expected)


@pytest.mark.parametrize(
    ("name", "error", "notes"),
    [
        ("no data", "ValueError: data must hold at least one example, got none", {0: 1}),
        ("no batches", "TypeError: data must be batches", {1: 0}),
        ("other model", "ValueError: all ranks must hold the same model, that of rank 1", {}),
        ("not finite", "ValueError: the loss is not finite in batch 0: nan", {0: 1}),
    ],
)
def test_operator_raises_on_all_ranks_what_is_wrong_on_one(found, name, error, notes):
    for rank in (0, 1):
        assert found[rank][name].startswith(error)
        assert ("raised on rank" in found[rank][name]) == (rank in notes)
    for rank, culprit in notes.items():
        assert f"raised on rank {culprit}" in found[rank][name]


def test_eigenpairs_are_interrupted_on_all_ranks_at_once(found):
    first, second = (found[rank]["interrupted"] for rank in (0, 1))
    torch.testing.assert_close(first[0], second[0])
    assert first[1:] == second[1:] == (7, False, 1)
