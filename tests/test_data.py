import gzip
import struct
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from lib.checks import check_examples, check_label
from lib.data import batches, digits, idx_images, ten_points

DIGITS = digits(torch.float64)


def rows(number):
    """A tensor whose row i is [i, i] and its label -i: rows that can be told apart."""
    return torch.arange(number)[:, None].expand(-1, 2), -torch.arange(number)


def test_digits_are_scikit_learns_in_the_documented_order():
    source = load_digits()
    order = np.random.default_rng(0).permutation(1797)
    x = torch.cat([DIGITS.x_train, DIGITS.x_test]).numpy()
    label = torch.cat([DIGITS.label_train, DIGITS.label_test]).numpy()
    np.testing.assert_array_equal(x * 16, source.data[order])
    np.testing.assert_array_equal(label, source.target[order])
    assert len(DIGITS.x_train) == len(DIGITS.label_train) == 1200
    assert len(DIGITS.x_test) == len(DIGITS.label_test) == 597


def test_digits_have_the_documented_facts():
    x = torch.cat([DIGITS.x_train, DIGITS.x_test])
    assert (x == 0).all(0).sum() == 3
    assert (x.min(), x.max()) == (0, 1)
    train, test = DIGITS.label_train.bincount(), DIGITS.label_test.bincount()
    assert train.tolist() == [117, 120, 109, 130, 116, 119, 119, 130, 120, 120]
    assert test.tolist() == [61, 62, 68, 53, 65, 63, 62, 49, 54, 60]


def test_digits_come_in_the_asked_dtype_and_split():
    assert DIGITS.x_test.dtype == torch.float64
    assert digits().x_train.dtype == torch.float32
    other = digits(num_train=1000, seed=1)
    assert (len(other.x_train), len(other.x_test)) == (1000, 797)
    assert not torch.equal(other.label_train, DIGITS.label_train[:1000])


@pytest.mark.parametrize(
    ("num_train", "error"), [(0, ValueError), (1797, ValueError), (0.5, TypeError)]
)
def test_digits_refuse_an_empty_side(num_train, error):
    with pytest.raises(error, match="num_train must be"):
        digits(num_train=num_train)


@pytest.mark.parametrize("make", [digits, ten_points, partial(idx_images, "nowhere")])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.bool, torch.complex64, "float32", None])
def test_data_refuse_a_dtype_that_is_not_floating(make, dtype):
    with pytest.raises(TypeError, match="dtype must be a floating type"):
        make(dtype=dtype)


@pytest.mark.parametrize("make", [digits, partial(batches, torch.arange(3), batch_size=2)])
def test_data_refuse_a_seed_that_is_no_int_of_64_bits(make):
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match=r"seed must be 0 to 2\^64 - 1"):
            make(seed=seed)
    for seed in (None, 1.5, "1", [1, 2]):
        with pytest.raises(TypeError, match="seed must be an int"):
            make(seed=seed)


def test_data_take_a_seed_from_numpy():
    assert torch.equal(digits(seed=np.int64(3)).x_test, digits(seed=3).x_test)
    assert len(list(batches(torch.arange(3), batch_size=2, seed=np.int64(3)))) == 2


def test_ten_points_have_the_minimum_and_curvature_of_the_course():
    x, y = (column.numpy() for column in ten_points())
    design = np.stack([np.ones(10), x], axis=1)
    (b, w), *_ = np.linalg.lstsq(design, y)
    assert (round(b, 3), round(w, 5)) == (-188.433, 2.66945)
    low, high = np.linalg.eigvalsh(2 * design.T @ design)
    assert (round(low, 4), round(high)) == (5.5735, 1746830)
    assert round(high / low) == 313418
    # The loss turns from falling to growing along the steep direction at lr = 2 / eigenvalue.
    assert f"{2 / high:.5e}" == "1.14493e-06"


@given(st.data())
def test_batches_visit_each_example_once_in_aligned_rows(data):
    number = data.draw(st.integers(1, 40), "examples")
    batch_size = data.draw(st.integers(1, number), "batch_size")
    x, label = rows(number)
    seed = data.draw(st.integers(0, 2**32), "seed")
    parts = list(batches(x, label, batch_size=batch_size, seed=seed))
    full, short = divmod(number, batch_size)
    assert [len(part) for part, _ in parts] == [batch_size] * full + [short] * (short > 0)
    x_all, label_all = (torch.cat(column) for column in zip(*parts, strict=True))
    assert torch.equal(x_all[:, 0], -label_all)
    assert sorted(x_all[:, 0].tolist()) == list(range(number))


