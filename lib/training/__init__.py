"""Training: the loop, the history it leaves, seeds to repeat it, and sweeps over settings."""

from lib.training.evaluation import evaluate
from lib.training.history import Evaluation, History
from lib.training.loop import train
from lib.training.models import mlp
from lib.training.repeats import seeds
from lib.training.sweeps import sweep

__all__ = ["Evaluation", "History", "evaluate", "mlp", "seeds", "sweep", "train"]
