"""The decision chart: which questions are asked of a model, in which order."""

from lib.diagnosis import advice, pictures, rules


def decide(see):
    """Verdict, advice, chapter and picture for an `Examination`, which notes the evidence.

    Where two are true at once, the first in this order is said: diverged; the loss is flat, or
    falls along negative curvature, or nothing is lower (these where there is no slope); noise;
    steps overshoot; too slow; improving; the valley is narrow.
    """
    note = see.note
    if see.blown_up:
        return advice.diverged(see), pictures.history(see)
    if see.grown > rules.GREW:
        note("growth", see.grown, "loss over that of the first updates", "above", rules.GREW)
        return advice.diverged(see), pictures.history(see)
    still = see.slope <= rules.SMALL_SLOPE
    note("slope", see.slope, "length of the gradient times reach, over the loss",
             "above" if still else "below", rules.SMALL_SLOPE)  # fmt: skip
    answer = at_rest(see) if still else None
    if answer is None:
        answer = without_optimizer(see) if see.optimizer is None else in_motion(see)
    return answer


def at_rest(see):
    """No slope: a flat, a saddle or a minimum; None where there may be a way down all the same."""
    note = see.note
    flat = see.flatness <= rules.FLAT
    note("promise", see.flatness, "share of the loss that slope and curvature promise in reach",
             "above" if flat else "below", rules.FLAT)  # fmt: skip
    if flat:
        return advice.flat(see), pictures.downhill(see)
    low, clear = see.low[0], see.low[0] < -rules.NEGATIVE
    negative = low < -see.rounding
    note("lowest curvature", low, "smallest eigenvalue of the Hessian over the largest in size",
             "above" if negative else "below", -see.rounding)  # fmt: skip
    if negative:
        # More than the slope, small as it is, promises over the same distance.
        sloping = see.slope * abs(see.escape.step) / see.reach
        needed = max(sloping, rules.SEEN if clear else rules.ESCAPE)
        works = see.escape.gain >= needed
        note("escape", see.escape.gain, "share of the loss that a step along it takes off",
                 "below" if works else "above", needed)  # fmt: skip
        if works:
            return advice.saddle(see), pictures.escape(see)
    bottom = see.newton.promise <= rules.NEWTON
    note("Newton promise", see.newton.promise, "share of the loss that a Newton step promises",
             "above" if bottom else "below", rules.NEWTON)  # fmt: skip
    if bottom and low > rules.NEGATIVE:
        # Strictly: though weight decay may hold parameters at zero, with no other gradient there.
        return advice.minimum(see), pictures.bowl(see)
    dead = see.dead > rules.DEAD_SHARE
    note("dead share", see.dead, "share of parameters that no example has a gradient for",
             "below" if dead else "above", rules.DEAD_SHARE)  # fmt: skip
    if dead:
        return advice.flat(see), pictures.downhill(see)
    if bottom and not negative:
        return advice.minimum(see), pictures.bowl(see)
    if bottom or clear:
        return advice.unsure(see, "The curvature has both signs, but no way down was found"), None
    return None


def without_optimizer(see):
    """There is a slope, and no telling what the steps are."""
    note = see.note
    if see.recent is not None:
        falls = see.recent > rules.GAIN
        note("recent fall", see.recent, "share of the loss that the last half of updates lost",
                 "below" if falls else "above", rules.GAIN)  # fmt: skip
        if falls:
            return advice.improving(see), pictures.history(see)
    return advice.unsure(see, "This is no critical point, and without the optimizer"), None


def in_motion(see):
    """There is a slope: what do the optimizer's steps make of it, and what would others?"""
    note = see.note
    if see.own.tail - see.loss > (rules.GREW - 1) * see.scale:
        note("growth", 1 + (see.own.tail - see.loss) / see.scale,
                 "loss after some more updates over loss now", "below", rules.GREW)  # fmt: skip
        return advice.diverged(see), pictures.trials(see, "own", "lower")
    own_fall, lower_fall = see.fall(see.own), see.fall(see.lower)
    sharp = see.sharpest.value >= rules.SHARP
    note("eta h", see.sharpest.value, "sharpest curvature of the steps over its limit",
             "below" if sharp else "above", rules.SHARP)  # fmt: skip
    # Where steps overshoot, reaching lower is enough. Elsewhere it takes a multiple of the fall, of
    # which noise may have feigned a part; then the smaller rate must come out lower beyond doubt.
    wanted, at = own_fall + rules.BOUNCE, lower_fall - rules.BOUNCE
    if not sharp:
        doubt, times = rules.SIGMAS * see.jitter, rules.BETTER
        least = max(own_fall + doubt, times * (own_fall - doubt))
        wanted = max(rules.GAIN, min(times * own_fall, least))
        at = max(lower_fall / times, min(lower_fall - doubt, lower_fall / times + doubt))
    calmer = lower_fall >= wanted
    note("fall", own_fall, "share of the loss lost in a trial: more updates as they are",
         "above" if calmer else "below", at)  # fmt: skip
    note("fall, eta / 10", lower_fall, "the same with a tenth of the learning rate",
         "below" if calmer else "above", wanted)  # fmt: skip
    if calmer:
        return overshooting_or_noise(see)
    if own_fall < rules.SLOW and see.sharpest.value < rules.FAR:
        wanted = max(rules.GAIN, rules.BETTER * own_fall)
        works = see.fall(see.higher) >= wanted
        note(f"fall, eta x {see.raised:.2g}", see.fall(see.higher), "the same with that rate",
                 "below" if works else "above", wanted)  # fmt: skip
        if works:
            return advice.too_slow(see), pictures.trials(see, "own", "higher")
    if own_fall >= rules.GAIN:
        return advice.improving(see), pictures.trials(see, "own", "lower")
    narrow = see.newton.fall >= rules.NARROW
    note("Newton step", see.newton.fall, "share of the loss that a Newton step takes off",
             "below" if narrow else "above", rules.NARROW)  # fmt: skip
    if narrow:
        return advice.narrow(see), pictures.trials(see, "own", "lower")
    dead = see.dead > rules.DEAD_SHARE
    note("dead share", see.dead, "share of parameters that no example has a gradient for",
             "below" if dead else "above", rules.DEAD_SHARE)  # fmt: skip
    if dead:
        return advice.flat(see), pictures.downhill(see)
    return advice.unsure(see, advice.nothing_helps(see)), None


def overshooting_or_noise(see):
    """A smaller rate does better: would exact gradients at this rate, too?"""
    note = see.note
    if len(see.batches) > 1:
        wanted = see.fall(see.lower) / rules.BETTER
        clean = see.fall(see.clean)
        noisy = clean >= wanted
        note("fall, no noise", clean, "the same with all of the data in each update",
                 "below" if noisy else "above", wanted)  # fmt: skip
        note("noise", see.noise, "variance of a batch's gradient over the squared mean")
        if noisy:
            return advice.noise_limited(see), pictures.trials(see, "own", "lower", "clean")
    share = see.sharpest.share
    note("top share", share, "share of the squared gradient along the sharpest direction")
    return advice.oscillating(see), pictures.trials(see, "own", "lower")
