"""The small networks of the course."""

import itertools

import torch

from lib.checks import check_count, check_floating, check_seed, generator_of
from lib.losses import softmax


def mlp(*widths, activation=torch.nn.Tanh, seed=0, dtype=torch.float32):
    """Fully connected network, with an activation after every layer but the last.

    Weights and biases follow PyTorch's default law, uniform within 1 / sqrt(fan_in) of 0, and are
    those that ``torch.manual_seed(seed)`` would give; the global random numbers stay untouched.

    Args:
        widths: inputs, hidden widths, outputs: two or more numbers.
        activation: called for the module after each hidden layer.
        seed: an int, 0 to 2^64 - 1.
        dtype: floating type of the parameters.

    Raises:
        TypeError: a width or the seed is not an int, activation makes no module, or dtype is not
            a floating type.
        ValueError: fewer than two widths, one below 1, or seed is out of range.

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
    if not callable(activation) or isinstance(activation, torch.nn.Module):
        raise TypeError(f"activation must make a module, as torch.nn.Tanh, got {activation!r}")
    check_floating(dtype)
    generator, layers = generator_of(seed), []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, fan_in, fan_out, dtype=dtype)
        for p in linear.parameters():
            torch.nn.init.uniform_(p, -(fan_in**-0.5), fan_in**-0.5, generator=generator)
        layers += [linear, activation()]
    return torch.nn.Sequential(*layers[:-1])


def transformer(
    tokens,
    features,
    classes,
    *,
    layers=6,
    width=32,
    heads=4,
    hidden=64,
    norm_first=False,
    seed=0,
    dtype=torch.float32,
):
    """Transformer encoder (Vaswani et al., 2017) that reads an example as a row of tokens.

    A sum of a linear map of each token and a learned position; layers of attention and of a small
    ReLU network, each added to what it reads and normalised; the mean over tokens; a linear map
    to the classes. It is a ``torch.nn.Sequential``, so that ``model[:-1]`` is all but the last.

    Args:
        tokens, features: an example has tokens * features numbers, one token after another.
        classes: outputs.
        layers, width, heads, hidden: number and sizes; heads divides width.
        norm_first: normalise before each part ("pre-LN"), not after it ("post-LN", the paper's).
        seed: an int, 0 to 2^64 - 1. PyTorch's default laws from it, and positions normal with
            deviation 0.02.
        dtype: floating type of the parameters.

    Raises:
        TypeError: a size or the seed is not an int, norm_first not a bool, or dtype not a floating
            type.
        ValueError: a size is below 1, heads does not divide width, or seed is out of range.

    >>> model = transformer(8, 8, 10)
    >>> model(torch.zeros(5, 64)).shape, sum(p.numel() for p in model.parameters())
    (torch.Size([5, 10]), 52138)
    """
    sizes = {"tokens": tokens, "features": features, "classes": classes, "layers": layers}
    for name, size in (sizes | {"width": width, "heads": heads, "hidden": hidden}).items():
        check_count(name, size)
    if width % heads:
        raise ValueError(f"heads must divide width, {width}, got {heads}")
    if not isinstance(norm_first, bool):
        raise TypeError(f"norm_first must be True or False, got {norm_first!r}")
    check_floating(dtype)
    seed = check_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        blocks = [_Block(width, heads, hidden, norm_first, dtype) for _ in range(layers)]
        first = _Tokens(tokens, features, width, dtype)
        last = torch.nn.Linear(width, classes, dtype=dtype)
    return torch.nn.Sequential(first, *blocks, _Mean(), last)


class _Tokens(torch.nn.Module):
    """Examples (N, tokens * features) to tokens (N, tokens, width)."""

    def __init__(self, tokens, features, width, dtype):
        super().__init__()
        self.embed = torch.nn.Linear(features, width, dtype=dtype)
        self.position = torch.nn.Parameter(0.02 * torch.randn(tokens, width, dtype=dtype))

    def forward(self, x):
        return self.embed(x.unflatten(-1, (len(self.position), -1))) + self.position


class _Mean(torch.nn.Module):
    """The mean over tokens."""

    def forward(self, h):
        return h.mean(-2)


class _Block(torch.nn.Module):
    """One layer: h (N, tokens, width) plus attention, then plus a network, each normalised."""

    def __init__(self, width, heads, hidden, norm_first, dtype):
        super().__init__()
        self.heads, self.norm_first = heads, norm_first
        self.queries_keys_values = torch.nn.Linear(width, 3 * width, dtype=dtype)
        self.mix_heads = torch.nn.Linear(width, width, dtype=dtype)
        self.network = torch.nn.Sequential(
            torch.nn.Linear(width, hidden, dtype=dtype),
            torch.nn.ReLU(),
            torch.nn.Linear(hidden, width, dtype=dtype),
        )
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width, dtype=dtype) for _ in range(2))

    def attention(self, h):
        """Each token's weighted mean over all, with weights softmax(q k / sqrt(size))."""
        q, k, v = self.queries_keys_values(h).chunk(3, -1)
        q, k, v = (a.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for a in (q, k, v))
        weights = softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5)
        return self.mix_heads((weights @ v).transpose(-2, -3).flatten(-2))

    def forward(self, h):
        for norm, part in zip(self.norms, (self.attention, self.network), strict=True):
            h = h + part(norm(h)) if self.norm_first else norm(h + part(h))
        return h
