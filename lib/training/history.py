"""What a run leaves behind."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Evaluation(NamedTuple):
    """Loss and accuracy: two numbers, or in a `History` two arrays."""

    loss: float | np.ndarray
    accuracy: float | np.ndarray | None


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """What happened in training, as arrays; update s = 0, 1, ... starts from theta^s.

    Attributes:
        loss: (updates,) loss of the batch at theta^s, before the update.
        accuracy: (updates,) share of the batch that theta^s gets right; None unless labels are
            class numbers.
        grad_norm: (updates,) Euclidean norm of the gradient of that loss.
        lr: (updates,) learning rate, that of the optimizer's first parameter group.
        epoch: (updates,) epoch of the update, from 0.
        evaluations: for each named data set an `Evaluation` of arrays (epochs + 1,), where
            entry e was taken after e epochs.
        stopped_by: "epochs" (all were run), "until_loss", "diverged" or "interrupted".
    """

    loss: np.ndarray
    accuracy: np.ndarray | None
    grad_norm: np.ndarray
    lr: np.ndarray
    epoch: np.ndarray
    evaluations: dict
    stopped_by: str

    @property
    def diverged_at(self):
        """The update whose loss or gradient was not finite, or None."""
        return len(self.loss) - 1 if self.stopped_by == "diverged" else None

    def __repr__(self):
        text = f"{len(self.loss)} updates"
        if len(self.loss):
            # A digit of an epoch's mean is alike on all machines, so a notebook may store it.
            first, last = (self.loss[self.epoch == epoch].mean() for epoch in self.epoch[[0, -1]])
            text += f" in {self.epoch[-1] + 1} epochs, loss {first:.1g} -> {last:.1g}"
        if self.stopped_by != "epochs":
            text += f", {self.stopped_by}"
        return f"History({text})"


def history_of(rows, scores, stopped_by):
    """The `History` of rows, one an update, and scores, one an epoch."""
    loss, accuracy, grad_norm, lr, epoch = _columns(rows, 5)
    evaluations = {
        name: Evaluation(*_columns([score[name] for score in scores], 2))
        for name in (scores[0] if scores else ())
    }
    return History(loss, accuracy, grad_norm, lr, epoch.astype(int), evaluations, stopped_by)


def _columns(rows, number):
    columns = list(np.array(rows, dtype=float).reshape(-1, number).T.copy())
    if np.isnan(columns[1]).any():  # the accuracies were None
        columns[1] = None
    return columns
