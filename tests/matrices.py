"""What the tests of Hessians share: seeded draws, and matrices with a chosen spectrum."""

import torch


def draw(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(evals, seed=0):
    """A matrix with these eigenvalues, turned at random."""
    Q, _ = torch.linalg.qr(draw(len(evals), len(evals), seed=seed))
    H = (Q * torch.as_tensor(evals, dtype=torch.float64)) @ Q.T
    return (H + H.T) / 2
