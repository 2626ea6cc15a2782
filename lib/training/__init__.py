"""Training: the loop, the history it leaves, seeds to repeat it, and sweeps over settings."""

from lib.training.evaluation import evaluate
from lib.training.history import Evaluation, History
from lib.training.loop import train
from lib.training.models import mlp, transformer
from lib.training.repeats import seeds
from lib.training.sweeps import sweep
from lib.training.together import train_together

__all__ = [
    "Evaluation",
    "History",
    "evaluate",
    "mlp",
    "seeds",
    "sweep",
    "train",
    "train_together",
    "transformer",
]
