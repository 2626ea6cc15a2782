"""The course's data: handwritten digits, Lee's ten points, and how to take batches of them."""

import gzip
import math
import operator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch


class Split(NamedTuple):
    """Images to train on and images kept back: x (N, pixels), label (N,) class numbers."""

    x_train: torch.Tensor
    label_train: torch.Tensor
    x_test: torch.Tensor
    label_test: torch.Tensor


def digits(dtype=torch.float32, num_train=1200, seed=0):
    """Scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, shuffled and split.

    They come with scikit-learn, so nothing is downloaded. Three pixels are 0 in every image, so
    some gradients of a network trained on them are exactly 0.

    Args:
        dtype: floating type of the pixels.
        num_train: number of images to train on, 1 to 1,796; the others are the test set.
        seed: seed of the shuffle, ``np.random.default_rng(seed).permutation``.

    Returns:
        Split: x (N, 64) in [0, 1], the pixels divided by 16, and label (N,) in 0, ..., 9.

    Raises:
        TypeError: num_train is not an int.
        ValueError: num_train leaves nothing to train on or nothing to test on.

    >>> x_train, label_train, x_test, label_test = digits()
    >>> x_train.shape, x_test.shape
    (torch.Size([1200, 64]), torch.Size([597, 64]))
    >>> label_train[:5]
    tensor([6, 6, 6, 2, 5])
    """
    from sklearn.datasets import load_digits  # a slow import that other data need not wait for

    pixels, label = load_digits(return_X_y=True)
    num_train = check_count("num_train", num_train, len(label) - 1)
    order = np.random.default_rng(seed).permutation(len(label))
    x = torch.as_tensor(pixels[order] / 16, dtype=dtype)
    label = torch.as_tensor(label[order], dtype=torch.int64)
    return Split(x[:num_train], label[:num_train], x[num_train:], label[num_train:])


def ten_points(dtype=torch.float64):
    """The ten points of Hung-yi Lee's regression y = b + w x, with summed squared error.

    Its minimum, b = -188.433 and w = 2.66945, lies in a valley so narrow that the Hessian's two
    eigenvalues differ by a factor of 313,418.

    Returns:
        x (10,) and y (10,).

    >>> x, y = ten_points()
    >>> w = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    >>> print(f"{w:.5f}")
    2.66945
    """
    x = [338, 333, 328, 207, 226, 25, 179, 60, 208, 606]
    y = [640, 633, 619, 393, 428, 27, 193, 66, 226, 1591]
    return torch.tensor(x, dtype=dtype), torch.tensor(y, dtype=dtype)


def idx_images(folder, dtype=torch.float32):
    """A larger image set that you already have: MNIST, or another set kept in its four files.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same two with
    ``t10k`` for the test set, as they are or gzipped (``.gz``). The format (Y. LeCun): two zero
    bytes, the element type (8 is a byte), the number of dimensions, each length as four bytes with
    the highest first, then the elements.

    Returns:
        Split: x (N, rows * columns) in [0, 1], the pixels divided by 255, and label (N,).

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is not what its name says, or images and labels differ in number.
    """
    parts = []
    for name in ("train", "t10k"):
        images = _read_idx(Path(folder), f"{name}-images-idx3-ubyte", dimensions=3)
        label = _read_idx(Path(folder), f"{name}-labels-idx1-ubyte", dimensions=1)
        if len(images) != len(label):
            raise ValueError(f"{folder}: {len(images)} {name} images but {len(label)} labels")
        x = torch.tensor(images, dtype=dtype).flatten(1) / 255
        parts += [x, torch.tensor(label, dtype=torch.int64)]
    return Split(*parts)


