"""Directions through a model's parameters, as vectors (d,) and as one part for each parameter."""

import torch

from lib.checks import as_tensor, check_module, generator_of


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
        seed: an int, 0 to 2^64 - 1; the same numbers on every device.
        orthogonal_to: a direction (d,). The new one is orthogonal to it filter by filter, which
            keeps the lengths; a filter of a single number cannot turn, and is 0.

    Returns:
        u, shape (d,), in the order of ``model.parameters()``.

    Raises:
        TypeError: model is not a module, seed not an int, or orthogonal_to no tensor of numbers.
        ValueError: orthogonal_to does not fit, seed is out of range, nothing requires a gradient,
            a parameter is not real and finite, or no filter is longer than 0.

    >>> model = torch.nn.Linear(3, 2)
    >>> u = random_direction(model)
    >>> torch.allclose(u[:6].view(2, 3).norm(dim=1), model.weight.norm(dim=1)), u[6:]
    (True, tensor([0., 0.]))
    >>> v = random_direction(model, seed=1, orthogonal_to=u)
    >>> bool((u @ v).abs() < 1e-6)
    True
    """
    params, generator = trainable(model), generator_of(seed)
    if not all(not p.is_complex() and p.isfinite().all() for p in params):
        raise ValueError("model must have parameters that are real and finite")
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
    check_module(model)
    params = [p for p in model.parameters() if p.requires_grad]
    if not params:
        raise ValueError("model has no parameter that requires a gradient")
    return params


def split(params, name, direction):
    """The direction (d,) called ``name`` as one part for each parameter, shaped as it is."""
    sizes = [p.numel() for p in params]
    try:
        direction = as_tensor(direction)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{name} must be a vector ({sum(sizes)},): {error}") from error
    if direction.shape != (sum(sizes),):
        raise ValueError(
            f"{name} must be a vector ({sum(sizes)},) over the parameters that require a "
            f"gradient, got shape {tuple(direction.shape)}"
        )
    if direction.is_complex():
        raise ValueError(f"{name} must be real, got {direction.dtype}")
    pairs = zip(direction.split(sizes), params, strict=True)
    parts = [part.reshape(p.shape).to(p.device, p.dtype) for part, p in pairs]
    if not all(part.isfinite().all() for part in parts) or not any(part.any() for part in parts):
        kinds = ", ".join(sorted({str(p.dtype) for p in params}))
        raise ValueError(f"{name} must be finite and not 0 in {kinds}, got {direction}")
    return parts


def _filters_like(p, z, avoid):
    """z, each filter of it made orthogonal to ``avoid``'s and as long as p's."""
    if p.ndim < 2 or not p.numel():
        return torch.zeros_like(z)
    (size, p), (_, z), (_, along) = (_scaled(t.double().flatten(1)) for t in (p, z, avoid))
    along = along / along.norm(dim=1, keepdim=True).clamp(min=1)
    rest = z - (z * along).sum(1, keepdim=True) * along
    left = rest.norm(dim=1)
    scale = torch.where(left > 1e-6 * z.norm(dim=1), p.norm(dim=1) / left, 0)
    return rest * scale[:, None] * size


def _scaled(filters):
    """The largest size in each row (n, 1), and the rows over it: squares of 1e-200 would be 0."""
    size = filters.abs().amax(1, keepdim=True)
    return size, filters / size.where(size > 0, 1)
