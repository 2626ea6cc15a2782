"""The loss along a line and over a plane through a model's parameters."""

from numbers import Integral
from typing import NamedTuple

import torch

from lib.checks import as_tensor, check_loss, fitting
from lib.hessian import HessianOperator
from lib.landscape.directions import split, trainable
from lib.landscape.first_layers import FirstLayers
from lib.progress import progress_bar


class Line(NamedTuple):
    """``losses`` at theta + x u, for each of the coordinates ``x``; both (points,), float64."""

    x: torch.Tensor
    losses: torch.Tensor


class Plane(NamedTuple):
    """``losses[j, i]`` at theta + x[i] u + y[j] v, as matplotlib's ``contour`` takes them."""

    x: torch.Tensor
    y: torch.Tensor
    losses: torch.Tensor


def slice_1d(model, loss_fn, data, u, x=(-1, 1), points=51):
    r"""The mean loss over all examples along a line through a model's parameters.

    .. math:: L(\theta + x\,u), \qquad x_0 \le x \le x_1

    With u = :func:`random_direction` this is the picture of Li et al. (2018); with an eigenvector
    of the Hessian, the surface along one curvature; with u = theta_b - theta_a, x = 0 is solution
    a and x = 1 is b (Goodfellow et al., 2015).

    The data are read once, so that a loader that shuffles or augments gives one loss, not another
    at each point. The parameters are moved in place while this runs. They and the buffers are put
    back bit for bit, also after an error or Ctrl-C; ``.grad`` and mode are not touched.

    Args:
        model: any ``torch.nn.Module`` that a ``HessianOperator`` takes: dropout and batch
            normalisation must be in eval mode.
        loss_fn: ``loss_fn(output, label)``, the mean over the examples of a batch.
        data: batches ``(x, label)`` in any iterable; one counts for ``len(label)`` examples.
        u: direction (d,) over all parameters that require a gradient, in the order of
            ``model.parameters()``, as the eigenvectors of a ``HessianOperator`` are.
        x: the two ends of the coordinate's range, the lower first, which the parameters' dtype
            can hold.
        points: how many, 2 or more; an odd number and opposite ends put one at theta itself.

    Returns:
        A named tuple ``(x, losses)``. A loss that overflows is infinite or NaN.

    Raises:
        TypeError: data does not give pairs, or another argument is of no kind named above.
        ValueError: data is empty or does not fit model and loss_fn, a direction, range or number
            of points is not as above, the loss is not a real scalar, or the model is none that a
            ``HessianOperator`` takes.

    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> torch.nn.init.constant_(model.weight, 2.0).item()
    2.0
    >>> data = [(torch.ones(1, 1), torch.tensor([[3.0]]))]
    >>> slice_1d(model, torch.nn.functional.mse_loss, data, torch.ones(1), points=3).losses
    tensor([4., 1., 0.], dtype=torch.float64)
    """
    params = trainable(model)
    xs, u = _coordinates("x", x, points, params), split(params, "u", u)
    return Line(xs, _losses(model, loss_fn, data, xs, u, [0.0], u)[0])


