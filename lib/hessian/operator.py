"""The Hessian of a model's loss over a data set, as a linear operator."""

import math
from collections.abc import Iterator

import torch
from scipy.sparse.linalg import LinearOperator

from lib.checks import fitting, real
from lib.hessian import ranks
from lib.hessian.dense import differentiate, flat_gradient, graph_mode, hessian_rows
from lib.hessian.graphs import KeptGraphs
from lib.hessian.objective import Objective

GIBIBYTE = 2**30


class HessianOperator(LinearOperator):
    r"""Hessian of the mean loss over all examples, at a model's present parameters.

    .. math:: H = \nabla^2_\theta\, \frac1N \sum_{n=1}^N \ell(f_\theta(x_n), \hat y_n)

    A SciPy ``LinearOperator`` over all parameters that require a gradient, each once, flattened
    in the order of ``model.parameters()``. It follows the model: after its parameters, buffers or
    modes change, the next product is taken at the new ones. The model's parameters, ``.grad`` and
    mode are left as they are.

    The gradient's graph is kept, for as many batches as fit into ``memory``: a further product
    then costs 1.1 to 1.6 gradients, against 2.3 or more where the graph is made again. Beyond
    the budget, memory is that of the largest batch's graph.

    In a torchrun, after ``torch.distributed.init_process_group``, each rank gives its own share of
    the data, all the same model and the same calls; every rank gets H over the data of all.

    Args:
        model: any ``torch.nn.Module`` whose parameters share a device and are all float32 or all
            float64. Modules that behave at random or depend on the batch in training mode
            (dropout, batch normalisation) must be in eval mode.
        loss_fn: ``loss_fn(output, label)``, the mean over the examples of a batch.
        data: batches ``(x, label)`` in a list, loader or other iterable that can be read again;
            a batch counts for ``len(label)`` examples. Tensors are taken to the model's device.
        params: take H over these alone: the name of a parameter or of a module with parameters,
            such as "0.weight" or "0", or a list of names.
        dtype: torch.float64 or torch.float32 computes in that precision, on copies of the
            parameters, the buffers and the data; None in the model's own. In float32 small
            eigenvalues are rounding: their signs want float64.
        memory: bytes that kept graphs may hold, 1 GiB by default; 0 keeps none.

    Attributes:
        num_matvecs: products H v computed so far.
        num_examples: how many examples there are, N.
        like: an empty tensor of the Hessian's length, dtype and device.

    Raises:
        TypeError: data can be read only once, or is no iterable of pairs; another argument is of
            no kind named above.
        ValueError: data is empty, does not fit model and loss_fn, or gives another number of
            examples than before, nothing requires a gradient, params names nothing, parameters
            are mixed in dtype or device or neither float32 nor float64, a module is in training
            mode as above, memory is below 0, the loss is not a finite real scalar, or the models
            of the ranks differ. What one rank raises is raised on all.

    >>> line = torch.nn.Linear(1, 1).double()
    >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    >>> HessianOperator(line, torch.nn.functional.mse_loss, [(x, 2 * x)]).dense()
    tensor([[10.,  4.],
            [ 4.,  2.]], dtype=torch.float64)
    """

    def __init__(self, model, loss_fn, data, params=None, dtype=None, memory=GIBIBYTE):
        with ranks.errors_shared():
            if not real("memory", memory) >= 0:
                raise ValueError(f"memory must be at least 0 bytes, got {memory}")
            self.model, self.loss_fn, self.data = model, loss_fn, data
            self._objective = Objective(model, loss_fn, params, dtype)
            self._graphs = KeptGraphs(memory)
            self._count = _count(data)
        _check_ranks(self.params)
        self.num_examples = sum(ranks.gather(self._count))
        self.num_matvecs = 0
        d = sum(p.numel() for p in self.params)
        self.like = self.params[0].detach().new_empty(d, dtype=dtype)
        super().__init__(dtype=str(self.like.dtype).removeprefix("torch."), shape=(d, d))

    @property
    def params(self):
        """The parameters that H is taken over."""
        return self._objective.params

    def gradient(self):
        """The gradient of the mean loss, shape (d,)."""
        return self._sum(lambda g, params: g.detach().clone())

    def product(self, v):
        """H v for a tensor v (d,) in the model's dtype and on its device."""
        self.num_matvecs += 1
        try:
            return self._sum(differentiate, v)
        except (RuntimeError, TypeError) as error:
            if torch.is_tensor(v) and v.shape == self.like.shape and not v.is_complex():
                raise
            raise ValueError(f"v must be a real tensor {(len(self.like),)}, got {v!r}") from error

    def dense(self, chunk=64):
        """The whole Hessian, shape (d, d), ``chunk`` rows at a time; takes d² numbers."""
        return self._sum(hessian_rows, chunk)

    def agree(self, done):
        """Whether all ranks are done, so that none stops a step before another."""
        return all(ranks.gather(bool(done)))

    def _sum(self, part, *args):
        """The mean over the examples of part(g, params, ...), for g of a batch's mean loss."""
        with ranks.errors_shared():
            total = self._sum_here(part, *args)
        return ranks.all_sum(total)

    def _sum_here(self, part, *args):
        graphs, total, seen = self._graphs, None, 0
        if self._objective.follow():
            graphs.clear()
        leaves = self._objective.leaves
        for i, batch in enumerate(graphs.batches() if graphs.complete else self.data):
            g = graphs.find(i, batch)
            if g is None:
                g = self._gradient_graph(i, *batch)
                graphs.offer(i, batch, g, self._objective.tensors())
            value = part(g, leaves, *args).mul_(len(batch[1]) / self.num_examples)
            del g  # or the next batch's graph would stand in memory beside this one
            total = value if total is None else total.add_(value)
            seen += len(batch[1])
        if seen != self._count:
            raise ValueError(f"data gave {seen} examples, after {self._count} at first")
        graphs.complete = len(graphs.kept) == i + 1
        return total

    def _gradient_graph(self, i, x, label):
        with graph_mode():
            with fitting(f"batch {i} of data"):
                loss = self._objective(x, label)
            g = flat_gradient(loss, self._objective.leaves)
        if not torch.isfinite(loss).all():
            raise ValueError(f"the loss is not finite in batch {i}: {loss.item()}")
        return g

    def _matvec(self, v):
        if v.dtype.kind not in "biuf":
            raise ValueError(f"v must be real numbers, got {v.dtype}")
        v = torch.from_numpy(v.reshape(-1).astype(self.dtype))
        return self.product(v.to(self.like.device)).cpu().numpy()

    def _adjoint(self):
        return self


def _check_ranks(params):
    """Refuse ranks whose models differ: in shapes, or in the sum of their parameters."""
    shapes = [tuple(p.shape) for p in params]
    total = sum(p.detach().double().sum().item() for p in params)
    first, *others = ranks.gather((shapes, total))
    for rank, other in enumerate(others, 1):
        if other[0] != first[0] or not math.isclose(other[1], first[1], rel_tol=1e-6):
            raise ValueError(f"all ranks must hold the same model, that of rank {rank} differs")


def _count(data):
    if isinstance(data, tuple | list) and data and torch.is_tensor(data[0]):
        raise TypeError("data must be batches: pass [(x, label)], not (x, label)")
    if isinstance(data, Iterator):
        raise TypeError("data is read again for each product: pass a list or loader, no generator")
    num_examples = 0
    try:
        for _, label in data:
            num_examples += len(label)
    except (TypeError, ValueError) as error:
        raise TypeError(f"data must be batches, such as [(x, label)]: {error}") from error
    if not num_examples:
        raise ValueError("data must hold at least one example, got none")
    return num_examples
