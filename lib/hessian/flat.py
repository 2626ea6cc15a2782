"""A model's loss as a function of one vector, so that what works on surfaces works on networks."""

import torch

from lib.checks import check_function, check_module


def flat_loss(model, loss_fn, x, label):
    r"""The loss of a model on given examples, as a function of all its parameters in one vector.

    The model is copied into the function's argument, never changed. The function can be
    differentiated any number of times, and ``torch.func.vmap`` of it takes points (n, d).

    Args:
        model: a ``torch.nn.Module``; parameters that do not require a gradient stay as they are.
        loss_fn: ``loss_fn(output, label)``, a scalar.
        x, label: the examples, as the model and loss_fn take them.

    Returns:
        ``(loss, theta)``: a function from theta (d,) to a scalar, and the model's own theta (d,),
        in the order of ``model.parameters()``.

    Raises:
        TypeError: model is not a module, or loss_fn not a function.
        ValueError: no parameter requires a gradient; of the function, when theta is not (d,).

    >>> line = torch.nn.Linear(1, 1)
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> loss, theta = flat_loss(line, torch.nn.functional.mse_loss, x, 2 * x)
    >>> theta.shape, loss(torch.tensor([2.0, 1.0]))  # y = 2x + 1, off by 1 everywhere
    (torch.Size([2]), tensor(1.))
    """
    check_module(model)
    check_function("loss_fn", loss_fn)
    params = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if not params:
        raise ValueError("model has no parameter that requires a gradient")
    sizes = [p.numel() for p in params.values()]
    shape = (sum(sizes),)

    def loss(theta):
        if getattr(theta, "shape", None) != shape:
            raise ValueError(f"theta must be a tensor {shape}, got {theta!r}")
        parts = zip(params.items(), theta.split(sizes), strict=True)
        values = {name: part.view_as(p) for (name, p), part in parts}
        return loss_fn(torch.func.functional_call(model, values, (x,)), label)

    return loss, torch.cat([p.reshape(-1) for p in params.values()])
