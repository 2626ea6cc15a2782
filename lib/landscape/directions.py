"""Directions through a model's parameters, as vectors (d,) and as one part for each parameter."""

import torch
from torch.nn.functional import normalize


def random_direction(model, seed=0, orthogonal_to=None):
    r"""A random direction whose filters are as long as the model's (Li et al., 2018).

    .. math:: u_{ij} = \frac{\lVert \theta_{ij} \rVert}{\lVert z_{ij} \rVert}\, z_{ij},
        \qquad z \sim \mathcal{N}(0, 1)

    Filter j of layer i is all that leads to one output: a row of a weight of two or more
    dimensions. Parameters of one dimension, biases and the scales of normalisation, stay where
    they are, as in the authors' code. So a step of 1 disturbs every filter by its own length,
    and networks that differ only in the scale of their filters give the same picture.

    Args:
        model: any ``torch.nn.Module``; parameters that do not require a gradient have no part.
        seed: an int; the same numbers on every device.
        orthogonal_to: a direction (d,). The new one is orthogonal to it filter by filter, which
            keeps the lengths; a filter of a single number cannot turn, and is 0.

    Returns:
        u, shape (d,), in the order of ``model.parameters()``.

    Raises:
        ValueError: orthogonal_to does not fit, nothing requires a gradient, or no filter that
            does is longer than 0.

    >>> model = torch.nn.Linear(3, 2)
    >>> u = random_direction(model)
    >>> torch.allclose(u[:6].view(2, 3).norm(dim=1), model.weight.norm(dim=1)), u[6:]
    (True, tensor([0., 0.]))
    >>> v = random_direction(model, seed=1, orthogonal_to=u)
    >>> bool((u @ v).abs() < 1e-6)
    True
    """
    params, generator = trainable(model), torch.Generator().manual_seed(seed)
    avoided = [torch.zeros_like(p) for p in params]
    if orthogonal_to is not None:
        avoided = split(params, "orthogonal_to", orthogonal_to)
    parts = []
    for p, avoid in zip(params, avoided, strict=True):
        z = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.device)
        parts.append(_filters_like(p.detach(), z, avoid.double()).to(p.dtype).reshape(-1))
    direction = torch.cat(parts)
    if not direction.any():
        raise ValueError(
            "model must have a weight of two or more dimensions that is not 0 and can turn: "
            "give a direction of your own"
        )
    return direction


def trainable(model):
    """The parameters that require a gradient, each once."""
    params = [p for p in model.parameters() if p.requires_grad]
    if not params:
        raise ValueError("model has no parameter that requires a gradient")
    return params


def split(params, name, direction):
    """The direction (d,) called ``name`` as one part for each parameter, shaped as it is."""
    sizes = [p.numel() for p in params]
    direction = torch.as_tensor(direction).detach()
    if direction.shape != (sum(sizes),):
        raise ValueError(
            f"{name} must be a vector ({sum(sizes)},) over the parameters that require a "
            f"gradient, got shape {tuple(direction.shape)}"
        )
    if not direction.isfinite().all() or not direction.any():
        raise ValueError(f"{name} must be finite and not 0, got {direction}")
    parts = zip(direction.split(sizes), params, strict=True)
    return [part.view_as(p).to(p.device, p.dtype) for part, p in parts]


def _filters_like(p, z, avoid):
    """z, each filter of it made orthogonal to ``avoid``'s and as long as p's."""
    if p.ndim < 2:
        return torch.zeros_like(z)
    lengths, z, along = (t.double().flatten(1) for t in (p, z, avoid))
    along = normalize(along, eps=1e-300)
    rest = z - (z * along).sum(1, keepdim=True) * along
    left = rest.norm(dim=1)
    scale = torch.where(left > 1e-6 * z.norm(dim=1), lengths.norm(dim=1) / left, 0)
    return rest * scale[:, None]
