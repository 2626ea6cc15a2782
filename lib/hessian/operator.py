"""The Hessian of a model's loss over a data set, as a linear operator."""

from collections.abc import Iterator

import torch
from scipy.sparse.linalg import LinearOperator

from lib.hessian.dense import differentiate, flat_gradient, hessian_rows

RANDOM_IN_TRAINING = (torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._BatchNorm)


class HessianOperator(LinearOperator):
    r"""Hessian of the mean loss over all examples, at a model's present parameters.

    .. math:: H = \nabla^2_\theta\, \frac1N \sum_{n=1}^N \ell(f_\theta(x_n), \hat y_n)

    A SciPy ``LinearOperator`` over all parameters that require a gradient, flattened in the order
    of ``model.parameters()``. It follows the model: after its parameters change, the next product
    is taken at the new ones. With a single batch the gradient's graph is kept, so that each
    further product costs little more than a gradient; with several it is rebuilt batch by batch,
    and memory stays that of the largest.

    Args:
        model: any ``torch.nn.Module`` whose parameters share a device and are all float32 or all
            float64. Modules that behave at random or depend on the batch in training mode
            (dropout, batch normalisation) must be in eval mode.
        loss_fn: ``loss_fn(output, label)``, the mean over the examples of a batch.
        data: batches ``(x, label)`` in a list, loader or other iterable that can be read again.

    Attributes:
        num_matvecs: products H v computed so far.
        like: an empty tensor of the Hessian's length, dtype and device.

    Raises:
        TypeError: data can be read only once, or is no iterable of pairs.
        ValueError: data is empty, nothing requires a gradient, dtypes are mixed or neither
            float32 nor float64, a module is in training mode as above, or the loss is not a
            finite scalar.

    >>> line = torch.nn.Linear(1, 1).double()
    >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    >>> HessianOperator(line, torch.nn.functional.mse_loss, [(x, 2 * x)]).dense()
    tensor([[10.,  4.],
            [ 4.,  2.]], dtype=torch.float64)
    """

    def __init__(self, model, loss_fn, data):
        self.model, self.loss_fn, self.data = model, loss_fn, data
        self.params = [p for p in model.parameters() if p.requires_grad]
        _check(model, self.params, data)
        self.num_examples = sum(len(label) for _, label in data)
        if not self.num_examples:
            raise ValueError("data must hold at least one example, got none")
        d = sum(p.numel() for p in self.params)
        self.like = self.params[0].new_empty(d)
        self.num_matvecs = 0
        self._kept = None
        super().__init__(dtype=torch.empty(0, dtype=self.like.dtype).numpy().dtype, shape=(d, d))

    def gradient(self):
        """The gradient of the mean loss, shape (d,)."""
        return sum(g.detach() for g in self._gradients())

    def product(self, v):
        """H v for a tensor v (d,) in the model's dtype and on its device."""
        self.num_matvecs += 1
        return sum(differentiate(g, self.params, v) for g in self._gradients())

    def dense(self, chunk=64):
        """The whole Hessian, shape (d, d), ``chunk`` rows at a time; takes d² numbers."""
        return sum(hessian_rows(g, self.params, chunk) for g in self._gradients())

    def _gradients(self):
        """Each batch's share of the gradient, with its graph."""
        version = [(p.data_ptr(), p._version) for p in self.params]
        if self._kept and self._kept[0] == version:
            yield self._kept[1]
            return
        self._kept = None
        for i, (x, label) in enumerate(self.data):
            with torch.enable_grad():
                loss = self.loss_fn(self.model(x), label)
                if not torch.isfinite(loss).all():
                    raise ValueError(f"the loss is not finite in batch {i}: {loss}")
                g = flat_gradient(loss, self.params) * (len(label) / self.num_examples)
            if len(label) == self.num_examples:
                self._kept = version, g
            yield g

    def _matvec(self, v):
        return self.product(torch.as_tensor(v.reshape(-1)).to(self.like)).cpu().numpy()

    def _adjoint(self):
        return self


def _check(model, params, data):
    if isinstance(data, Iterator):
        raise TypeError("data is read again for each product: pass a list or loader, no generator")
    if isinstance(data, tuple) and torch.is_tensor(data[0]):
        raise TypeError("data must be batches: pass [(x, label)], not (x, label)")
    if not params:
        raise ValueError("model has no parameter that requires a gradient")
    dtypes = {p.dtype for p in params}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        raise ValueError(f"parameters must be all float32 or all float64, got {dtypes}")
    for name, module in model.named_modules():
        if module.training and isinstance(module, RANDOM_IN_TRAINING):
            raise ValueError(
                f"module {name!r} ({type(module).__name__}) has no fixed loss in training mode: "
                "call model.eval() first"
            )
