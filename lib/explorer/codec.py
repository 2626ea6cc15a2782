"""Slots' contents, most of them numbers in the same few surroundings, written short.

A value is text and numbers in turn: `M 12.5 3 L 13.25 4`. The texts are kept once. A number, in
hundredths, is written as what it differs by from a guess: the number two places before it (x from
x, y from y), moved on as the same two moved in the value before. Neighbouring states resemble
each other, so most differences take one character. `explorer.js` reads what is written here.
"""

import re

from .tree import DECIMALS

SCALE = 10**DECIMALS
# A number that is found again letter for letter when it is printed in the shortest way.
NUMBER = re.compile(
    r"(?<![\w#.\-])(?:-?(?:[1-9]\d{0,6}(?:\.\d?[1-9])?|0\.\d?[1-9])|0)(?![\w.%])", re.ASCII
)
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def encode(slots):
    """The slots as a structure of lists and strings, ready for JSON.

    Returns:
        `texts`, all different texts; `forms`, all different sequences of texts, as indices into
        `texts`, a repeated run of them as [times, index, …]; and `slots`, each a list of three
        strings of integers: the form of each value, the differences of its numbers, and the
        value of each state; forms and states again as differences from the one before.
    """
    texts, forms = {}, {}
    written = [_slot(slot, texts, forms) for slot in slots]
    return {"texts": list(texts), "forms": [_fold(form) for form in forms], "slots": written}


def _slot(slot, texts, forms):
    kinds, differences, before = [], [], []
    for value in slot.values:
        form = tuple(texts.setdefault(text, len(texts)) for text in NUMBER.split(value))
        kinds.append(forms.setdefault(form, len(forms)))
        numbers = [round(float(number) * SCALE) for number in NUMBER.findall(value)]
        differences += _differences(numbers, before)
        before = numbers
    return [
        integers(steps(kinds)),
        integers(differences),
        integers(steps(slot.states)),
    ]


def _differences(numbers, before):
    for i, number in enumerate(numbers):
        guess = numbers[i - 2] if i > 1 else 0
        if i < len(before):
            guess += before[i] - (before[i - 2] if i > 1 else 0)
        yield number - guess


def steps(numbers):
    """Each integer as its difference from the one before."""
    return [b - a for a, b in zip([0, *numbers], numbers, strict=False)]


def integers(numbers):
    """Integers as text: five bits a character, least first, the sign in the lowest bit of all.

    The same as in source maps (base 64 VLQ): a character above 31 has more to follow.

    >>> integers([0, 1, -1, 15, 16])
    'ACDegB'
    """
    characters = []
    for number in numbers:
        rest = -2 * number + 1 if number < 0 else 2 * number
        while rest > 31:
            characters.append(DIGITS[32 + rest % 32])
            rest //= 32
        characters.append(DIGITS[rest])
    return "".join(characters)


def _fold(form):
    """A sequence with runs that repeat at least three times folded into [times, *run].

    >>> _fold((7, 1, 2, 1, 2, 1, 2, 9))
    [7, [3, 1, 2], 9]
    """
    folded, i = [], 0
    while i < len(form):
        for length in range(1, 9):
            run, times = form[i : i + length], 1
            while form[i + times * length : i + (times + 1) * length] == run:
                times += 1
            if times > 2:
                folded.append([times, *run])
                i += times * length
                break
        else:
            folded.append(form[i])
            i += 1
    return folded
