"""What a diagnosis says, in words, as numbers and as a picture."""

import math
import textwrap
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import torch

from lib.diagnosis.drawing import card


class Verdict(Enum):
    """Why the training loss is where it is."""

    SADDLE = "at a saddle"
    MINIMUM = "at a minimum"
    FLAT = "on a flat"
    OSCILLATING = "oscillating"
    TOO_SLOW = "too slow"
    NOISE_LIMITED = "limited by noise"
    DIVERGED = "diverged"
    IMPROVING = "improving"
    UNSURE = "unsure"


class Evidence(NamedTuple):
    """A number, what it is, and the line on whose other side the verdict would be another.

    A number that decides nothing has no line: it is told to explain the others.

    >>> Evidence("slope", 0.3, "length of the gradient", "below", 0.01).turns
    'another verdict below 0.01'
    >>> Evidence("noise", 0.3, "variance of a batch's gradient over the squared mean").turns
    'told only; it decides nothing'
    """

    name: str
    value: float
    meaning: str
    side: str | None = None  # "above" or "below" the line: where another verdict begins
    line: float | None = None

    @property
    def turns(self):
        if self.line is None:
            return "told only; it decides nothing"
        return f"another verdict {self.side} {number(self.line)}"


class Picture(NamedTuple):
    """Named curves (x, y) over a common axis, and what they show."""

    title: str
    xlabel: str
    curves: dict


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis:
    """Why is this model stuck?

    Prints as text, shows as a small page in a notebook, and gives a dict to a script.

    Attributes:
        verdict: a `Verdict`.
        evidence: list of `Evidence`, in the order in which it was asked for.
        advice: what to change.
        chapter: number of the chapter that explains it, 1 to 6, or None.
        gradients: what it cost, in gradients over all of the data.
        step: at a saddle, what to add to the parameters to leave it: a vector (d,) over those
            that are trained, in the order of ``model.parameters()``; else None.
        picture: a `Picture`, or None.
    """

    verdict: Verdict
    evidence: list
    advice: str
    chapter: int | None = None
    gradients: float = 0.0
    step: torch.Tensor | None = None
    picture: Picture | None = field(default=None)

    def __repr__(self):
        width = max((len(e.name) for e in self.evidence), default=0)
        rows = [f"  {e.name:<{width}}  {number(e.value):>9}  {e.turns}" for e in self.evidence]
        where = f" (chapter {self.chapter})" if self.chapter else ""
        said = textwrap.wrap(f"{self.verdict.name}: {self.advice}{where}", width=80)
        return "\n".join([*said, *rows])

    def as_dict(self):
        """Plain Python, ready for JSON: no tensors, and None for what is not finite.

        >>> sorted(Diagnosis(Verdict.UNSURE, [], "Look again.").as_dict())
        ['advice', 'chapter', 'evidence', 'gradients', 'verdict']
        """
        evidence = {
            e.name: {
                "value": plain(e.value),
                "meaning": e.meaning,
                "side": e.side,
                "line": None if e.line is None else plain(e.line),
            }
            for e in self.evidence
        }
        return {
            "verdict": self.verdict.name,
            "evidence": evidence,
            "advice": self.advice,
            "chapter": self.chapter,
            "gradients": plain(self.gradients),
        }

    def _repr_html_(self):
        rows = [(e.name, number(e.value), e.meaning, e.turns) for e in self.evidence]
        return card(self.verdict.name, self.advice, self.chapter, rows, self.picture)


def plain(value):
    """A float, or None for one that is not finite."""
    value = float(value)
    return value if math.isfinite(value) else None


def number(value):
    """Two digits, which is what a diagnosis is good for.

    >>> number(0.01234), number(-1234567.0), number(0.0), number(12.3)
    ('0.012', '-1.2e+06', '0', '12')
    """
    return f"{value:.2g}"
