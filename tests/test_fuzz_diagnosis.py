"""Diagnoses of any model: a right verdict, or an error by name; a price; and no trace."""

import json
import math
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from functools import partial
from numbers import Real

import numpy as np
import pytest
import torch
from fuzzing import answer, anything, fuzz, inf, junk, mostly, nan, number
from hypothesis import given, settings
from hypothesis import strategies as st
from test_diagnosis import OPTIMIZERS, Point, same, state_of
from test_fuzz_training import (
    LABEL,
    LOSSES,
    MODELS,
    SGD,
    X,
    either,
    is_data,
    not_called,
    one_of,
    sets,
)

from lib.diagnosis import Diagnosis, Evidence, Verdict, diagnose
from lib.diagnosis.result import Picture
from lib.losses import cross_entropy
from lib.optimizers import Adam
from lib.training import mlp

few = settings(fuzz, max_examples=fuzz.max_examples // 2)
LEAST, MOST = 20, 100  # gradients: allowed, and taken where every trial is of whole batches
BATCH = (torch.zeros(1, 1), torch.zeros(1))


def told(diagnosis):
    """What a diagnosis says, held to what each one has to be."""
    assert diagnosis.gradients <= MOST
    assert diagnosis.chapter in (None, 1, 2, 3, 4, 5, 6)
    assert (diagnosis.step is None) == (diagnosis.verdict is not Verdict.SADDLE)
    said = json.loads(json.dumps(diagnosis.as_dict(), allow_nan=False))
    assert len(said["evidence"]) == len(diagnosis.evidence)
    assert repr(diagnosis).startswith(said["verdict"])
    drawn(diagnosis._repr_html_())


def drawn(page):
    """The page is well formed, and its curves are inside their picture."""
    for line in ET.fromstring(page).iter("polyline"):
        places = [float(place) for place in re.split("[ ,]", line.get("points"))]
        assert all(0 <= place <= 340 for place in places)


def is_history(value):
    if torch.is_tensor(value):
        return value.ndim == 1 and not value.is_complex()
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    numbers = isinstance(value, list) and all(isinstance(v, Real) for v in value)
    return value is None or numbers


def is_batches(value):
    return isinstance(value, list) and isinstance(value[0], tuple) and is_data(*value[0])


losses = st.lists(st.floats(), max_size=30)
RULES = {
    "Adam": (partial(Adam, lr=0.1), True),
    "SGD": (SGD, True),
    "of one tensor": (lambda params: SGD(list(params)[:1]), True),
    "of another model": (lambda params: SGD(mlp(2, 3).parameters()), False),
}
ARGUMENTS = {
    "model": one_of(MODELS) | junk.map(lambda thing: (lambda: thing, False)),
    "loss_fn": one_of(LOSSES) | either(not_called, lambda thing: False),
    "data": either(mostly(sets.map(lambda pair: [pair]), anything), is_batches),
    "history": either(mostly(losses, losses.map(torch.tensor), anything), is_history),
    "optimizer": one_of(RULES) | junk.map(lambda thing: (lambda params: thing, thing is None)),
    "max_gradients": either(
        mostly(st.floats(20, 60), st.sampled_from((20, 19, -1, Fraction(51, 2))), anything),
        lambda v: isinstance(v, Real) and 20 <= v <= 1e9,
    ),
}
NAMES = {"data": ("data", "label", "example"), "model": ("model", "data", "label")}


@pytest.mark.parametrize("name", ARGUMENTS)
@given(data=st.data())
@few
def test_diagnose_takes_arguments_that_fit_or_refuses(name, data):
    value, fits = data.draw(ARGUMENTS[name])
    arguments = {"model": lambda: mlp(2, 3), "loss_fn": cross_entropy, "data": [(X, LABEL)]}
    arguments |= {"optimizer": lambda params: None, "max_gradients": LEAST, name: value}
    model = arguments.pop("model")()
    params = model.parameters() if isinstance(model, torch.nn.Module) else []
    optimizer = arguments.pop("optimizer")(params)
    call = partial(diagnose, model, optimizer=optimizer, **arguments)
    diagnosis = answer(call, fits, *NAMES.get(name, (name,)))
    if diagnosis is not None:
        told(diagnosis)


sizes = st.sampled_from((0.0, 1e-3, 1e3, 1e-30, 1e17, 1e30, 1e140, 1e300)) | st.floats(0.01, 10)
signed = st.builds(math.copysign, sizes, st.sampled_from((1, -1)))
rules = st.sampled_from([make for name, make in OPTIMIZERS.items() if name != "lbfgs"])


@given(
    theta=st.lists(st.just(0.0) | signed, min_size=1, max_size=4),
    coefficients=st.tuples(signed, signed, st.just(0.0) | sizes, signed),
    dtype=st.sampled_from((torch.float32, torch.float64)),
    make=mostly(rules, st.none()),
    lr=mostly(st.none(), sizes | st.just(nan)),
    batches=st.integers(1, 4),
    history=mostly(st.none(), losses),
    updates=st.integers(0, 2),
)
@fuzz
def test_diagnose_says_something_of_any_numbers_and_changes_nothing(
    theta, coefficients, dtype, make, lr, batches, history, updates
):
    model, (h, slope, fourth, constant) = Point(*theta).to(dtype), coefficients

    def loss_fn(t, label):
        return (constant + slope * t + h * t**2 / 2 + fourth * t**4).sum()

    optimizer = make and make(model.parameters())
    for _ in range(updates if optimizer else 0):
        optimizer.zero_grad()
        loss_fn(model.theta, None).backward()
        optimizer.step()
    if optimizer and lr is not None:
        optimizer.param_groups[0]["lr"] = lr
    huge = 1e18 if dtype == torch.float32 else 1e150
    fits = all(abs(size) < huge for size in (*theta, *coefficients))
    fits = fits and (not optimizer or 0 <= optimizer.param_groups[0]["lr"] < huge)
    keeper = optimizer or SGD(model.parameters())
    before = state_of(model, keeper)
    diagnosis = refused = None
    try:
        diagnosis = diagnose(model, loss_fn, [BATCH] * batches, history, optimizer, LEAST)
    except ValueError as error:
        refused = str(error)
    if diagnosis is None:
        assert not fits
        assert re.match("(loss_fn|optimizer) must have", refused)
    else:
        told(diagnosis)
        if not (loss_fn(model.theta, None).isfinite() and np.isfinite(history or 0).all()):
            assert diagnosis.verdict is Verdict.DIVERGED
    after = state_of(model, keeper)
    assert same(after, before) or repr(after) == repr(before)  # the second where there are NaNs


curvatures = st.sampled_from((0.1, 0.3, 1.0, -0.1, -0.3, -1.0))


@given(
    h=st.lists(curvatures, min_size=1, max_size=5),
    slope=mostly(st.just(0.0), st.sampled_from((1e-12, 10.0))),
    doublings=st.integers(-15, 60),
    make=st.sampled_from((None, partial(torch.optim.SGD, lr=0.01))),
)
@fuzz
def test_diagnose_of_a_quadratic_is_right_in_every_unit(h, slope, doublings, make):
    h = torch.tensor(h, dtype=torch.float64)

    def loss_fn(t, unit):
        return unit.mean() * (1 + slope * t[0] + (h * t**2).sum() / 2 + (t**4).sum())

    def said(unit):
        model = Point(*[0.0] * len(h))
        optimizer = make and make(model.parameters())
        if optimizer:
            optimizer.param_groups[0]["lr"] /= unit
        batch = (BATCH[0], torch.full((1,), unit, dtype=torch.float64))
        return diagnose(model, loss_fn, [batch], None, optimizer, LEAST)

    diagnosis, plain = said(2.0**doublings), said(1.0)
    told(diagnosis)
    assert diagnosis.verdict is plain.verdict
    for mine, other in zip(diagnosis.evidence, plain.evidence, strict=True):
        assert (mine.name, mine.side) == (other.name, other.side)
        assert mine.value == pytest.approx(other.value, rel=1e-6, abs=1e-9)
    if slope == 10:
        assert diagnosis.verdict is (Verdict.IMPROVING if make else Verdict.UNSURE)
    elif h.min() < 0:
        assert diagnosis.verdict is Verdict.SADDLE
        one = torch.ones(1)
        assert loss_fn(diagnosis.step, one) < loss_fn(0 * diagnosis.step, one)
    else:
        assert diagnosis.verdict is Verdict.MINIMUM


words = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=5)
values = st.floats() | st.integers(-(2**60), 2**60) | st.floats(width=32).map(np.float32)
evidence = st.builds(Evidence, words, values | st.floats().map(torch.tensor), words, words, values)
curves = st.lists(st.tuples(st.floats(), st.floats()), max_size=4).map(
    lambda points: tuple(np.array(points).reshape(-1, 2).T)
)
pictures = st.builds(Picture, words, words, st.dictionaries(words, curves, max_size=3))


@given(
    given_evidence=st.lists(evidence, max_size=3, unique_by=lambda e: e.name),
    gradients=st.floats(),
    picture=st.none() | pictures,
    advice=words,
)
@fuzz
def test_diagnosis_is_json_and_a_page_whatever_it_holds(given_evidence, gradients, picture, advice):
    diagnosis = Diagnosis(
        Verdict.UNSURE, given_evidence, advice, gradients=gradients, picture=picture
    )
    said = json.loads(json.dumps(diagnosis.as_dict(), allow_nan=False))
    for e in given_evidence:
        value = float(e.value)
        assert said["evidence"][e.name]["value"] == (value if abs(value) < inf else None)
    assert (said["gradients"] is None) == (not abs(number(gradients)) < inf)
    drawn(diagnosis._repr_html_())
