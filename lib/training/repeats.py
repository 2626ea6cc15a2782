"""Seeds for runs that are repeated."""

import os

from lib.checks import check_count


def seeds(count):
    """The seeds 0, 1, ..., count - 1, all moved by the environment variable ``SEED_OFFSET``.

    What a chapter shows has to hold for other seeds too: with ``SEED_OFFSET=1000`` in the
    environment every run of it takes others, and its asserts still have to hold.

    Args:
        count: how many, at least 1.

    Returns:
        A range of ints.

    Raises:
        TypeError: count is not an int.
        ValueError: count is below 1, or ``SEED_OFFSET`` is not a whole number of 0 or more.

    >>> from unittest.mock import patch
    >>> with patch.dict("os.environ", SEED_OFFSET="1000"):
    ...     list(seeds(3))
    [1000, 1001, 1002]
    """
    offset = os.environ.get("SEED_OFFSET", "0")
    if not (offset.isascii() and offset.isdigit()):
        raise ValueError(f"SEED_OFFSET must be a whole number of 0 or more, got {offset!r}")
    return range(int(offset), int(offset) + check_count("count", count))
