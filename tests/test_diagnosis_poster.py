"""The chart as it is drawn asks what `diagnose` asks, in its order, and answers as it does."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from lib.diagnosis import Verdict, chart
from lib.diagnosis.poster import (
    AT_REST,
    COLORS,
    HEAD,
    IN_MOTION,
    SLOPE,
    draw_chart,
    draw_verdicts,
)

ESCAPE = SimpleNamespace(step=0.1, gain=0.0)
NOTHING = {  # what is measured where every question is answered with no, the slope is small
    "blown_up": False, "grown": 1.0, "slope": 0.001, "flatness": 1.0, "low": (0.0, None),
    "rounding": 1e-8, "escape": ESCAPE, "dead": 0.0, "reach": 1.0,
    "newton": SimpleNamespace(promise=0.01, fall=0.0), "optimizer": object(), "recent": 0.0,
    "falls": {"own": 0.0, "lower": 0.0, "higher": 0.0, "clean": 0.0}, "growth": 0.0,
    "loss": 1.0, "scale": 1.0, "jitter": 0.0, "sharpest": SimpleNamespace(value=0.5, share=0.5),
    "raised": 30.0, "batches": [1, 2], "noise": 5.0, "stepping": SimpleNamespace(lr=0.1),
    "has_momentum": False,
}  # fmt: skip
YES = {  # what has to be measured instead for a yes to that question, in the order of the drawing
    0: {"grown": 4.0},
    1: {"flatness": 0.001},
    2: {"low": (-0.1, 1.0), "escape": SimpleNamespace(step=0.1, gain=0.1)},
    3: {"low": (0.1, None), "newton": SimpleNamespace(promise=0.0, fall=0.0)},
    4: {"dead": 0.9},
    5: {"newton": SimpleNamespace(promise=0.0, fall=0.0)},
    6: {"low": (-0.1, None)},
    7: {"optimizer": None},
    8: {"growth": 5.0},
    9: {"falls": {"own": 0.0, "lower": 0.5, "higher": 0.0, "clean": 0.5}},
    10: {"falls": {"own": 0.0, "lower": 0.5, "higher": 0.0, "clean": 0.0}},
    11: {
        "falls": {"own": 0.02, "lower": 0.0, "higher": 0.5, "clean": 0.0},
        "sharpest": SimpleNamespace(value=0.01, share=0.5),
    },
    12: {"falls": {"own": 0.1, "lower": 0.0, "higher": 0.0, "clean": 0.0}},
    13: {"newton": SimpleNamespace(promise=0.01, fall=0.5)},
    14: {"dead": 0.9},
}
QUESTIONS = [*HEAD, *AT_REST, *IN_MOTION]
MOVING = len(QUESTIONS) - len(IN_MOTION)


def examined(numbers):
    """A stand-in for an `Examination`, with these numbers."""
    see = SimpleNamespace(**(NOTHING | numbers), evidence=[], step=None)
    see.note = lambda name, *_: see.evidence.append(name)
    see.fall = lambda run: see.falls[run]
    see.lower, see.higher, see.clean = "lower", "higher", "clean"
    see.own = Own("own")
    see.own.tail = see.loss + see.growth
    return see


class Own(str):
    """The name of the trial that carries where it ended."""


@pytest.fixture
def decide(monkeypatch):
    for name in ("history", "escape", "bowl", "downhill"):
        monkeypatch.setattr(chart.pictures, name, lambda see: None)
    monkeypatch.setattr(chart.pictures, "trials", lambda see, *names: None)
    return lambda **numbers: chart.decide(examined(numbers))[0].verdict


def test_every_question_has_a_test():
    assert sorted(YES) == list(range(len(QUESTIONS)))


@pytest.mark.parametrize("i", YES)
def test_question_leads_to_the_verdict_beside_it(decide, i):
    slope = {"slope": 0.5} if i >= MOVING else {}
    assert decide(**(slope | YES[i])) is QUESTIONS[i].verdict


@pytest.mark.parametrize("i", [0, 1, 2, 8, 9, 10, 11])
def test_question_comes_before_those_below_it(decide, i):
    below = {}
    for numbers in [YES[j] for j in YES if j > i and (j < MOVING) == (i < MOVING)]:
        below |= numbers
    slope = {"slope": 0.5} if i >= MOVING else {}
    above = {"optimizer": object()} if i >= MOVING else {}
    assert decide(**(slope | below | YES[i] | above)) is QUESTIONS[i].verdict


def test_none_of_them_is_unsure_and_no_slope_goes_on_to_the_questions_of_one(decide):
    assert decide(slope=0.5) is Verdict.UNSURE
    assert decide() is Verdict.UNSURE
    assert decide(**YES[12]) is Verdict.IMPROVING
    assert decide(slope=0.5, optimizer=None, recent=0.5) is Verdict.IMPROVING


def test_draw_chart_writes_every_question_and_verdict_once_in_order():
    fig, ax = plt.subplots()
    assert draw_chart(ax) is ax
    words = [text.get_text().replace(" %", "%") for text in ax.texts]
    plt.close(fig)
    questions = [word for word in words if word.endswith("?")]
    assert questions == [HEAD[0].text, SLOPE, *(q.text for q in [*AT_REST, *IN_MOTION])]
    verdicts = [word.replace("\n", "_") for word in words if word.isupper()]
    assert verdicts == [*(q.verdict.name for q in QUESTIONS), "UNSURE"]


def test_map_writes_each_verdict_in_its_square():
    _, ax = plt.subplots()
    rows = [[Verdict.TOO_SLOW, Verdict.UNSURE], [Verdict.DIVERGED, Verdict.IMPROVING]]
    draw_verdicts(ax, [0.1, 1.0], [4, 16], rows)
    written = {tuple(t.get_position()): t.get_text().replace("\n", " ") for t in ax.texts}
    assert written == {
        (k + 0.5, i + 0.5): said.value for i, row in enumerate(rows) for k, said in enumerate(row)
    }
    drawn = {patch.get_xy(): to_hex(patch.get_facecolor()) for patch in ax.patches}
    assert drawn[1, 0] == COLORS[Verdict.UNSURE]
    assert drawn[0, 1] == COLORS[Verdict.DIVERGED]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0.1", "1.0"]
    plt.close("all")
