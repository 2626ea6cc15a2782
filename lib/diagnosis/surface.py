"""The surface that training goes down: loss, gradients, curvature, and their price."""

import torch
from scipy.sparse.linalg import LinearOperator

from lib.checks import check_joined, check_loss, fitting
from lib.hessian import HessianOperator

MERGE = (
    100_000  # numbers in x: below it batches are put together, which costs memory and saves time
)
FORWARD = 1 / 3  # of a gradient
PRODUCT = {True: 1.5, False: 2.5}  # gradients that H v costs, with one batch or with several


class Surface:
    r"""The objective :math:`J(\theta) = L(\theta) + \tfrac12 \sum_i c_i \theta_i^2` of training.

    L is the mean loss over all examples, and :math:`c_i` the weight decay that the optimizer adds.

    Args:
        model, loss_fn: as :func:`lib.diagnosis.diagnose` takes them.
        batches: list of (x, label).
        decay: c (d,), or a number.

    Attributes:
        spent: what has been computed so far, in gradients of L.
    """

    def __init__(self, model, loss_fn, batches, decay=0.0):
        self.model, self.loss_fn, self.batches, self.decay = model, loss_fn, batches, decay
        self.params = [p for p in model.parameters() if p.requires_grad]
        check_joined(self.params)
        self.chunks = merged(batches)
        self.num_examples = sum(len(label) for _, label in batches)
        self.product_price = PRODUCT[len(self.chunks) == 1]
        self.spent = 0.0

    @property
    def theta(self):
        """The parameters as one vector (d,), a copy."""
        return torch.cat([p.detach().reshape(-1) for p in self.params])

    def place(self, theta):
        """Put the model at theta (d,)."""
        parts = theta.split([p.numel() for p in self.params])
        for p, part in zip(self.params, parts, strict=True):
            p.data.copy_(part.view_as(p))

    def penalty(self):
        return 0.5 * (self.decay * self.theta.square()).sum().item()

    @torch.no_grad()
    def data_loss(self):
        """L at the model."""
        self.spent += FORWARD
        shares = []
        for x, label in self.chunks:
            with fitting("data"):
                loss = self.loss_fn(self.model(x), label)
            check_loss(loss)
            shares.append(loss.double() * (len(label) / self.num_examples))
        return torch.stack(shares).sum().item()

    def loss(self):
        """J at the model."""
        return self.data_loss() + self.penalty()

    def along(self, v, steps):
        """J at theta + s v for each s; the model goes back to theta."""
        theta = self.theta
        values = []
        for s in steps:
            self.place(theta + s * v)
            values.append(self.loss())
        self.place(theta)
        return values

    def parts(self, batches):
        """The gradient of each batch's loss, rows (len(batches), d), without the penalty."""
        self.spent += sum(len(label) for _, label in batches) / self.num_examples
        rows = []
        for x, label in batches:
            loss = self.loss_fn(self.model(x), label)
            if not loss.requires_grad:
                raise ValueError("loss_fn must give a loss with a gradient for a parameter")
            grads = torch.autograd.grad(loss, self.params, materialize_grads=True)
            rows.append(torch.cat([g.reshape(-1) for g in grads]))
        return torch.stack(rows)

    def gradient(self):
        """Gradient of J, (d,)."""
        weights = [len(label) / self.num_examples for _, label in self.chunks]
        rows = self.parts(self.chunks)
        return rows.new_tensor(weights) @ rows + self.decay * self.theta

    def curvature(self, scale=None):
        r"""The Hessian of J as an operator; with a scale s (d,), that of steps of sizes s.

        .. math:: S^{1/2} H S^{1/2}, \qquad S = \operatorname{diag}(s)
        """
        H = HessianOperator(self.model, self.loss_fn, self.chunks)
        root = 1.0 if scale is None else scale.sqrt()

        def product(v):
            self.spent += self.product_price
            w = root * v
            Hv = root * (H.product(w) + self.decay * w)
            if not Hv.isfinite().all():
                raise ValueError(f"loss_fn must have a curvature that {Hv.dtype} can say")
            return Hv

        return _Products(product, H.like)


class _Products(LinearOperator):
    """Products with a symmetric matrix, on tensors as `lib.hessian` wants them."""

    def __init__(self, product, like):
        self.product, self.like = product, like
        dtype = "float32" if like.dtype == torch.float32 else "float64"
        super().__init__(dtype=dtype, shape=(len(like), len(like)))

    def _matvec(self, v):
        return self.product(torch.as_tensor(v.reshape(-1).copy()).to(self.like)).cpu().numpy()


def merged(batches):
    """The examples in as few batches as are sure to fit in memory."""
    tensors = all(isinstance(t, torch.Tensor) for batch in batches for t in batch)
    alike = tensors and len({(x.shape[1:], y.shape[1:], x.dtype, y.dtype) for x, y in batches}) == 1
    if len(batches) == 1 or not alike or sum(x.numel() for x, _ in batches) > MERGE:
        return batches
    return [tuple(torch.cat(part) for part in zip(*batches, strict=True))]


def cut(batches, parts):
    """At least so many batches where there are fewer, by cutting each of them."""
    if len(batches) >= parts or not all(
        isinstance(t, torch.Tensor) for batch in batches for t in batch
    ):
        return batches
    pieces = -(-parts // len(batches))
    return [pair for x, y in batches for pair in zip(x.chunk(pieces), y.chunk(pieces), strict=True)]


def newton_step(H, g, reach, max_products):
    """A Newton step of at most length reach, and how much it lowers the quadratic of H and g.

    Conjugate gradients, cut off at the reach or where the curvature turns negative (Steihaug,
    1983). Exact in as many products as H has distinct eigenvalues; before that, from below.
    """
    step, r, gain = torch.zeros_like(g), -g, 0.0
    p, square = r, r @ r
    start = square
    for _ in range(max_products):
        if not square > 1e-12 * start:
            break
        Hp = H.product(p)
        curvature = p @ Hp
        length = square / curvature if curvature > 0 else square.new_tensor(torch.inf)
        if not (step + length * p).norm() <= reach:  # also when it is not a number
            a, b, c = p @ p, step @ p, step @ step - reach**2
            length = (-b + (b * b - a * c).clamp(min=0).sqrt()) / a
            gain += (length * square - 0.5 * length**2 * curvature).item()
            return gain, step + length * p
        gain += (0.5 * length * square).item()
        step, r = step + length * p, r - length * Hp
        fresh = r @ r
        p, square = r + fresh / square * p, fresh
    return gain, step
