"""Where the decision chart draws its lines; each stands in a gap that the constructed cases leave.

All are shares or ratios, so that units of the loss and of the data do not matter.
"""

GREW = 3.0
"""Times the loss at the start: beyond, training has not got stuck but blown up."""

SMALL_SLOPE = 0.01
"""Gradient times reach over loss: below it, even a step as long as theta itself, straight downhill,
promises less than 1 % of the loss, and second derivatives have the word."""

FLAT = 0.01
"""Share of the loss that slope and curvature together promise within reach: less is a flat."""

NEGATIVE = 1e-3
"""Of the largest eigenvalue: one further below zero is negative, and any way down counts."""

ROUNDING = {"float32": 1e-5, "float64": 1e-8}
"""Of the largest eigenvalue: one no further below zero may be a zero that was rounded."""

SEEN = 1e-4
"""Share of the loss: a step along clearly negative curvature needs only to be seen to lower it."""

ESCAPE = 0.003
"""Share of the loss that a step along less clearly negative curvature has to take off."""

DEAD_GRADIENT = 1e-4
"""Of the largest gradient: a parameter with less, on every part of the data, is dead."""

DEAD_SHARE = 0.5
"""Of the parameters: with more of them dead, what still trains is not the network."""

NEWTON = 0.003
"""Share of the loss that a Newton step promises: with less, the bottom is reached."""

GAIN = 0.01
"""Share of the loss that a trial has to take off to count: noise moves it by less."""

BETTER = 3.0
"""Times the progress of the rate as it is: what a change has to bring to be the mend."""

SIGMAS = 2.0
"""Standard errors by which the fall of a trial may be feigned by noise."""

SHARP = 0.8
"""Of the largest stable eta h: from there on steps may overshoot."""

BOUNCE = 0.001
"""Share of the loss by which a tenth of the rate has to come out lower where steps may overshoot:
one direction that bounces, among thousands, costs little, and a rate that is not too large comes
out far lower than a tenth of it."""

FAR = 0.05
"""Of the largest stable eta h: below it the rate is far from what curvature allows."""

SLOW = 0.05
"""Share of the loss that a trial takes off: with more, it is improving, if slowly."""

NARROW = 0.1
"""Share of the loss that a Newton step takes off, measured: where the rate as it is takes off
almost nothing and is near its limit, that much means a narrow valley."""