def slice_2d(model, loss_fn, data, u, v, x=(-1, 1), y=(-1, 1), points=25):
    r"""The mean loss over all examples on a plane through a model's parameters.

    .. math:: L(\theta + x\,u + y\,v)

    The directions are taken as they are. A map without distortion wants them orthogonal and of
    one length, as two of :func:`random_direction` are. All else is as for :func:`slice_1d`, with
    ``points`` a side, points² in all.

    Returns:
        A named tuple ``(x, y, losses)``, as ``lib.plots.contours`` and ``Axes.contour`` take them.

    Raises:
        TypeError, ValueError: as :func:`slice_1d`; also when u and v lie on one line.

    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> torch.nn.init.zeros_(model.weight).tolist()
    [[0.0, 0.0]]
    >>> data, (u, v) = [(torch.eye(2), torch.zeros(2, 1))], torch.eye(2)
    >>> slice_2d(model, torch.nn.functional.mse_loss, data, u, v, y=(0, 2), points=3).losses
    tensor([[0.5000, 0.0000, 0.5000],
            [1.0000, 0.5000, 1.0000],
            [2.5000, 2.0000, 2.5000]], dtype=torch.float64)
    """
    params = trainable(model)
    xs, ys = _coordinates("x", x, points, params), _coordinates("y", y, points, params)
    u, v = split(params, "u", u), split(params, "v", v)
    if (_unit(u) @ _unit(v)) ** 2 > 1 - 1e-9:
        raise ValueError("u and v must span a plane, got two directions on one line")
    return Plane(xs, ys, _losses(model, loss_fn, data, xs, u, ys, v))


def _losses(model, loss_fn, data, xs, u, ys, v):
    """The mean loss at theta + x u + y v, shape (y, x); u and v in one part for each parameter."""
    params = trainable(model)
    places = [(m._buffers, name) for m in model.modules() for name in m._buffers]
    buffers = [place[name] for place, name in places]
    # Through .data autograd does not see the writes, and graphs that others keep stay good.
    moved = [p.data for p in params]
    tensors = moved + [b for b in buffers if b is not None]
    start = [t.clone() for t in tensors]
    theta = start[: len(params)]
    total, seen = torch.zeros(len(ys), len(xs), dtype=torch.float64), 0
    try:
        batches = iter(data)
    except TypeError:
        raise TypeError(f"data must be batches, such as [(x, label)], got {data!r}") from None
    passes = len(data) if hasattr(data, "__len__") else None
    with progress_bar(passes and passes * total.numel(), unit="points") as bar, torch.no_grad():
        try:
            for batch in batches:
                if torch.is_tensor(batch):
                    raise TypeError("data must be batches: pass [(x, label)], not (x, label)")
                HessianOperator(model, loss_fn, [batch])  # for what it refuses
                inputs, label = batch
                layers = FirstLayers(inputs, params, theta, u, v)
                with fitting("data"):
                    for j, y in enumerate(map(float, ys)):
                        row = torch._foreach_add(theta, v, alpha=y)
                        for i, x in enumerate(map(float, xs)):
                            torch._foreach_copy_(moved, row)
                            torch._foreach_add_(moved, u, alpha=x)
                            with layers.at(x, y):
                                output = model(inputs)
                            loss = loss_fn(output, label)
                            check_loss(loss)
                            total[j, i] += len(label) * loss.item()
                            bar.update()
                seen += len(label)
        finally:
            torch._foreach_copy_(tensors, start)  # one call, which a second Ctrl-C cannot split
            for (place, name), buffer in zip(places, buffers, strict=True):
                place[name] = buffer
    if not seen:
        raise ValueError("data must hold at least one example, got none")
    return total / seen


def _unit(parts):
    vector = torch.cat([part.double().cpu().reshape(-1) for part in parts])
    vector = vector / vector.abs().max()  # or the squares of 1e-200 would be 0
    return vector / vector.norm()


def _coordinates(name, ends, points, params):
    try:
        ends = as_tensor(ends, torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(f"{name} must be two numbers, got {ends!r}: {error}") from error
    most = min(torch.finfo(p.dtype).max for p in params)
    fits = ends.shape == (2,) and ends.abs().max() <= most and 0 < ends[1] - ends[0] < torch.inf
    if not fits:
        raise ValueError(f"{name} must be two finite numbers, the lower first, got {ends.tolist()}")
    if not isinstance(points, Integral) or points < 2:
        raise ValueError(f"points must be an integer of at least 2, got {points!r}")
    # Of the two ends exactly, and of 0 exactly midway between opposite ones.
    return torch.lerp(*ends, torch.arange(points, dtype=torch.float64) / (points - 1))
