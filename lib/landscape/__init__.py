"""Slices of a network's loss through parameter space: the pictures of a loss landscape."""

from lib.landscape.directions import random_direction
from lib.landscape.slices import Line, Plane, slice_1d, slice_2d

__all__ = ["Line", "Plane", "random_direction", "slice_1d", "slice_2d"]
