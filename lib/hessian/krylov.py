"""An orthonormal basis grown by products H v, and H seen through it."""

import math

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from lib.checks import as_tensor, at_least

BLOCK = 32  # basis vectors stored together, so that memory grows with use and nothing is copied


class KrylovSpace:
    r"""The space spanned by start vectors s, H s, H² s, … with an orthonormal basis V of rows.

    Vector by vector, V is multiplied by H, and what is new in H v joins V. The matrix
    :math:`T = V H V^\top` over the multiplied vectors holds the Ritz pairs: where
    :math:`T c = \vartheta c`, the vector :math:`V^\top c` approximates an eigenvector, and as
    :math:`H V^\top c` lies in the space, so does the residual, which takes no further product.
    One start vector makes this the Lanczos iteration.

    Args:
        product: maps v (d,) to H v (d,).
        starts: start vectors in rows (b, d), linearly independent.
        seed: of the random directions taken when the space is closed under H.
    """

    def __init__(self, product, starts, seed=0):
        self.product, self.seed = product, seed
        self.reach = len(starts)  # H v_i has parts along v_j only for |i - j| <= reach
        self.blocks = []  # the basis
        self.count = 0  # vectors in the basis
        self.columns = []  # V H v for each multiplied v
        for start in starts:
            self._append(*self._split(start)[1:])

    @property
    def size(self):
        """How many vectors of the basis have been multiplied by H."""
        return len(self.columns)

    @property
    def closed(self):
        """True when H maps the space into itself: every basis vector has been multiplied."""
        return self.size == self.count

    def grow(self):
        """Multiply the next basis vector by H; from a closed space, a random new direction."""
        if self.closed:
            fresh = random_rows(1, self.blocks[0][0], self.seed + self.count)[0]
            self._append(*self._split(fresh)[1:])
        w = self.product(self._vector(self.size))
        before = norm(w)
        if not math.isfinite(before):
            raise ValueError("H v is not finite")
        column, w, left = self._split(w, near=self.size - self.reach)
        if self.count < len(w) and left > 10 * torch.finfo(w.dtype).eps * len(w) ** 0.5 * before:
            self._append(w, left)
            column = np.append(column, left)
        self.columns.append(column)  # last, so that Ctrl-C at any time leaves a sound space

    def ritz(self):
        """Ritz values ascending (size,), their c in columns (size, size), residuals (size,)."""
        T = np.zeros((self.count, self.size))
        for i, column in enumerate(self.columns):
            T[: len(column), i] = column
        scale = np.abs(T).max() or 1.0  # squares of 1e-200 would be 0
        T /= scale
        evals, c = np.linalg.eigh(T[: self.size])
        off = T @ c  # of the whole T, though eigh reads its lower triangle: H may not be symmetric
        off[: self.size] -= evals * c
        return scale * evals, c, scale * np.linalg.norm(off, axis=0)

    def combine(self, c):
        """The vectors V^T c, as rows (k, d), for c in columns (size, k)."""
        rows = 0
        for i, block in enumerate(self.blocks[: -(-len(c) // BLOCK)]):
            part = torch.as_tensor(c[i * BLOCK : (i + 1) * BLOCK].T).to(block)
            rows = rows + part @ block[: part.shape[1]]
        return rows

    def _vector(self, i):
        return self.blocks[i // BLOCK][i % BLOCK]

    def _append(self, w, length):
        if self.count % BLOCK == 0:
            self.blocks.append(w.new_empty(BLOCK, len(w)))
        torch.div(w, length, out=self.blocks[-1][self.count % BLOCK])
        self.count += 1

    def _split(self, w, near=None):
        """The coefficients V w, the rest w - V^T V w, orthogonal to V to rounding, and its length.

        The large parts, along the vectors from ``near`` on, are taken off first and one by one,
        so that one pass through the whole basis is mostly enough for the rounding that is left.
        """
        column = np.zeros(self.count)
        if near is not None:
            first, parts = max(0, near), []
            for i in range(first, self.count):
                parts.append(self._vector(i) @ w)
                w = torch.addcmul(w, self._vector(i), parts[-1], value=-1)
            column[first:] = torch.stack(parts).double().cpu().numpy()
        after = norm(w)
        for _ in range(3):  # again while the norm still drops (Giraud et al., 2005)
            before, coefficients = after, []
            for i, block in enumerate(self.blocks):
                rows = block[: max(0, self.count - i * BLOCK)]
                coefficients.append(rows @ w)
                w = torch.addmv(w, rows.T, coefficients[-1], alpha=-1)
            if coefficients:
                column += torch.cat(coefficients).double().cpu().numpy()
            after = norm(w)
            if after > 0.7 * before:
                break
        return column, w, after


def as_product(H):
    """The map v -> H v on tensors, and a tensor with H's length, dtype and device.

    H may be a symmetric tensor or array, a SciPy ``LinearOperator``, or one with a ``product`` of
    its own on tensors (a ``HessianOperator``). Whether an operator is symmetric is not checked.
    All is done in float64, but for an H in float32.
    """
    if isinstance(H, np.ndarray):
        try:
            H = torch.from_numpy(np.require(H, requirements="CW"))  # torch warns if read-only
        except TypeError as error:
            raise TypeError(f"H must be an array of numbers: {error}") from error
    if not isinstance(H, torch.Tensor | LinearOperator):
        raise TypeError(f"H must be a tensor, array or LinearOperator, got {type(H).__name__}")
    if len(H.shape) != 2 or H.shape[0] != H.shape[1] or not H.shape[0]:
        raise ValueError(f"H must be square and not empty, got shape {tuple(H.shape)}")
    if H.dtype.is_complex if isinstance(H, torch.Tensor) else H.dtype.kind == "c":
        raise ValueError(f"H must be real, got {H.dtype}")
    if isinstance(H, torch.Tensor):
        if H.layout is not torch.strided:
            raise TypeError(f"H must be dense, got a tensor of layout {H.layout}")
        H = H.detach() if H.dtype == torch.float32 else H.detach().double()
        if ((H - H.T).abs() > 1e-3 * H.abs().max()).any():
            raise ValueError("H must be symmetric, got one that differs from its transpose")
        return H.mv, H[0]
    if hasattr(H, "product"):
        return H.product, H.like
    like = torch.empty(H.shape[0], dtype=torch.float32 if H.dtype == np.float32 else torch.float64)
    return lambda v: as_tensor(H @ v.numpy()).to(like), like


def norm(w):
    """Length of w; in float64, since squares of 1e-23 are 0 in float32."""
    length = torch.linalg.vector_norm(w, dtype=torch.float64).item()
    if 1e-140 < length < 1e140:
        return length
    biggest = w.abs().max().item()  # squares may have left the range of float64 too
    if not 0 < biggest < math.inf:
        return biggest
    return biggest * torch.linalg.vector_norm(w / biggest, dtype=torch.float64).item()


def random_rows(n, like, seed):
    """n Gaussian vectors shaped as ``like``, in rows; the same on every device."""
    generator = torch.Generator().manual_seed(at_least("seed", seed, 0) % 2**64)
    return torch.randn(n, len(like), generator=generator, dtype=like.dtype).to(like.device)
