"""Gradients kept together with their graphs, as far as a budget of memory goes."""

from typing import NamedTuple

import torch
from torch.utils._pytree import tree_leaves


class Kept(NamedTuple):
    batch: tuple
    g: torch.Tensor


class KeptGraphs:
    """The gradient's graph of as many batches as fit into ``budget`` bytes, by their position.

    A loader that shuffles gives other batches each time it is read. Unless all graphs of the
    first reading fit, keeping some of them is then of no use, and none is kept.
    """

    def __init__(self, budget):
        self.budget = budget
        self.clear()

    def clear(self):
        self.kept, self.used, self.complete = {}, 0, False

    def batches(self):
        return [kept.batch for kept in self.kept.values()]

    def find(self, i, batch):
        """The gradient of batch i, None where it is not kept."""
        kept = self.kept.get(i)
        if kept is None or kept.batch is batch or _same(kept.batch, batch):
            return kept and kept.g
        self.clear()
        self.budget = 0
        return None

    def offer(self, i, batch, g, shared):
        if self.used < self.budget:
            size = held_bytes(g, batch, shared)
            if self.used + size <= self.budget:
                self.kept[i] = Kept(batch, g)
                self.used += size


def held_bytes(g, batch, shared):
    """Bytes that g's graph and its batch hold: distinct storages, less those of ``shared``.

    Of the batch's tensors only their own part counts, as they may be slices of the whole data.
    """
    data = [t for t in tree_leaves(batch) if torch.is_tensor(t)]
    known = {t.untyped_storage().data_ptr() for t in (*data, *shared)}
    sizes = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in _saved(g)}
    return sum(t.nbytes for t in data) + sum(sizes[at] for at in sizes.keys() - known)


def _saved(g):
    """g and the tensors that the nodes of its graph saved for the derivative.

    Hooks for saved tensors would tell as much, but a graph recorded under them no longer sees
    that a tensor was changed in place.
    """
    yield g
    nodes, seen = [g.grad_fn], {None}
    while nodes:
        node = nodes.pop()
        if node in seen:
            continue
        seen.add(node)
        nodes += [following for following, _ in node.next_functions]
        for name in dir(node):
            if name.startswith("_saved_") or name == "saved_tensors":  # torch's nodes; a user's
                yield from (t for t in tree_leaves(getattr(node, name)) if torch.is_tensor(t))


def _same(batch, other):
    pairs = zip(tree_leaves(batch), tree_leaves(other), strict=False)
    return len(tree_leaves(batch)) == len(tree_leaves(other)) and all(
        a is b or (torch.is_tensor(a) and torch.is_tensor(b) and torch.equal(a, b))
        for a, b in pairs
    )
