"""What the figures hold: the numbers given, in the places that belong to them."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lib import plots
from lib.surfaces import quadratic, toy_network


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def axes():
    return Figure().subplots(1, 2)


def test_use_style_sets_the_palette_that_plots_name():
    with plt.rc_context():
        plots.use_style()
        cycle = [color.upper() for color in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert cycle[:2] == [plots.BLUE, plots.VERMILLION]
    assert plots.AMBER in cycle
    assert plots.INK in cycle


def test_use_style_is_legible_on_its_card():
    """WCAG contrast of at least 4.5 between every text colour and the figure's ground."""

    def luminance(color):
        rgb = np.array([int(to_hex(color)[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    with plt.rc_context():
        plots.use_style()
        ground = luminance(plt.rcParams["figure.facecolor"])
        for name in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"):
            assert (ground + 0.05) / (luminance(plt.rcParams[name]) + 0.05) >= 4.5, name


def test_surface_draws_the_levels_it_is_given(ax):
    plots.surface(ax, toy_network, x=(-1, 3), y=(0, 2), levels=[0, 1, 4])
    _, lines = ax.collections
    assert list(lines.levels) == [0, 1, 4]
    assert ax.get_xlim() == (-1, 3)
    assert ax.get_ylim() == (0, 2)


def test_surface_puts_the_first_parameter_on_the_horizontal_axis(ax):
    plots.surface(ax, quadratic(torch.tensor([8.0, 2.0])), levels=[1.0, 3.0])
    contour = ax.collections[1].get_paths()[0]
    width, height = np.ptp(contour.vertices, axis=0)
    assert width == pytest.approx(1.0, abs=0.02)  # 4 x² = 1
    assert height == pytest.approx(2.0, abs=0.02)  # y² = 1


def test_path_marks_start_and_end(ax):
    points = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    plots.path(ax, points)
    line, start, end = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), points)
    np.testing.assert_array_equal(start.get_xydata(), points[:1])
    np.testing.assert_array_equal(end.get_xydata(), points[-1:])
    assert start.get_markerfacecolor() == "white"


@pytest.mark.parametrize(("value", "color"), [(3.0, plots.BLUE), (-3.0, plots.VERMILLION)])
def test_curvature_colours_by_sign(axes, value, color):
    left, right = axes
    plots.curvature(left, right, torch.zeros(2), torch.tensor([value, value]), torch.eye(2))
    assert [line.get_color() for line in left.lines[:2]] == [color, color]
    assert [bar.get_height() for bar in right.patches] == [value, value]
    assert {to_hex(bar.get_facecolor()).upper() for bar in right.patches} == {color}
    np.testing.assert_allclose(left.lines[0].get_xydata(), [[-0.4, 0], [0.4, 0]])


def test_curvature_prints_a_minus_as_axes_do(axes):
    plots.curvature(*axes, torch.zeros(2), torch.tensor([-2.0, 3.0]), torch.eye(2))
    assert [text.get_text() for text in axes[1].texts] == ["−2.0", "+3.0"]


def test_curves_hold_the_values_and_name_them(ax):
    plots.curves(ax, {"one": torch.tensor([3.0, 2.0]), "two": [1.0, 0.5, 0.25]}, log=True)
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), [[0, 1], [1, 0.5], [2, 0.25]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert ax.get_yscale() == "log"


def test_curves_take_a_common_x_and_need_no_legend_for_one(ax):
    plots.curves(ax, {"loss": [3.0, 2.0]}, x=[10, 20])
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [10, 20])
    assert ax.get_legend() is None


def test_contours_draws_a_grid_with_holes_as_surface_draws_the_function(ax):
    x, y = torch.linspace(-1, 3, 121), torch.linspace(0, 2, 121)
    losses = toy_network(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1))
    losses[:, -1] = torch.inf
    plots.contours(ax, x, y, losses, levels=[0, 1, 4], names=("u", "v"))
    _, lines = ax.collections
    assert lines.levels.tolist() == [0, 1, 4]
    np.testing.assert_allclose(
        toy_network(torch.tensor(lines.get_paths()[1].vertices)), 1, atol=1e-2
    )
    assert (*ax.get_xlim(), *ax.get_ylim()) == (-1, 3, 0, 2)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("u", "v")


def test_plots_take_tensors_of_any_dtype_that_want_a_gradient(ax):
    points = torch.tensor([[0.5, 1.0], [2.0, 3.0]], dtype=torch.bfloat16, requires_grad=True)
    plots.path(ax, points)
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0.5, 1], [2, 3]])


def test_curves_leave_out_what_is_masked(ax):
    plots.curves(ax, {"loss": np.ma.masked_greater([1.0, 99.0], 9)})
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1, np.nan])


def test_curvature_prints_small_and_large_eigenvalues_as_what_they_are(axes):
    plots.curvature(*axes, [0, 0], [-0.004, 3e300], np.eye(2))
    assert [text.get_text() for text in axes[1].texts] == ["−0.004", "+3e+300"]


def test_contours_of_tiny_losses_are_drawn_without_a_warning(ax):
    plots.contours(ax, [0, 1], [0, 1], np.array([[0, 1], [1, 2]]) * 1e-220, levels=10)
    np.testing.assert_allclose(ax.collections[1].get_paths()[1].vertices[0], [0, 0.2])


def test_contours_of_huge_losses_leave_them_blank(ax):
    plots.contours(ax, [0, 1], [0, 1], [[0, 1], [2, 1e300]])
    assert max(ax.collections[1].levels) <= 2.5


GRID, SQUARE = [0, 1, 2], np.eye(3)
REFUSED = {
    "no Axes": (lambda ax: plots.path(None, SQUARE), "ax must be an Axes"),
    "three columns": (lambda ax: plots.path(ax, SQUARE), r"points must have shape \(steps"),
    "no point": (lambda ax: plots.path(ax, np.ones((0, 2))), "points must have shape"),
    "complex": (lambda ax: plots.path(ax, [[1j, 1]]), "points must be real numbers"),
    "two columns": (lambda ax: plots.curves(ax, {"a": SQUARE}), r"lines\['a'\] must have 1 axes"),
    "lengths": (lambda ax: plots.curves(ax, {"a": [1]}, x=GRID), "x must have shape"),
    "hidden": (lambda ax: plots.curves(ax, {"_a": [1]}), "lines must be .* no name with _ first"),
    "to and fro": (lambda ax: plots.contours(ax, [0, 2, 1], GRID, SQUARE), "x must be .* ascend"),
    "transposed": (lambda ax: plots.contours(ax, GRID, GRID[:2], SQUARE), "losses must have shape"),
    "levels": (lambda ax: plots.contours(ax, GRID, GRID, SQUARE, -3), "levels must be 1 to 1000"),
    "one label": (lambda ax: plots.contours(ax, GRID, GRID, SQUARE, 3, "x"), "names must be two"),
    "points": (lambda ax: plots.surface(ax, toy_network, points=1), "points must be an integer"),
    "empty range": (lambda ax: plots.surface(ax, toy_network, x=(1, 1)), "x must be 2 finite"),
    "no loss": (lambda ax: plots.surface(ax, 3), "loss must be a function"),
    "NaN": (lambda ax: plots.curvature(ax, ax, [0, np.nan], GRID, SQUARE), "point must be finite"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_plots_refuse(ax, what):
    call, says = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=says):
        call(ax)
