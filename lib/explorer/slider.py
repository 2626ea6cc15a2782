"""A slider: a name, its values, and how both are printed."""

import copy
import itertools
import math
import operator
import re
import unicodedata

MOST = 1000  # values, and states of an explorer
WORDS = {"lr": "η", "eps": "ε", "momentum": "momentum λ", "batch_size": "batch size B"}
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def label_of(name):
    """The label of a slider named `name`: its symbol where the course has one.

    Names of Greek letters become the letter, digits at the end an index, underscores spaces.

    >>> label_of("eta"), label_of("momentum"), label_of("w1"), label_of("warm_up")
    ('η', 'momentum λ', 'w₁', 'warm up')
    """
    if name in WORDS:
        return WORDS[name]
    stem, index = re.fullmatch(r"(.*?)_?(\d*)", name).groups()
    try:
        stem = unicodedata.lookup(f"GREEK SMALL LETTER {stem}")
    except KeyError:
        stem = stem.replace("_", " ")
    return stem + index.translate(SUBSCRIPTS)


def texts_of(values):
    """How the values print: three significant digits or fewer, and never two alike.

    A value that three digits give exactly is printed so. Of the others, spaced evenly or by a
    factor, each gets the fewest digits that keep it within 6 % and apart from the rest.

    Args:
        values: a sequence of numbers, or of anything else (printed by `str`).

    Returns:
        a list of strings, one for each value, with the minus sign "−".

    >>> texts_of([0.001, 0.0031622776601683794, 0.01, 0.3])
    ['0.001', '0.003', '0.01', '0.3']
    >>> texts_of([-1.0, 0.30000000000000004, 1 / 7, 1e-7, 1200, "all"])
    ['−1', '0.3', '0.14', '1e-7', '1200', 'all']
    """
    for digits in range(1, 18):
        texts = [_text(value, digits) for value in values]
        if all(texts) and len(set(texts)) == len(texts):
            return texts
    return [str(value) for value in values]


def _text(value, digits):
    """`value` in `digits` digits, or in as few as three if those are exact; None if too far off."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    text = str(value)
    if isinstance(value, float):
        exact = (d for d in (1, 2, 3) if math.isclose(float(f"{value:.{d}g}"), value, rel_tol=1e-9))
        printed = float(f"{value:.{next(exact, digits)}g}")
        if not abs(printed - value) <= 0.06 * abs(value):
            return None
        text = re.sub(r"e\+?(-?)0*", r"e\1", f"{printed:.{max(6, digits)}g}")
    return re.sub("^-", "−", text)


class Slider:
    """The values one argument of `draw` may take.

    Args:
        values: 2 to 1,000 values, all different in value and in print, none NaN or infinite: a
            list, a range, an array or a 1-D tensor. `draw` gets them as plain Python numbers,
            exactly.
        label: what stands before the slider; by default the argument's symbol or name.
        start: the value shown first, one of `values`; by default the first.

    Raises:
        TypeError: values is no such sequence, or holds arrays; label is not a string.
        ValueError: there are too few or too many values, some are alike or not finite, or start
            is none of them.

    >>> Slider([0.1, 0.3, 1.0], start=0.3).start
    1
    """

    def __init__(self, values, label=None, start=None):
        ordered = hasattr(values, "__iter__") and not isinstance(values, str | bytes | type)
        if not ordered or getattr(values, "ndim", 1) != 1:
            raise TypeError(f"values must be a sequence of values, got {values!r}")
        self.values = [_plain(value) for value in itertools.islice(values, MOST + 1)]
        if len(self.values) < 2:
            raise ValueError(f"values must be at least two, got {self.values}")
        if len(self.values) > MOST:
            raise ValueError(f"values must be at most {MOST}, got more")
        if not (label is None or isinstance(label, str)):
            raise TypeError(f"label must be a string or None, got {label!r}")
        for value in self.values:
            if value != value or value in (math.inf, -math.inf):
                raise ValueError(f"values must be finite, got {value}")
            if self.values.count(value) > 1:
                raise ValueError(f"values must differ from one another, got {value!r} twice")
        self.label = label
        self.texts = texts_of(self.values)
        for text in self.texts:
            if self.texts.count(text) > 1:
                raise ValueError(f"values must print differently, got {text!r} twice")
        self.start = 0 if start is None else self._index(start)

    def _index(self, start):
        plain = _plain(start, "start")
        for same, wanted in ((operator.eq, start), (_close, plain)):
            for i, value in enumerate(self.values):
                if same(value, wanted):
                    return i
        raise ValueError(f"start must be one of the values, {', '.join(self.texts)}, got {start!r}")


def _plain(value, name="values"):
    """A number of NumPy or torch as Python's own; arrays are refused."""
    if not hasattr(type(value), "ndim"):
        return value
    if value.ndim > 0:
        raise TypeError(f"{name} must be single values, got {value!r}")
    return value.item()


def _close(a, b):
    try:
        return math.isclose(a, b, rel_tol=1e-9)
    except (TypeError, OverflowError):  # no numbers, or too large for a float
        return False


def named(sliders):
    """`explore`'s keyword arguments as Sliders by name, each with a label.

    >>> named({"eta": [0.1, 0.3]})["eta"].label
    'η'
    """
    result = {}
    for name, given in sliders.items():
        if not name.isidentifier():
            raise ValueError(f"sliders must be named as arguments of draw are, got {name!r}")
        try:
            slider = copy.copy(given) if isinstance(given, Slider) else Slider(given)
        except (TypeError, ValueError) as error:
            raise type(error)(f"slider {name}: {error}") from None
        slider.label = slider.label or label_of(name)
        result[name] = slider
    return result


def values_at(sliders, indices):
    """The state of a figure: one value of each slider, by the slider's name."""
    return {
        name: slider.values[i] for (name, slider), i in zip(sliders.items(), indices, strict=True)
    }


def spoken(sliders, indices):
    """The state in words: "η = 0.3, momentum λ = 0.9"."""
    return ", ".join(
        f"{slider.label} = {slider.texts[i]}"
        for slider, i in zip(sliders.values(), indices, strict=True)
    )
