"""The small networks of the course."""

import itertools

import torch

from lib.data import check_count


def mlp(*widths, activation=torch.nn.Tanh, seed=0, dtype=torch.float32):
    """Fully connected network, with an activation after every layer but the last.

    Weights and biases follow PyTorch's default law, uniform within 1 / sqrt(fan_in) of 0, and are
    those that ``torch.manual_seed(seed)`` would give; the global random numbers stay untouched.

    Args:
        widths: inputs, hidden widths, outputs: two or more numbers.
        activation: called for the module after each hidden layer.
        seed: an int.
        dtype: floating type of the parameters.

    Raises:
        TypeError: a width is not an int.
        ValueError: fewer than two widths, or one below 1.

    >>> mlp(64, 64, 10)
    Sequential(
      (0): Linear(in_features=64, out_features=64, bias=True)
      (1): Tanh()
      (2): Linear(in_features=64, out_features=10, bias=True)
    )
    """
    if len(widths) < 2:
        raise ValueError(f"widths must be two or more numbers, got {widths}")
    for width in widths:
        check_count("each of widths", width)
    generator = torch.Generator().manual_seed(seed)
    layers = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, fan_in, fan_out, dtype=dtype)
        for p in linear.parameters():
            torch.nn.init.uniform_(p, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        layers += [linear, activation()]
    return torch.nn.Sequential(*layers[:-1])
