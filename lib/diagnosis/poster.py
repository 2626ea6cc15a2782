"""Verdicts in pictures: the decision chart, as `lib.diagnosis.chart` asks it, and a map."""

import itertools
from typing import NamedTuple

from matplotlib.patches import FancyBboxPatch, Rectangle

from lib.diagnosis import rules
from lib.diagnosis.result import Verdict

COLORS = {
    Verdict.SADDLE: "#CC79A7",
    Verdict.MINIMUM: "#0072B2",
    Verdict.FLAT: "#666666",
    Verdict.OSCILLATING: "#D55E00",
    Verdict.TOO_SLOW: "#E69F00",
    Verdict.NOISE_LIMITED: "#56B4E9",
    Verdict.DIVERGED: "#222222",
    Verdict.IMPROVING: "#009E73",
    Verdict.UNSURE: "#ffffff",
}
DARK = {Verdict.MINIMUM, Verdict.FLAT, Verdict.DIVERGED}  # white letters on these


INK, LINE = "#222222", "#777777"


class Question(NamedTuple):
    """A question and the verdict of its yes; a no goes on to the next one."""

    text: str
    verdict: Verdict


HEAD = [
    Question(
        f"Is the loss not finite, or {rules.GREW:.0f} times\nthat of the first updates?",
        Verdict.DIVERGED,
    ),
]
SLOPE = f"Does the slope promise more than\n{rules.SMALL_SLOPE:.0%} of the loss within reach?"
AT_REST = [
    Question(
        f"Do slope and curvature together\npromise less than {rules.FLAT:.0%} within reach?",
        Verdict.FLAT,
    ),
    Question(
        "Is the lowest eigenvalue negative, and\ndoes a step along it lower the loss?",
        Verdict.SADDLE,
    ),
    Question(
        "Are all eigenvalues clearly positive, and\na Newton step "
        f"promises less than {rules.NEWTON:.1%}?",
        Verdict.MINIMUM,
    ),
    Question("Do most parameters have no gradient\nfrom any example?", Verdict.FLAT),
    Question(
        f"Is none negative, and a Newton step\npromises less than {rules.NEWTON:.1%}?",
        Verdict.MINIMUM,
    ),
    Question(
        "Is one clearly negative, though no step\nhelps, or that promise so small?", Verdict.UNSURE
    ),
]
IN_MOTION = [
    Question("Is no optimizer given, and has the\nloss not fallen of late?", Verdict.UNSURE),
    Question(
        f"Does the loss grow to {rules.GREW:.0f} times\nin some more updates?", Verdict.DIVERGED
    ),
    Question(
        "Does a tenth of η get lower, and so\ndo exact gradients at η?", Verdict.NOISE_LIMITED
    ),
    Question(
        f"Does a tenth of η get lower: clearly, or\nwith ηh above {rules.SHARP:.0%} of its limit?",
        Verdict.OSCILLATING,
    ),
    Question(
        f"Is the fall below {rules.SLOW:.0%}, ηh below {rules.FAR:.0%} of its\n"
        f"limit, and a larger η {rules.BETTER:.0f} times better?",
        Verdict.TOO_SLOW,
    ),
    Question(
        f"Does it lose {rules.GAIN:.0%} in some more\nupdates as they are?", Verdict.IMPROVING
    ),
    Question(f"Does a Newton step take off {rules.NARROW:.0%}?", Verdict.TOO_SLOW),
    Question("Do most parameters have no gradient\nfrom any example?", Verdict.FLAT),
]


def draw_chart(ax):
    """Draw the decision chart; best on a figure of 4.6 by 8 inches.

    Args:
        ax: an Axes, for it alone.

    Returns:
        ax.
    """
    rows = [*HEAD, Question(SLOPE, None), "No slope", *AT_REST, "A slope", *IN_MOTION]
    ax.set(xlim=(0, 1), ylim=(-len(rows) - 0.5, 0.6))
    ax.set_axis_off()
    for i, row in enumerate(rows):
        if isinstance(row, str):
            ax.text(0.07, -i, row, weight="bold", va="center", size=10, color=INK)
            continue
        box(ax, 0.06, 0.74, -i, row.text.replace("%", " %"), "#f3f1ea")
        if row.verdict is not None:
            arrow(ax, (0.745, -i), (0.785, -i))
            name = row.verdict.name.replace("_", "\n")
            ink = "white" if row.verdict in DARK else INK
            box(ax, 0.79, 0.995, -i, name, COLORS[row.verdict], ink, size=7.5, weight="bold")
        arrow(ax, (0.4, -i - 0.41), (0.4, -i - 0.59))
    box(ax, 0.79, 0.995, -len(rows), "UNSURE", "#ffffff", size=7.5, weight="bold")
    ax.text(0.4, -len(rows), "none of these", ha="center", va="center", size=8.5, color=INK)
    arrow(ax, (0.55, -len(rows)), (0.785, -len(rows)))
    slope, motion = rows.index(Question(SLOPE, None)), rows.index("A slope")
    ax.plot([0.055, 0.02, 0.02], [-slope, -slope, -motion], color=LINE, lw=1.2)
    arrow(ax, (0.02, -motion), (0.06, -motion))
    for at, word in ((slope, "yes"), (0, "yes")):
        x = 0.035 if at else 0.763
        ax.text(x, -at + 0.12, word, ha="center", va="bottom", size=7, color=INK)
    return ax


def draw_verdicts(ax, rows, columns, verdicts):
    """Draw verdicts over two settings, one square each; square i, k spans (k, k + 1), (i, i + 1).

    Args:
        ax: an Axes, for it alone.
        rows, columns: values of the settings, for the two axes' ticks.
        verdicts: a list of Verdicts for each row.

    Returns:
        ax.
    """
    for i, k in itertools.product(range(len(rows)), range(len(columns))):
        said = verdicts[i][k]
        ax.add_patch(Rectangle((k, i), 1, 1, fc=COLORS[said], ec="white", lw=1.5))
        ink = "white" if said in DARK else INK
        words = said.value.replace(" ", "\n", 1)
        ax.text(k + 0.5, i + 0.5, words, ha="center", va="center", size=6.5, color=ink)
    ax.set_xticks([k + 0.5 for k in range(len(columns))], columns)
    ax.set_yticks([i + 0.5 for i in range(len(rows))], rows)
    ax.set(xlim=(0, len(columns)), ylim=(0, len(rows)))
    ax.grid(False)
    return ax


def box(ax, left, right, y, words, color, ink=INK, size=8.5, weight="normal"):
    """A rounded box with words in it."""
    shape = FancyBboxPatch(
        (left + 0.01, y - 0.36), right - left - 0.02, 0.72,
        boxstyle="round,pad=0.01,rounding_size=0.02", mutation_aspect=8,
        fc=color, ec=LINE, lw=0.8,
    )  # fmt: skip
    ax.add_patch(shape)
    ax.text((left + right) / 2, y, words, ha="center", va="center", size=size, color=ink,
            weight=weight, linespacing=1.15)  # fmt: skip


def arrow(ax, start, end):
    style = {"arrowstyle": "-|>", "color": LINE, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style | {"mutation_scale": 7})
