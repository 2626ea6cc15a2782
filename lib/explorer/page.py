"""The markup of a baked explorer: the start state, its sliders, and the other states as data."""

import json
from html import escape

from .slider import spoken
from .tree import ID

PIXELS = 115.2  # an inch: a fifth more than browsers take, for letters as large as the text's
NARROW = 7.5  # up to this many inches a figure shrinks with the page
SHRINK = 0.52  # wider ones shrink this far, then scroll in a box of their own


def page(name, sliders, play, size, svg, alt, data):
    """An explorer as HTML that works in a page with `explorer.js` and `explorer.css`.

    Its own id stands in it as `tree.ID`, to be replaced where the page, and so what ids are
    taken, is known. Its data, a script element, may stay or be moved to a file.

    Args:
        name: of the explorer.
        sliders: by name.
        play: the name of the slider that a button runs along, or None.
        size: width and height of the figure in inches.
        svg: markup inside the figure's svg element.
        alt: what the start state shows, in words.
        data: the other states, ready for JSON.
    """
    width = size[0] * PIXELS
    least = width * SHRINK if size[0] > NARROW else 0
    style = f"max-width:{width:.0f}px;min-width:{least:.0f}px;aspect-ratio:{size[0]:g}/{size[1]:g}"
    points = " ".join(f"{inches * 72:g}" for inches in size)
    rows = "".join(_row(key, slider) for key, slider in sliders.items())
    shown = spoken(sliders, [slider.start for slider in sliders.values()])
    return (
        f'<div class="explorer" id="{ID}" data-name="{escape(name)}" role="group" '
        f'aria-label="Explorer: {escape(", ".join(s.label for s in sliders.values()))}">'
        f'<div class="explorer-figure"><svg role="img" aria-label="{escape(alt)}" '
        f'viewBox="0 0 {points}" style="{style}" stroke-linejoin="round" stroke-linecap="butt">'
        f"{svg}</svg></div>"
        f'<div class="explorer-controls">{rows}{_buttons(sliders, play)}</div>'
        f'<p class="explorer-note" role="status"></p>'
        f"<noscript><p>Shown: {escape(shown)}. The sliders need JavaScript.</p></noscript>"
        f'<script type="application/json" class="explorer-data">{as_json(data)}</script>'
        f"</div>"
    )


def _row(name, slider):
    label, text = escape(slider.label), escape(slider.texts[slider.start])
    width = max(map(len, slider.texts))
    return (
        f'<div class="explorer-slider"><label for="{ID}-{name}">{label}</label>'
        f'<input type="range" id="{ID}-{name}" data-name="{name}" min="0" '
        f'max="{len(slider.values) - 1}" value="{slider.start}" autocomplete="off" '
        f'aria-valuetext="{label} = {text}" data-texts="{escape(json.dumps(slider.texts))}">'
        f'<span class="explorer-value" aria-hidden="true" style="min-width:{width}ch">{text}</span>'
        f"</div>"
    )


def _buttons(sliders, play):
    along = ""
    if play is not None:
        label = escape(sliders[play].label)
        along = (
            f'<button type="button" class="explorer-play" data-slider="{play}">'
            f"<span>Play</span> {label}</button>"
        )
    reset = '<button type="button" class="explorer-reset">Reset</button>'
    return f'<div class="explorer-buttons">{along}{reset}</div>'


def as_json(data):
    """JSON that cannot end the script element or the script it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
