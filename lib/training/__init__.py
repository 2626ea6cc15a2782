"""Training: the loop, the history it leaves, and sweeps over settings."""

from lib.training.evaluation import evaluate
from lib.training.history import Evaluation, History
from lib.training.loop import train
from lib.training.models import mlp
from lib.training.sweeps import sweep

__all__ = ["Evaluation", "History", "evaluate", "mlp", "sweep", "train"]