def _read_idx(folder, name, dimensions):
    for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.is_file():
            with opener(path, "rb") as file:
                content = file.read()
            break
    else:
        raise FileNotFoundError(f"folder {folder} has neither {name} nor {name}.gz")
    start = 4 + 4 * dimensions
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) != start + math.prod(shape):
        raise ValueError(f"{path} is not a whole idx file of bytes in {dimensions} dimensions")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def batches(*tensors, batch_size, seed):
    """One epoch: every example once, in shuffled batches; the last batch may be short.

    Args:
        tensors: the data, (N, ...) each; row i of one belongs to row i of the others.
        batch_size: examples in a batch, 1 to N.
        seed: an int, for a shuffle that can be repeated, or a ``torch.Generator`` on the CPU, for
            epochs that are each shuffled anew.

    Returns:
        An iterator over the ceil(N / batch_size) batches, each a tuple of rows of the tensors. It
        is good for one pass; ``list(batches(...))`` keeps them.

    Raises:
        TypeError: what is given for a tensor is not one, or batch_size is not an int.
        ValueError: batch_size is outside 1 to N; tensors are empty, differ in length, or hold NaN
            or infinity.

    >>> x = torch.arange(20)
    >>> [len(x_batch) for (x_batch,) in batches(x, batch_size=8, seed=0)]
    [8, 8, 4]
    """
    check_examples(**{f"tensors[{i}]": tensor for i, tensor in enumerate(tensors)})
    num_examples = len(tensors[0])
    batch_size = check_count("batch_size", batch_size, num_examples)
    generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    order = torch.randperm(num_examples, generator=generator).to(tensors[0].device)
    return (tuple(tensor[rows] for tensor in tensors) for rows in order.split(batch_size))


def check_count(name, number, largest=math.inf):
    """The number as an int, refused by its name unless it is one of 1, ..., largest.

    >>> check_count("batch_size", 0, 20)
    Traceback (most recent call last):
    ValueError: batch_size must be 1 to 20, got 0
    """
    try:
        number = operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {number!r}") from None
    if not 1 <= number <= largest:
        raise ValueError(f"{name} must be 1 to {largest}, got {number}")
    return number


def check_examples(**tensors):
    """Refuse what is no data set: nothing, no rows, rows that do not pair up, NaN or infinity.

    Raises:
        TypeError: not a tensor: a generator, for one, could be read only once.
        ValueError: anything else; the message names the tensor.

    >>> check_examples(x=torch.ones(3, 2), label=torch.ones(2))
    Traceback (most recent call last):
    ValueError: label has 2 rows, x has 3: they need one for each example
    """
    if not tensors:
        raise ValueError("tensors: none was given, it takes one or more of N rows")
    for name, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"{name} must be a tensor (N, ...), got {type(tensor).__name__}")
        if tensor.ndim == 0 or tensor.numel() == 0:
            raise ValueError(f"{name} has no examples: its shape is {tuple(tensor.shape)}")
        first = next(iter(tensors))
        if len(tensor) != len(tensors[first]):
            raise ValueError(
                f"{name} has {len(tensor)} rows, {first} has {len(tensors[first])}: "
                "they need one for each example"
            )
        # The two ends are NaN or infinite if any element is, and come 10 times faster than
        # isfinite over all.
        if not all(torch.isfinite(end) for end in tensor.aminmax()):
            raise ValueError(f"{name} holds NaN or infinity")


def check_label(label, output, name="label"):
    """Refuse labels that do not pair with a model's output for the first of them.

    Class numbers (integers) take the output's shape without its last axis, the classes; floating
    labels take its whole shape, lest a loss broadcast one against the other.

    Raises:
        ValueError: the shape does not fit, or a class number is not below the output's width.

    >>> check_label(torch.tensor([0, 3]), torch.zeros(2, 3))
    Traceback (most recent call last):
    ValueError: label must be class numbers 0 to 2, as the output is 3 wide, got 0 to 3
    """
    floating, given = label.is_floating_point(), label[: len(output)].shape
    takes = output.shape if floating else output.shape[:-1]
    if given != takes:
        raise ValueError(
            f"{name} must have shape {tuple(takes)} for an output of shape {tuple(output.shape)} "
            f"if it is {'floating' if floating else 'class numbers'}, got {tuple(given)}"
        )
    low, high = label.aminmax()
    if not floating and not 0 <= low <= high < output.shape[-1]:
        raise ValueError(
            f"{name} must be class numbers 0 to {output.shape[-1] - 1}, as the output is "
            f"{output.shape[-1]} wide, got {low} to {high}"
        )
