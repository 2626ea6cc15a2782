"""A plane of losses, beside loss-landscapes.

Usage: python -m benchmarks.landscape   prints the tables that `make bench` writes
"""

import copy

import torch
from torch.nn.functional import cross_entropy

from benchmarks.networks import cases, gradient_of
from benchmarks.page import GRADIENT, OURS, Page
from benchmarks.timing import in_turn
from lib.hessian import flat_loss
from lib.landscape import slice_2d

PEER = "loss-landscapes"


def plane(page, name, model, data, points):
    state = copy.deepcopy(model)
    theirs = copy.deepcopy(model)

    def ours():
        # Along the peer's directions: pooling takes longer or shorter by the numbers it is given.
        _, u, v = peer_plane(state, points)
        ends = (-points / 2, points / 2 - 1)
        return lambda: (u, v, slice_2d(model, cross_entropy, [data], u, v, ends, ends, points))

    def by_peer():
        import loss_landscapes
        from loss_landscapes.metrics import Loss

        def run():
            theirs.load_state_dict(state.state_dict())
            torch.manual_seed(0)
            return loss_landscapes.random_plane(theirs, Loss(cross_entropy, *data), steps=points)

        return run

    @torch.no_grad()
    def alone():
        for _ in range(points**2):
            cross_entropy(model(data[0]), data[1]).item()

    ways = {
        OURS: ours,
        PEER: by_peer,
        f"{points}² losses, nothing moved": lambda: alone,
        GRADIENT: lambda: gradient_of(model, data),
    }
    ways = in_turn(ways)
    work = f"plane of {points} × {points} losses, {name}"
    page.reach_ratio(work, ways, PEER, 0.5 if "MLP" in name else 1)
    checks = ((OURS, model, grid_error), (PEER, theirs, peer_error))
    for way, used, error in checks:
        if ways[way].times:
            value = {"grid": error(state, data, ways[way].value), "model": left(used, state)}
            ways[way] = ways[way]._replace(value=value)
    if ways[OURS].times:
        page.reach(work, "error of the grid", ways[OURS].value["grid"], 1e-5)
        page.reach(work, "models changed", int(ways[OURS].value["model"] != "as it was"), 0)
    note = (
        "Both along the directions that loss-landscapes draws. Grid: the largest difference, "
        "relative, from the loss computed afresh at 20 of the points that the grid is said to "
        "have. A model is changed when a bit of a parameter is, or whether it takes a gradient."
    )
    page.compare(f"P{work[1:]}", ways, note)


def grid_error(model, data, value):
    u, v, found = value
    loss, theta = flat_loss(model.double(), cross_entropy, data[0].double(), data[1])
    at = [(i, j) for i in range(len(found.x)) for j in range(len(found.y))]
    off = [
        abs(loss(theta + found.x[i] * u + found.y[j] * v) / found.losses[j, i] - 1).item()
        for i, j in at[:: max(1, len(at) // 20)]
    ]
    model.float()
    return max(off)


def peer_error(model, data, found):
    """The same for the plane that random_plane's documentation describes, from its own draws."""
    steps = len(found)
    centre, u, v = peer_plane(model, steps)
    loss, _ = flat_loss(model, cross_entropy, *data)
    at = [(i, j) for i in range(steps) for j in range(steps)]
    return max(
        abs(loss(centre + (i - steps / 2) * u + (j - steps / 2) * v) / found[i, j] - 1).item()
        for i, j in at[:: max(1, len(at) // 20)]
    )


def peer_plane(model, steps):
    """The parameters, and random_plane's two directions, a step long, as vectors."""
    from loss_landscapes.model_interface.model_parameters import orthogonal_to, rand_u_like
    from loss_landscapes.model_interface.model_wrapper import wrap_model

    start = wrap_model(copy.deepcopy(model)).get_module_parameters()
    torch.manual_seed(0)
    u = rand_u_like(start)
    v = orthogonal_to(u)
    for direction in (u, v):
        direction.filter_normalize_(start)
        direction.mul_(start.model_norm() / steps / direction.model_norm())
    return [torch.cat([t.detach().reshape(-1) for t in parts]) for parts in (start, u, v)]


def left(model, before):
    same = all(
        a.requires_grad == b.requires_grad and torch.equal(a, b)
        for a, b in zip(model.parameters(), before.parameters(), strict=True)
    )
    return "as it was" if same else "changed"


def rows(page):
    for name, (model, data) in cases(500).items():
        # 625 losses of the ConvNet would take most of a minute, at each run of each way.
        plane(page, name, model, data, points=25 if "MLP" in name else 9)


def main():
    torch.set_num_threads(1)
    page = Page()
    rows(page)
    print(page.text())


if __name__ == "__main__":
    main()
