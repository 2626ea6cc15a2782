"""A model is looked at, moved and trained for a few steps here, and leaves as it came."""

import random
from contextlib import ExitStack, contextmanager

import numpy as np
import torch


@contextmanager
def untouched(model, data, optimizer=None):
    """Inside, the model is in eval mode and only what the optimizer moves requires a gradient.

    Afterwards parameters, buffers, gradients, modes and random numbers (torch's, NumPy's,
    Python's, a loader's own) are what they were, also after an error or Ctrl-C.
    """
    params, modules = list(model.parameters()), list(model.modules())
    tensors = [*params, *model.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    grads = [p.grad for p in params]
    trained = [p.requires_grad for p in params]
    modes = [module.training for module in modules]
    own = getattr(data, "generator", None)
    own_state = own.get_state() if isinstance(own, torch.Generator) else None
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    held = None
    if optimizer is not None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    with ExitStack() as stack:
        gpus = {p.device.index for p in params if p.is_cuda}
        stack.enter_context(torch.random.fork_rng(devices=gpus))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if any(isinstance(module, torch.nn.RNNBase) for module in modules):
            # cuDNN's recurrent networks have no gradient in eval mode, and no second one at all.
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        try:
            model.eval()
            for p in params:
                p.grad = None
                p.requires_grad_(p.requires_grad and (held is None or id(p) in held))
            yield
        finally:
            for tensor, value in zip(tensors, values, strict=True):
                tensor.data.copy_(value)  # .data: a graph that waits for backward stays valid
            for p, grad, flag in zip(params, grads, trained, strict=True):
                p.requires_grad_(flag)
                p.grad = grad
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode
            if own_state is not None:
                own.set_state(own_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
