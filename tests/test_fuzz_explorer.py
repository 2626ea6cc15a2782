"""Explorers of any values: the states that were asked for, as they were drawn, or an error."""

import base64
import json
import math
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from numbers import Real
from unittest.mock import patch

import numpy as np
import pytest
import torch
from fuzzing import FLOATS, INTEGERS, answer, anything, fuzz, inf, junk, mostly, nan, tensors
from hypothesis import given, settings
from hypothesis import strategies as st
from test_explorer_bake import afresh, decode, states_of

from lib.explorer import Slider, explore
from lib.explorer.codec import encode
from lib.explorer.delta import Slot
from lib.explorer.live import Live
from lib.explorer.slider import label_of

few = settings(fuzz, max_examples=fuzz.max_examples // 4)
scalars = (
    st.integers(-5, 5)
    | st.floats()
    | st.sampled_from((10**400, -(10**20), True, "1", "", "all", None, Fraction(1, 2), 1j))
    | st.sampled_from((0.1 + 0.2, 0.3, 1e-320, 1 + 1e-12, np.float32(0.1), torch.tensor(2.5)))
)
not_called = junk.filter(lambda thing: not callable(thing))
lists = st.lists(scalars, max_size=5)
vectors = tensors((*FLOATS, *INTEGERS), st.tuples(st.integers(0, 5)))
values = mostly(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20, unique=True),
    lists | lists.map(tuple) | vectors | vectors.map(lambda t: t.detach().double().numpy()),
    anything,
)


def plain(value):
    return value.item() if torch.is_tensor(value) or isinstance(value, np.generic) else value


def states(values):
    """What a slider's values are, and whether they fit: in number, in value and in print."""
    if torch.is_tensor(values) or isinstance(values, np.ndarray):
        values = values.tolist() if values.ndim == 1 else None
    if not isinstance(values, list | tuple | dict | set):
        return [], False
    values = [plain(value) for value in values]
    finite = all(v == v and abs(v) < inf for v in values if isinstance(v, Real | complex))
    apart = all(a != b for i, a in enumerate(values) for b in values[:i])
    words = [v for v in values if not isinstance(v, float)]
    return values, len(values) > 1 and finite and apart and len({*map(str, words)}) == len(words)


@given(values=values, start=st.none() | scalars, label=st.none() | st.text() | junk, data=st.data())
@fuzz
def test_slider_keeps_its_values_and_prints_them_apart_or_refuses(values, start, label, data):
    expected, fits = states(values)
    if fits and data.draw(st.booleans()):
        start = data.draw(st.sampled_from(expected))
    wanted = plain(start)
    found = [i for i, value in enumerate(expected) if value == wanted]
    if not found and isinstance(wanted, float):
        numbers = [v if isinstance(v, int | float) and abs(v) < 1e300 else nan for v in expected]
        found = [i for i, value in enumerate(numbers) if math.isclose(value, wanted)]
    fits = fits and (start is None or found) and (label is None or isinstance(label, str))
    slider = answer(
        lambda: Slider(values, label=label, start=start), fits, "values", "start", "label"
    )
    if slider is not None:
        assert slider.values == expected
        assert [type(value) for value in slider.values] == [type(value) for value in expected]
        assert slider.start == (0 if start is None else found[0])
        assert len(set(slider.texts)) == len(expected)
        for text, value in zip(slider.texts, expected, strict=True):
            if isinstance(value, float):
                assert float(text.replace("−", "-")) == pytest.approx(value, rel=0.06, abs=0)


@given(name=st.from_regex(r"[^\W\d]\w*", fullmatch=True) | st.sampled_from(("eta", "w_1", "_")))
@fuzz
def test_label_of_any_name_is_a_word(name):
    assert isinstance(label_of(name), str)


VALUES = {"eta": [0.1, 0.3], "step": range(3)}
ARGUMENTS = {
    "draw": not_called,
    "alt": mostly(st.text(), not_called) | not_called.map(lambda said: lambda **values: said),
    "figsize": mostly(st.tuples(st.floats(0.5, 9), st.floats(0.5, 9)), st.tuples(scalars), lists)
    | junk,
    "name": st.from_regex("[a-z0-9-]{1,5}", fullmatch=True) | st.text(max_size=3) | junk,
    "play": st.sampled_from(("eta", "step", "a")) | junk,
    "sliders": st.dictionaries(
        st.sampled_from(("a", "b", "c", "lr", "a b", "", 'x" y="')), st.just([1, 2]), max_size=4
    ),
}


