"""Data on any input: every row once and in its place, or an error."""

import gzip
import math
import operator
import struct
import tempfile
from pathlib import Path

import numpy as np
import torch
from fuzzing import (
    DTYPES,
    FLOATS,
    INTEGERS,
    answer,
    anything,
    finite,
    fuzz,
    mostly,
    shapes,
    tensors,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.checks import check_count, check_examples, check_label
from lib.data import batches, digits, idx_images, ten_points

dtypes = st.sampled_from(DTYPES) | anything
integers = st.integers(-3, 12) | st.sampled_from(
    (True, 2.0, 10**30, np.int64(2), np.array(3), torch.tensor(2), torch.tensor(2.0), math.nan)
)
seeds = mostly(
    st.integers(0, 2**64 - 1), st.sampled_from((-1, 2**64, -(2**70))) | integers, anything
)


def as_int(value):
    """The value as an int, or None."""
    try:
        return operator.index(value)
    except TypeError:
        return None


def is_seed(value):
    return as_int(value) is not None and 0 <= as_int(value) < 2**64


def columns_of(n):
    """Lists of tensors of n rows, most of them data."""
    rows = st.lists(st.integers(1, 3), max_size=2).map(lambda shape: (n, *shape))
    good = tensors(DTYPES[:-2], rows, st.integers(0, 100))
    any_rows = shapes.map(lambda shape: (n, *shape))
    mixed = st.lists(mostly(good, tensors(shapes=any_rows), anything), max_size=3)
    return mostly(st.lists(good, min_size=1, max_size=3), mixed)


def is_data(t):
    good = torch.is_tensor(t) and not t.is_complex() and t.ndim > 0 and t.numel() > 0
    return good and bool(t.isfinite().all())


@given(
    dtype=mostly(st.sampled_from(FLOATS), dtypes),
    num_train=mostly(st.integers(1, 1796), st.sampled_from((0, 1797)) | integers),
    seed=seeds,
)
@settings(fuzz, max_examples=fuzz.max_examples // 2)
def test_digits_are_split_as_asked_or_refused(dtype, num_train, seed):
    count = as_int(num_train)
    fits = dtype in FLOATS if isinstance(dtype, torch.dtype) else False
    fits = fits and count is not None and 1 <= count <= 1796 and is_seed(seed)
    split = answer(lambda: digits(dtype, num_train, seed), fits, "dtype", "num_train", "seed")
    if split is not None:
        assert split.x_train.shape == (count, 64)
        assert split.x_test.shape == (1797 - count, 64)
        assert {split.x_train.dtype, split.x_test.dtype} == {dtype}
        numbers = torch.cat([split.label_train, split.label_test]).bincount()
        assert numbers.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@given(dtype=mostly(st.sampled_from(FLOATS), dtypes))
@fuzz
def test_ten_points_are_those_of_lee_or_refused(dtype):
    fits = isinstance(dtype, torch.dtype) and dtype in FLOATS
    points = answer(lambda: ten_points(dtype), fits, "dtype")
    if points is not None:
        x, y = points
        assert x.dtype == y.dtype == dtype
        if dtype != torch.bfloat16:  # of 8 bits, too few for 333
            assert (x.sum(), y.sum()) == (2510, 4816)


@given(data=st.data())
@fuzz
def test_batches_are_rows_of_all_tensors_or_refused(data):
    n = data.draw(st.integers(1, 6))
    columns = data.draw(columns_of(n))
    batch_size = data.draw(mostly(st.integers(1, n), integers))
    own = data.draw(st.booleans())
    seed = torch.Generator().manual_seed(7) if own else data.draw(seeds)
    size = as_int(batch_size)
    fits = len(columns) > 0 and all(map(is_data, columns)) and len({len(t) for t in columns}) == 1
    fits = fits and size is not None and 1 <= size <= len(columns[0]) and (own or is_seed(seed))
    names = ("tensors", "batch_size", "seed")
    made = answer(lambda: batches(*columns, batch_size=batch_size, seed=seed), fits, *names)
    if made is not None:
        made = list(made)
        assert [len(part[0]) for part in made[:-1]] == [size] * (len(made) - 1)
        assert sum(len(part[0]) for part in made) == n
        order = torch.Generator().manual_seed(7 if own else operator.index(seed))
        order = torch.randperm(n, generator=order)
        for t, parts in zip(columns, zip(*made, strict=True), strict=True):
            assert torch.equal(torch.cat(parts), t[order])


@given(number=integers | anything, largest=st.integers(1, 9) | st.just(math.inf))
@fuzz
def test_check_count_gives_the_int_or_refuses(number, largest):
    count = as_int(number)
    fits = count is not None and 1 <= count <= largest
    checked = answer(lambda: check_count("number", number, largest), fits, "number")
    assert checked is None or (type(checked) is int and checked == count)


@given(data=st.data())
@fuzz
def test_check_examples_refuses_what_is_no_data(data):
    values = data.draw(columns_of(data.draw(st.integers(0, 3))))
    columns = dict(zip(("x", "label", "weight"), values, strict=False))
    fits = len(values) > 0 and all(map(is_data, values)) and len({len(t) for t in values}) == 1
    answer(lambda: check_examples(**columns), fits, *columns, "tensors")


@given(data=st.data())
@fuzz
def test_check_label_takes_what_pairs_with_the_output_or_refuses(data):
    outputs = tensors(
        FLOATS, st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple), finite
    )
    output = data.draw(mostly(outputs, anything))
    shape = tuple(output.shape) if torch.is_tensor(output) else (2, 3)
    classes = tensors(INTEGERS, st.just(shape[:-1]), st.integers(0, shape[-1] - 1 if shape else 0))
    nearly = tensors(INTEGERS, st.just(shape[:-1]), st.integers(0, shape[-1] if shape else 1))
    good = classes | tensors(FLOATS, st.just(shape), finite)
    label = data.draw(mostly(good, nearly, anything))
    fits = all(torch.is_tensor(t) and t.ndim and t.numel() for t in (label, output))
    if fits and label.is_floating_point():
        fits = label[: len(output)].shape == output.shape
    elif fits:
        fits = label.dtype in INTEGERS and label[: len(output)].shape == output.shape[:-1]
        fits = fits and label.min() >= 0 and label.max() < output.shape[-1]
    answer(lambda: check_label(label, output), fits, "label", "output")


HEADERS = {"images": (3, (2, 2, 3)), "labels": (1, (2,))}


def idx(dimensions, shape):
    return struct.pack(f">BBBB{dimensions}I", 0, 0, 8, dimensions, *shape) + bytes(math.prod(shape))


@st.composite
def files(draw, kind):
    """What an idx file holds (False where it is broken), its ending, and its bytes."""
    dimensions, shape = HEADERS[kind]
    content = draw(mostly(st.just(idx(dimensions, shape)), st.binary(max_size=40)))
    how = draw(mostly(st.just("as it is"), st.sampled_from(("changed", "cut", "longer"))))
    if how == "changed" and content:
        at = draw(st.integers(0, len(content) - 1))
        content = content[:at] + draw(st.binary(min_size=1, max_size=1)) + content[at + 1 :]
    elif how == "cut":
        content = content[: draw(st.integers(0, len(content)))]
    elif how == "longer":
        content += draw(st.binary(min_size=1, max_size=5))
    packed = draw(mostly(st.sampled_from(("plain", "gzip")), st.just("broken gzip")))
    whole = packed != "broken gzip" and is_idx(content, dimensions)
    if packed == "plain":
        return whole and content, "", content
    squeezed = gzip.compress(content)
    if packed == "broken gzip":
        squeezed = squeezed[: draw(st.integers(1, len(squeezed) - 1))]
    return whole and content, ".gz", squeezed


def is_idx(content, dimensions):
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes((0, 0, 8, dimensions)):
        return False
    size = math.prod(struct.unpack(f">{dimensions}I", content[4:start]))
    return size > 0 and len(content) == start + size


@given(images=files("images"), labels=files("labels"))
@example(
    (idx(3, (2, 1, 1)), "", idx(3, (2, 1, 1))), (idx(1, (2,)), ".gz", gzip.compress(idx(1, (2,))))
)
@fuzz
def test_idx_images_reads_whole_files_or_refuses(images, labels):
    with tempfile.TemporaryDirectory() as folder:
        for part in ("train", "t10k"):
            for name, (_, ending, content) in zip(
                ("images-idx3", "labels-idx1"), (images, labels), strict=True
            ):
                (Path(folder) / f"{part}-{name}-ubyte{ending}").write_bytes(content)
        pictures, numbers = images[0], labels[0]
        fits = bool(pictures and numbers) and pictures[4:8] == numbers[4:8]
        split = answer(lambda: idx_images(folder), fits, "idx", "train images")
        if split is not None:
            count = int.from_bytes(numbers[4:8], "big")
            pixels = np.frombuffer(pictures[16:], np.uint8).reshape(count, -1)
            assert torch.equal(split.x_train * 255, torch.tensor(pixels, dtype=torch.float32))
            assert split.label_test.tolist() == list(numbers[8:])
