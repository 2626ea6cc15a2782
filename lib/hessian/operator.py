"""The Hessian of a model's loss over a data set, as a linear operator."""

from collections.abc import Iterator

import torch
from scipy.sparse.linalg import LinearOperator

from lib.hessian.dense import differentiate, flat_gradient, graph_mode, hessian_rows

UNSTEADY = (
    torch.nn.modules.dropout._DropoutNd,
    torch.nn.modules.batchnorm._BatchNorm,
    torch.nn.RReLU,
)


class HessianOperator(LinearOperator):
    r"""Hessian of the mean loss over all examples, at a model's present parameters.

    .. math:: H = \nabla^2_\theta\, \frac1N \sum_{n=1}^N \ell(f_\theta(x_n), \hat y_n)

    A SciPy ``LinearOperator`` over all parameters that require a gradient, each once, flattened
    in the order of ``model.parameters()``. It follows the model: after its parameters or buffers
    change, the next product is taken at the new ones. With a single batch the gradient's graph is
    kept, so that each further product costs little more than a gradient; with several it is
    rebuilt batch by batch, and memory stays that of the largest. The model's parameters, ``.grad``
    and mode are left as they are.

    Args:
        model: any ``torch.nn.Module`` whose parameters share a device and are all float32 or all
            float64. Modules that behave at random or depend on the batch in training mode
            (dropout, batch normalisation) must be in eval mode.
        loss_fn: ``loss_fn(output, label)``, the mean over the examples of a batch.
        data: batches ``(x, label)`` in a list, loader or other iterable that can be read again;
            a batch counts for ``len(label)`` examples.

    Attributes:
        num_matvecs: products H v computed so far.
        num_examples: N.
        like: an empty tensor of the Hessian's length, dtype and device.

    Raises:
        TypeError: data can be read only once, or is no iterable of pairs.
        ValueError: data is empty or gives another number of examples than before, nothing
            requires a gradient, parameters are mixed in dtype or device or neither float32 nor
            float64, a module is in training mode as above, or the loss is not a finite scalar.

    >>> line = torch.nn.Linear(1, 1).double()
    >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    >>> HessianOperator(line, torch.nn.functional.mse_loss, [(x, 2 * x)]).dense()
    tensor([[10.,  4.],
            [ 4.,  2.]], dtype=torch.float64)
    """

    def __init__(self, model, loss_fn, data):
        self.model, self.loss_fn, self.data = model, loss_fn, data
        self.num_matvecs = 0
        self._kept = None
        self._layout = _layout(self.params)
        _check_mode(model)
        self.num_examples = _count(data)
        d = sum(p.numel() for p in self.params)
        self.like = self.params[0].detach().new_empty(d)
        dtype = "float32" if self.like.dtype == torch.float32 else "float64"
        super().__init__(dtype=dtype, shape=(d, d))

    @property
    def params(self):
        """The parameters that require a gradient."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def gradient(self):
        """The gradient of the mean loss, shape (d,)."""
        return self._sum(lambda g, params: g.detach().clone())

    def product(self, v):
        """H v for a tensor v (d,) in the model's dtype and on its device."""
        self.num_matvecs += 1
        return self._sum(differentiate, v)

    def dense(self, chunk=64):
        """The whole Hessian, shape (d, d), ``chunk`` rows at a time; takes d² numbers."""
        return self._sum(hessian_rows, chunk)

    def _sum(self, part, *args):
        """Sum of part(g, params, ...) over the batches; g is a batch's share of the gradient."""
        params = self.params
        if _layout(params) != self._layout:
            raise ValueError("the model's parameters are no longer the same: make a new operator")
        if self._kept and _unchanged(self.model, self._kept[0]):
            return part(self._kept[1], params, *args)
        self._kept = None
        _check_mode(self.model)
        total, seen = None, 0
        for i, (x, label) in enumerate(self.data):
            g = self._share(params, x, label, i)
            value = part(g, params, *args)
            total = value if total is None else total.add_(value)
            seen += len(label)
            if len(label) == self.num_examples:
                self._kept = [t.detach().clone() for t in _state(self.model)], g
            del g  # or the next batch's graph would stand in memory beside this one
        if seen != self.num_examples:
            raise ValueError(f"data gave {seen} examples, after {self.num_examples} at first")
        return total

    def _share(self, params, x, label, i):
        with graph_mode():
            loss = self.loss_fn(self.model(x), label) * (len(label) / self.num_examples)
            g = flat_gradient(loss, params)
        if not torch.isfinite(loss).all():
            raise ValueError(f"the loss is not finite in batch {i}: {loss.item()}")
        return g

    def _matvec(self, v):
        return self.product(torch.tensor(v.reshape(-1).copy()).to(self.like)).cpu().numpy()

    def _adjoint(self):
        return self


def _state(model):
    return [*model.parameters(), *model.buffers()]


def _unchanged(model, kept):
    # By value: writes through .data leave a tensor's version counter and address as they were.
    now = _state(model)
    return len(now) == len(kept) and all(
        a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(now, kept, strict=True)
    )


def _layout(params):
    """Shapes, dtype and device of the parameters, if an operator can stand on them."""
    if not params:
        raise ValueError("model has no parameter that requires a gradient")
    kinds = {(p.dtype, p.device) for p in params}
    if len(kinds) > 1 or params[0].dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"parameters must be all float32 or all float64 and on one device, got {kinds}"
        )
    return [p.shape for p in params], kinds


def _check_mode(model):
    for name, module in model.named_modules():
        rate = getattr(module, "dropout", 0)  # a number in attention and recurrent modules
        unsteady = isinstance(module, UNSTEADY) or (isinstance(rate, float) and rate > 0)
        if module.training and unsteady:
            raise ValueError(
                f"module {name!r} ({type(module).__name__}) has no fixed loss in training mode: "
                "call model.eval() first"
            )


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
