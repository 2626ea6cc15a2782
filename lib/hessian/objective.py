"""A model's loss on a batch, as a function of the parameters that the Hessian is taken of."""

from collections.abc import Iterable

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils._pytree import tree_map

from lib.checks import check_function, check_joined, check_module

UNSTEADY = (
    torch.nn.modules.dropout._DropoutNd,
    torch.nn.modules.batchnorm._BatchNorm,
    torch.nn.RReLU,
)


class _Loss(torch.nn.Module):
    """Model and loss as one module: what the loss itself reads of the parameters counts too."""

    def __init__(self, model, loss_fn):
        super().__init__()
        self.model, self.loss_fn = model, loss_fn

    def forward(self, x, label):
        return self.loss_fn(self.model(x), label)


class Objective:
    """The loss at the model's present parameters, in ``dtype`` where one is given.

    ``leaves`` are the tensors to differentiate by: the model's own parameters or, in another
    dtype, copies of them. ``snapshot`` holds all parameters and buffers as they were when
    ``follow`` last found them changed.
    """

    def __init__(self, model, loss_fn, names, dtype):
        check_module(model)
        check_function("loss_fn", loss_fn)
        if isinstance(model, DistributedDataParallel):
            model = model.module
        if dtype not in (None, torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
        self.model, self.dtype = model, dtype
        if not (names is None or isinstance(names, str | Iterable)):
            raise TypeError(f"params must be a name, a list of names, or None, got {names!r}")
        self.names = [names] if isinstance(names, str) else names and list(names)
        self._loss = _Loss(model, loss_fn)
        self._layout = self._check_layout()
        self.check_mode()
        self.snapshot = None

    @property
    def params(self):
        """The model's parameters that the Hessian is of, each once, in its order."""
        chosen = {id(p) for p in self._chosen()}
        return [p for p in self.model.parameters() if id(p) in chosen]

    def follow(self):
        """Take the leaves anew if the model has changed; tell whether it has."""
        now = self._state()
        if self.snapshot is not None and _equal(now, self.snapshot):
            return False
        if self._check_layout() != self._layout:
            raise ValueError("the model's parameters are no longer the same: make a new operator")
        self.check_mode()
        with torch.inference_mode(False):
            self.snapshot = {key: t.clone() if torch.is_tensor(t) else t for key, t in now.items()}
        self.leaves = self.params
        if self.dtype is not None:
            names = {id(p): name for name, p in self._loss.named_parameters()}
            self.leaves = [self.snapshot[names[id(p)]].requires_grad_() for p in self.leaves]
        return True

    def __call__(self, x, label):
        x, label = tree_map(self._fit, (x, label))
        if self.dtype is None:
            return self._loss(x, label)
        copies = {name: t for name, t in self.snapshot.items() if torch.is_tensor(t)}
        return torch.func.functional_call(self._loss, copies, (x, label))

    def tensors(self):
        """What is there without any graph: parameters and buffers, the model's and the copies."""
        copies = [t for t in self.snapshot.values() if torch.is_tensor(t)]
        return [*self._loss.parameters(), *self._loss.buffers(), *copies]

    def check_mode(self):
        for name, module in self.model.named_modules():
            if module.training and (isinstance(module, UNSTEADY) or _dropout(module) > 0):
                raise ValueError(
                    f"module {name!r} ({type(module).__name__}) has no fixed loss in training "
                    "mode: call model.eval() first"
                )

    def _chosen(self):
        named = self.model.named_parameters(remove_duplicate=False)
        free = [(name, p) for name, p in named if p.requires_grad]
        if not free:
            raise ValueError("model has no parameter that requires a gradient")
        if self.names is None:
            return [p for _, p in free]
        chosen = []
        for wanted in self.names:
            found = [p for name, p in free if f"{name}.".startswith(f"{wanted}.")]
            if not found:
                raise ValueError(
                    f"params must name parameters that require a gradient, or modules with some, "
                    f"got {wanted!r}; there are {[name for name, _ in free]}"
                )
            chosen += found
        return chosen

    def _check_layout(self):
        """Shapes, dtypes and devices of the parameters, if an operator can stand on them."""
        params = self.params
        if not params:
            raise ValueError("params must name at least one parameter, got none")
        check_joined(params, self.dtype, "; dtype=torch.float64 casts a copy of them")
        return [(p.shape, p.dtype, p.device) for p in params]

    def _state(self):
        """All that the loss and the leaves depend on: a dict of tensors and of modules' modes."""
        params, modules = dict(self._loss.named_parameters()), self._loss.named_modules()
        tensors = params | dict(self._loss.named_buffers())
        modes = {name: (module.training, _dropout(module)) for name, module in modules}
        free = {"requires_grad": [name for name, p in params.items() if p.requires_grad]}
        return {name: self._cast(t.detach()) for name, t in tensors.items()} | modes | free

    def _fit(self, t):
        return self._cast(t.to(self.params[0].device)) if torch.is_tensor(t) else t

    def _cast(self, t):
        return t.to(self.dtype) if self.dtype and t.is_floating_point() else t


def _dropout(module):
    """The rate at which a module drops by itself, as attention and recurrent modules do."""
    rate = getattr(module, "dropout", 0)  # in other modules it may be a module
    return rate if isinstance(rate, float) else 0


def _equal(now, before):
    # By value: writes through .data leave a tensor's version counter and address as they were.
    def same(a, b):
        if torch.is_tensor(a):
            return a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
        return a == b

    return now.keys() == before.keys() and all(same(now[key], before[key]) for key in now)