def fits(name, value):
    if name == "draw":
        return False
    if name == "alt":
        return isinstance(value, str) and bool(value.strip())
    if name == "figsize":
        size = isinstance(value, tuple | list | np.ndarray) and len(value) == 2
        sides = size and all(isinstance(side, Real) and 0 < side <= 1000 for side in value)
        return value is None or sides
    if name == "name":
        return value is None or (
            isinstance(value, str) and all(re.fullmatch("[a-z0-9]+", w) for w in value.split("-"))
        )
    if name == "play":
        return value is None or (isinstance(value, str) and value in VALUES)
    return 1 <= len(value) <= 3 and all(re.fullmatch(r"\w+", key) for key in value)


def dot(fig, **values):
    fig.add_axes((0, 0, 1, 1), xticks=[], yticks=[]).plot([0], [0], "o")


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
@few
def test_explore_takes_arguments_that_fit_or_refuses(name, data):
    value = data.draw(ARGUMENTS[name])
    sliders = value if name == "sliders" else VALUES
    given_ones = {"draw": dot, "alt": "A dot."} | ({} if name == "sliders" else {name: value})
    said = value() if name == "alt" and callable(value) else value
    fit = fits(name, said)
    live = answer(lambda: explore(given_ones.pop("draw"), **given_ones, **sliders), fit, name)
    if live is not None:
        assert isinstance(live, Live)
        shown = live._repr_mimebundle_()["text/plain"]
        assert shown == (said if name == "alt" else "A dot.")


points = st.lists(st.floats(-1e9, 1e9) | st.sampled_from((nan, inf, 1e-300)), max_size=4)
letters = st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="$")
titles = mostly(
    st.sampled_from(("a", '<&>"', "--> b", "\x00", "\x1f")), st.text(letters, max_size=4)
)
drawn_states = st.lists(
    st.tuples(points, titles, st.sampled_from("o.x"), st.booleans()), min_size=2, max_size=4
)


def draw_of(drawn, updates):
    """A `draw` of these states: afresh each time, or by moving what is there."""

    def draw(fig, i):
        ax = fig.add_axes((0.1, 0.1, 0.8, 0.7), xlim=(-1, 4), ylim=(-5, 5))
        (line,) = ax.plot([], [], "-")
        extra = ax.text(0, 0, "extra")

        def update(i):
            y, title, marker, shown = drawn[i]
            line.set_data(range(len(y)), y)
            line.set_marker(marker)
            ax.set_title(title, parse_math=False)
            extra.set_visible(shown)

        update(i)
        return update if updates else None

    return draw


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@given(drawn=drawn_states, updates=st.booleans())
@few
def test_explore_bakes_and_shows_what_draw_draws(drawn, updates):
    draw, sliders = draw_of(drawn, updates), {"i": range(len(drawn))}
    with patch.dict("os.environ", EXPLORER_BAKE="tried"):
        baked = explore(draw, alt="Points.", figsize=(2, 2), **sliders)
    expected = [afresh(draw, {"i": i}, (2, 2)) for i in range(len(drawn))]
    if len(set(expected)) > 1:
        assert list(states_of(baked)) == expected
    live = explore(draw, alt="Points.", figsize=(2, 2), **sliders)
    pictures = []
    for i in (*range(len(drawn)), 0):
        live._controls["i"].index = i
        assert live._trouble.value == ""
        source = re.search('base64,([^"]+)', live._picture.value)[1]
        pictures.append(base64.b64decode(source).decode())
        ET.fromstring(pictures[-1])
    assert pictures[0] == pictures[-1]
    same = [[a == b for a in pictures[:-1]] for b in pictures[:-1]]
    assert same == [[a == b for a in expected] for b in expected]


pieces = st.text(max_size=5) | st.sampled_from(("M ", " L ", "0.5", "-1.25", "1e5", ".5", "007"))
pieces |= st.floats().map(str) | st.integers(-(10**9), 10**9).map(lambda n: f" {n / 100}")
contents = st.lists(st.lists(pieces, max_size=30).map("".join), min_size=1, max_size=4, unique=True)


@given(contents=contents, data=st.data())
@fuzz
def test_encode_is_read_back(contents, data):
    shown = data.draw(st.lists(st.integers(0, len(contents) - 1), max_size=6))
    slots = [Slot(contents, shown), Slot(contents[::-1], shown)]
    assert decode(json.loads(json.dumps(encode(slots)))) == slots
