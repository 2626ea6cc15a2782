"""Figures that the tests and the benchmark of explorers draw: a heavy one, a restless one."""

import numpy as np

ETAS = np.geomspace(0.003, 0.3, 25)
MOMENTA = np.linspace(0, 0.95, 20)
STEPS = 100


def descend(etas, momenta):
    """Descent on (1 - w1 w2)^2 for every pair of settings, (etas, momenta, steps + 1, 2)."""
    eta, momentum = (grid[..., None] for grid in np.meshgrid(etas, momenta, indexing="ij"))
    w = np.broadcast_to([-1.8, 1.6], (*eta.shape[:2], 2))
    velocity, path = np.zeros_like(w), [w]
    for _ in range(STEPS):
        gradient = -2 * (1 - w[..., :1] * w[..., 1:]) * w[..., ::-1]
        velocity = momentum * velocity + gradient
        w = np.clip(w - eta * velocity, -50, 50)
        path.append(w)
    return np.stack(path, 2)


def descent(etas=ETAS, momenta=MOMENTA):
    """A `draw` of two panels: contours with a path of 101 marked points, and a loss curve."""
    paths = descend(etas, momenta)
    losses = (1 - paths[..., 0] * paths[..., 1]) ** 2 + 1e-12

    def draw(fig, eta, momentum):
        left, right = fig.subplots(1, 2)
        axis = np.linspace(-2, 2, 101)
        x, y = np.meshgrid(axis, axis)
        left.contourf(x, y, (1 - x * y) ** 2, 14, cmap="Blues")
        left.contour(x, y, (1 - x * y) ** 2, 14, colors="#6f879b", linewidths=0.5)
        left.set(xlim=(-2, 2), ylim=(-2, 2), xlabel="$w_1$", ylabel="$w_2$")
        (path,) = left.plot([], [], "o-", ms=3)
        (curve,) = right.plot([], [])
        right.set(xlim=(0, STEPS), ylim=(1e-6, 100), yscale="log", xlabel="step", ylabel="loss")

        def update(eta, momentum):
            state = (list(etas).index(eta), list(momenta).index(momentum))
            path.set_data(*paths[state].T)
            curve.set_data(np.arange(STEPS + 1), losses[state])
            right.set_title(f"final loss {losses[state][-1]:.1e}")

        update(eta, momentum)
        return update

    return draw


def counting(fig, step, noise):
    """Ticks, legend entries, labels and lines that come and go; at first an empty path."""
    ax = fig.subplots()
    ax.plot(range(step), noise * np.arange(step) ** 2)
    if step > 3:
        ax.plot([0, step], [0, noise], "o", label=f"a < {step} & b")
        ax.legend()
    if step % 2:
        ax.set_xlabel('odd "steps"')
        ax.scatter(range(step), range(step), s=10 * step, c=range(step))
    if step == 5:
        ax.imshow(np.arange(4.0).reshape(2, 2), extent=(0, 1, 0, 1))
        ax.bar([2], [3], hatch="/")


def dot(fig, at):
    ax = fig.add_axes((0.1, 0.1, 0.8, 0.8))
    ax.plot([at], [0], "o")
    ax.set_xlim(-3, 3)