def test_batches_are_repeated_by_an_int_and_renewed_by_a_generator():
    def order(seed):
        return torch.cat([x for (x,) in batches(torch.arange(50), batch_size=7, seed=seed)])

    assert torch.equal(order(3), order(3))
    assert not torch.equal(order(3), order(4))
    generator = torch.Generator().manual_seed(3)
    first, second = order(generator), order(generator)
    assert torch.equal(first, order(3))
    assert not torch.equal(first, second)


def test_batches_put_each_example_in_every_place_equally_often():
    generator = torch.Generator().manual_seed(0)
    first = [next(batches(torch.arange(5), batch_size=1, seed=generator)) for _ in range(5000)]
    counts = torch.cat([x for (x,) in first]).bincount(minlength=5)
    # Binomial: mean 1000, standard deviation 28.
    assert ((counts - 1000).abs() < 5 * 28).all()


def test_batches_leave_the_global_random_numbers_alone():
    before = torch.get_rng_state()
    list(batches(*rows(10), batch_size=3, seed=0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("batch_size", "error"),
    [(0, ValueError), (-1, ValueError), (11, ValueError), (2.0, TypeError), ("all", TypeError)],
)
def test_batches_refuse_a_batch_size_that_is_no_part_of_the_data(batch_size, error):
    with pytest.raises(error, match=r"batch_size must be"):
        batches(*rows(10), batch_size=batch_size, seed=0)


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ([], ValueError, "none was given"),
        ([torch.zeros(0, 3)], ValueError, r"tensors\[0\] has no examples: its shape is \(0, 3\)"),
        ([torch.tensor(1.0)], ValueError, r"tensors\[0\] has no examples: its shape is \(\)"),
        ([torch.zeros(4), torch.zeros(3)], ValueError, r"tensors\[1\] has 3 rows, .* has 4"),
        ([(x for x in range(4))], TypeError, r"tensors\[0\] must be a tensor .* got generator"),
        ([np.zeros(4)], TypeError, r"tensors\[0\] must be a tensor .* got ndarray"),
        ([torch.tensor([0.0, torch.nan])], ValueError, r"tensors\[0\] holds NaN or infinity"),
        ([torch.zeros(2), torch.tensor([torch.inf, 0])], ValueError, r"tensors\[1\] holds NaN"),
        ([torch.tensor([0, -torch.inf])], ValueError, r"tensors\[0\] holds NaN or infinity"),
        ([torch.tensor([1j])], TypeError, r"tensors\[0\] must be real"),
        ([torch.eye(2).to_sparse()], TypeError, r"tensors\[0\] must be real numbers in a dense"),
    ],
)
def test_batches_refuse_what_is_no_data_set(tensors, error, message):
    with pytest.raises(error, match=message):
        batches(*tensors, batch_size=1, seed=0)


@given(st.integers(1, 50), st.data())
def test_check_examples_finds_one_bad_number_anywhere(number, data):
    x = torch.zeros(number, 3)
    check_examples(x=x)
    at = data.draw(st.integers(0, 3 * number - 1))
    x.view(-1)[at] = data.draw(st.sampled_from([torch.nan, torch.inf, -torch.inf]))
    with pytest.raises(ValueError, match="x holds NaN or infinity"):
        check_examples(x=x)


@pytest.mark.parametrize(
    ("label", "output"),
    [
        (torch.tensor([0, 2, 1]), torch.zeros(2, 3)),  # class numbers
        (torch.zeros(3, 5, dtype=torch.int64), torch.zeros(2, 5, 4)),  # a class for each of 5
        (torch.zeros(3, 3), torch.zeros(2, 3)),  # probabilities, or a regression
        (torch.zeros(3), torch.zeros(2)),
    ],
)
def test_check_label_takes_what_pairs_with_the_output(label, output):
    check_label(label, output)


