"""Why is this model stuck? `diagnose` looks, and says what to change."""

from lib.diagnosis.doctor import diagnose
from lib.diagnosis.result import Diagnosis, Evidence, Verdict

__all__ = ["Diagnosis", "Evidence", "Verdict", "diagnose"]
