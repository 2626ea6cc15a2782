"""A diagnosis as a piece of a page: a verdict, a picture and a table, the same at every run."""

import sys
from html import escape

import numpy as np

WIDTH, HEIGHT = 340, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 26, 34  # margins of the plot
INK = ("#0072B2", "#B34E00", "#00674B", "#222222")  # dark enough for text on white
DASHES = ("", "6 3", "2 3", "9 3 2 3")  # told apart without colour too


def card(verdict, advice, chapter, rows, picture):
    """HTML of a verdict, its advice, its evidence (name, value, meaning, turns) and a picture."""
    where = f" Chapter {chapter} explains it." if chapter else ""
    left, right = (
        f'style="text-align:{side};padding:0.2em 0.6em;vertical-align:top{wrap}"'
        for side, wrap in (("left", ""), ("right", ";white-space:nowrap"))
    )
    body = "".join(
        f'<tr><th scope="row" {left}>{escape(name)}</th><td {right}>{escape(value)}</td>'
        f"<td {left}>{escape(meaning)}; {escape(turns)}</td></tr>"
        for name, value, meaning, turns in rows
    )
    table = (
        f'<table><thead><tr><th scope="col" {left}>evidence</th><th scope="col" {right}>value</th>'
        f'<th scope="col" {left}>what it is; what would change the verdict</th>'
        f"</tr></thead><tbody>{body}</tbody></table>"
    )
    return (
        f'<div class="diagnosis"><p><strong>{escape(verdict)}</strong>: '
        f"{escape(advice.rstrip('.'))}.{where}</p>{draw(picture) if picture else ''}"
        f"{table if rows else ''}</div>"
    )


def draw(picture):
    """SVG of a `Picture`: black on white whatever the page's theme, its title read aloud."""
    curves = {name: finite(*curve) for name, curve in picture.curves.items()}
    curves = {name: curve for name, curve in curves.items() if len(curve[0])}
    if not curves:
        return ""
    x0, x1 = span([x for x, _ in curves.values()])
    y0, y1 = span([y for _, y in curves.values()])
    lines = []
    for i, (name, (x, y)) in enumerate(curves.items()):
        px = LEFT + share(x, x0, x1) * (WIDTH - LEFT - RIGHT)
        py = HEIGHT - BOTTOM - share(y, y0, y1) * (HEIGHT - TOP - BOTTOM)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
        ink, dash = INK[i % len(INK)], DASHES[i % len(DASHES)]
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="{ink}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
            f'<line x1="{WIDTH + 8}" x2="{WIDTH + 32}" y1="{TOP + 18 * i}" y2="{TOP + 18 * i}" '
            f'stroke="{ink}" stroke-width="2" stroke-dasharray="{dash}"/>'
            + text(WIDTH + 38, TOP + 4 + 18 * i, name, ink=ink)
        )
    said = f"{picture.title}. " + " ".join(
        f"{name}: loss from {y[0]:.2g} to {y[-1]:.2g}, lowest {y.min():.2g}."
        for name, (_, y) in curves.items()
    )
    axes = (
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#222222"/>'
        + text(LEFT - 4, TOP + 4, f"{y1:.2g}", "end")
        + text(LEFT - 4, HEIGHT - BOTTOM, f"{y0:.2g}", "end")
        + text(LEFT, HEIGHT - BOTTOM + 14, f"{x0:.2g}")
        + text(WIDTH - RIGHT, HEIGHT - BOTTOM + 14, f"{x1:.2g}", "end")
        + text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, picture.xlabel, "middle")
        + text(LEFT, 14, picture.title)
    )
    total = WIDTH + 170
    return (
        f'<svg role="img" aria-label="{escape(said)}" viewBox="0 0 {total} {HEIGHT}" '
        f'width="{total}" height="{HEIGHT}" '
        'style="max-width:100%;height:auto;background:#ffffff" font-family="sans-serif" '
        f'font-size="11">{axes}{"".join(lines)}</svg>'
    )


def text(x, y, words, anchor="start", ink="#222222"):
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{ink}">{escape(words)}</text>'
    )


def finite(x, y):
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    shown = np.isfinite(x) & np.isfinite(y)
    return x[shown], y[shown]


def span(arrays):
    """Range of all values, never empty."""
    low, high = (float(end) for end in (min(a.min() for a in arrays), max(a.max() for a in arrays)))
    if high / 2 > low / 2:
        return low, high
    margin = max(0.5, 1e-3 * abs(low))  # which a large number shows, too
    return max(low - margin, -sys.float_info.max), min(high + margin, sys.float_info.max)


def share(values, low, high):
    """How far each value is from low to high; halved, since their distance may overflow."""
    return (values / 2 - low / 2) / (high / 2 - low / 2)