@pytest.mark.parametrize(
    ("label", "output", "message"),
    [
        (torch.tensor([0, 3]), torch.zeros(2, 3), "class numbers 0 to 2, .* got 0 to 3"),
        (torch.tensor([0, 0, -1]), torch.zeros(2, 3), "class numbers 0 to 2, .* got -1 to 0"),
        (torch.tensor([[0], [1]]), torch.zeros(2, 3), r"shape \(2,\) .* got \(2, 1\)"),
        (torch.tensor([0, 1]), torch.zeros(2), r"shape \(\) .* class numbers, got \(2,\)"),
        (torch.zeros(2), torch.zeros(2, 1), r"shape \(2, 1\) .* floating, got \(2,\)"),
        (torch.zeros(2, 4), torch.zeros(2, 3), r"shape \(2, 3\) .* floating, got \(2, 4\)"),
    ],
)
def test_check_label_refuses_what_does_not_pair(label, output, message):
    with pytest.raises(ValueError, match=f"^label must .*{message}"):
        check_label(label, output)


@pytest.mark.parametrize(
    ("label", "output", "error"),
    [
        ([0], torch.zeros(1, 3), TypeError),
        (torch.tensor([0]), [0.0], TypeError),
        (torch.tensor([True]), torch.zeros(1, 3), TypeError),
        (torch.tensor([1j]), torch.zeros(1, 3), TypeError),
        (torch.tensor([0]), torch.tensor(1.0), ValueError),
        (torch.zeros(0, 3), torch.zeros(0, 3), ValueError),
    ],
)
def test_check_label_refuses_what_are_no_labels_or_outputs(label, output, error):
    with pytest.raises(error, match=r"(label|output) must"):
        check_label(label, output)


def write_idx(path, array, opener=open):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    with opener(path, "wb") as file:
        file.write(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def idx_folder(tmp_path):
    """Three training images of 2 x 4 pixels, plain, and two test images, gzipped."""
    write_idx(tmp_path / "train-images-idx3-ubyte", np.arange(24).reshape(3, 2, 4))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([7, 0, 9]))
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.full((2, 2, 4), 255), gzip.open)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.array([1, 2]), gzip.open)
    return tmp_path


def test_idx_images_reads_plain_and_gzipped_files(idx_folder):
    images = idx_images(str(idx_folder), dtype=torch.float64)
    torch.testing.assert_close(images.x_train * 255, torch.arange(24.0).double().view(3, 8))
    assert images.label_train.tolist() == [7, 0, 9]
    assert torch.equal(images.x_test, torch.ones(2, 8).double())
    assert images.label_test.tolist() == [1, 2]
    assert images.label_train.dtype == torch.int64


def test_idx_images_names_the_missing_file(idx_folder):
    (idx_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither t10k-labels-idx1-ubyte nor .*\.gz"):
        idx_images(idx_folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08\x01\0\0\0\x03\1\2",  # a label short
        b"\0\0\x08\x01\0\0\0\x03\1\2\3\4",  # a label long
        b"\0\0\x0d\x01\0\0\0\x03\1\2\3",  # four-byte floats
        b"\0\0\x08\x02\0\0\0\x03\0\0\0\x01\1\2\3",  # two dimensions
    ],
)
def test_idx_images_refuses_a_broken_file(idx_folder, content):
    (idx_folder / "train-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte is not a whole idx file"):
        idx_images(idx_folder)


def test_idx_images_refuses_images_without_their_labels(idx_folder):
    write_idx(idx_folder / "train-labels-idx1-ubyte", np.array([7, 0]))
    with pytest.raises(ValueError, match="3 train images but 2 labels"):
        idx_images(idx_folder)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"\0\0\x08\x01\0\0\0\x01\7")[:-9]])
def test_idx_images_refuses_a_broken_gzip_file(idx_folder, content):
    (idx_folder / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte\.gz is not a whole gzipped file"):
        idx_images(idx_folder)


def test_idx_images_refuses_a_set_without_images(idx_folder):
    write_idx(idx_folder / "train-images-idx3-ubyte", np.zeros((0, 2, 4)))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte is not a whole idx file"):
        idx_images(idx_folder)


def test_idx_images_refuses_what_is_no_path():
    with pytest.raises(TypeError, match="folder must be a path, got None"):
        idx_images(None)
