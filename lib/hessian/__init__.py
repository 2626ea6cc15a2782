"""Second derivatives of a loss: the surface under a model, and what kind of point it stands on."""

from lib.hessian.critical_point import (
    CriticalPoint,
    Escape,
    Shares,
    classify,
    escape_direction,
    shares,
)
from lib.hessian.dense import gradient, hessian, hvp
from lib.hessian.flat import flat_loss
from lib.hessian.lanczos import Eigenpairs, eigenpairs, sharpness
from lib.hessian.newton import Minimum, find_minimum
from lib.hessian.operator import HessianOperator
from lib.hessian.probes import Diagonal, Trace, diagonal, trace
from lib.hessian.spectrum import SpectralDensity, spectral_density

__all__ = [
    "CriticalPoint",
    "Diagonal",
    "Eigenpairs",
    "Escape",
    "HessianOperator",
    "Minimum",
    "Shares",
    "SpectralDensity",
    "Trace",
    "classify",
    "diagonal",
    "eigenpairs",
    "escape_direction",
    "find_minimum",
    "flat_loss",
    "gradient",
    "hessian",
    "hvp",
    "shares",
    "sharpness",
    "spectral_density",
    "trace",
]
