"""The picture that social networks and messengers show beside a link to the book."""

from pathlib import Path

import torch
from matplotlib.figure import Figure

from lib.surfaces import toy_network

CARD = "_static/card.png"
INK, BALL = "#222222", "#D55E00"


def draw_card(file):
    """Draw the toy network's saddle with a ball at rest on it, 1200 x 630 pixels."""
    fig = Figure(figsize=(12, 6.3), dpi=100, facecolor="#fdfcf9")
    ax = fig.add_axes((0.5, 0, 0.5, 1))
    ax.set_axis_off()
    grid = torch.linspace(-2, 2, 201)
    w1, w2 = torch.meshgrid(grid, grid, indexing="xy")
    loss = toy_network(torch.stack([w1, w2], dim=-1))
    levels = torch.linspace(0, 5, 18) ** 2
    ax.contour(w1, w2, loss, levels=levels, cmap="cividis", linewidths=2)
    ax.plot(0, 0, "o", color=BALL, markersize=26)
    for y, text, size in [(0.66, "When", 60), (0.5, "Training", 60), (0.34, "Gets Stuck", 60)]:
        fig.text(0.06, y, text, size=size, color=INK, family="serif", weight="bold", va="center")
    fig.text(0.065, 0.18, "The loss has stopped falling. Why?", size=18, color=INK, family="serif")
    fig.savefig(file)


def write_card(app, exception):
    if not exception and app.builder.format == "html":
        draw_card(Path(app.outdir) / CARD)


def point_at_card(app, config):
    config.ogp_site_url = config.html_baseurl
    config.ogp_image = config.html_baseurl + CARD
    config.ogp_image_alt = "Contours of a loss surface with a ball at rest on its saddle"


def setup(app):
    app.connect("config-inited", point_at_card)
    app.connect("build-finished", write_card)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
