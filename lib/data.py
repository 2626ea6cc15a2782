"""The course's data: handwritten digits, Lee's ten points, and how to take batches of them."""

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lib.checks import check_count, check_examples, check_floating, check_seed, generator_of


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
        seed: an int for the shuffle, ``np.random.default_rng(seed).permutation``.

    Returns:
        Split: x (N, 64) in [0, 1], the pixels divided by 16, and label (N,) in 0, ..., 9.

    Raises:
        TypeError: num_train or seed is not an int, or dtype not a floating type.
        ValueError: num_train leaves nothing to train on or nothing to test on, or seed is not
            0 to 2^64 - 1.

    >>> x_train, label_train, x_test, label_test = digits()
    >>> x_train.shape, x_test.shape
    (torch.Size([1200, 64]), torch.Size([597, 64]))
    >>> label_train[:5]
    tensor([6, 6, 6, 2, 5])
    """
    from sklearn.datasets import load_digits  # a slow import that other data need not wait for

    check_floating(dtype)
    pixels, label = load_digits(return_X_y=True)
    num_train = check_count("num_train", num_train, len(label) - 1)
    order = np.random.default_rng(check_seed(seed)).permutation(len(label))
    x = torch.as_tensor(pixels[order] / 16, dtype=dtype)
    label = torch.as_tensor(label[order], dtype=torch.int64)
    return Split(x[:num_train], label[:num_train], x[num_train:], label[num_train:])


def ten_points(dtype=torch.float64):
    """The ten points of Hung-yi Lee's regression y = b + w x, with summed squared error.

    Its minimum, b = -188.433 and w = 2.66945, lies in a valley so narrow that the Hessian's two
    eigenvalues differ by a factor of 313,418.

    Returns:
        x (10,) and y (10,).

    Raises:
        TypeError: dtype is not a floating type.

    >>> x, y = ten_points()
    >>> w = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    >>> print(f"{w:.5f}")
    2.66945
    """
    check_floating(dtype)
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
        TypeError: folder is not a path, or dtype not a floating type.
        ValueError: a file is not what its name says, or images and labels differ in number.
    """
    check_floating(dtype)
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be a path, got {folder!r}")
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
            try:
                with opener(path, "rb") as file:
                    content = file.read()
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise ValueError(f"{path} is not a whole gzipped file: {error}") from error
            break
    else:
        raise FileNotFoundError(f"folder {folder} has neither {name} nor {name}.gz")
    start = 4 + 4 * dimensions
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    size = math.prod(shape)
    if content[:4] != bytes((0, 0, 8, dimensions)) or not size or len(content) != start + size:
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
        TypeError: what is given for a tensor is not one, dense and real, or batch_size or seed is
            not an int.
        ValueError: batch_size is outside 1 to N, or seed 0 to 2^64 - 1; tensors are empty, differ
            in length, or hold NaN or infinity.

    >>> x = torch.arange(20)
    >>> [len(x_batch) for (x_batch,) in batches(x, batch_size=8, seed=0)]
    [8, 8, 4]
    """
    check_examples(**{f"tensors[{i}]": tensor for i, tensor in enumerate(tensors)})
    num_examples = len(tensors[0])
    batch_size = check_count("batch_size", batch_size, num_examples)
    generator = seed if isinstance(seed, torch.Generator) else generator_of(seed)
    order = torch.randperm(num_examples, generator=generator).to(tensors[0].device)
    return (tuple(tensor[rows] for tensor in tensors) for rows in order.split(batch_size))
