"""What differs between the states of a figure, and where."""

from dataclasses import dataclass

from .tree import element


@dataclass
class Slot:
    """A place in the figure whose content differs between states.

    `values` are its contents, as SVG text, each once and in the order in which the states first
    show them; `states` says for each state which of them it shows.
    """

    values: list
    states: list


def compare(forest, roots, start):
    """Take apart what all states share and what they do not.

    A group that all states have is looked into; where its children differ in number or in
    themselves, a run of them as short as can be found becomes a slot. So a label that changes, a
    tick or legend entry that comes or goes, an empty path: each is a slot, and nothing else moves.

    Args:
        forest: of all states.
        roots: the root node of each state.
        start: the state whose content the slots hold at first.

    Returns:
        the markup inside the root, with each slot a `<g data-slot>`, and the slots in the order
        in which they stand there.
    """
    slots = []
    return _inside(forest, roots, start, slots), slots


def _inside(forest, nodes, start, slots):
    """The markup inside nodes, one a state, whose start tags agree."""
    rows = [forest.children[node] for node in nodes]
    head, tail = _common(forest, rows)
    columns = [[row[i] for row in rows] for i in range(head)]
    columns.append([row[head : len(row) - tail] for row in rows])
    columns += [[row[len(row) - tail + i] for row in rows] for i in range(tail)]

    parts, run = [], []  # `run`: neighbouring columns that differ and cannot be looked into

    def close_run():
        if run:
            parts.append(_slot(forest, run, start, slots))
            run.clear()

    for column in columns:
        shared = column[0]
        if all(item == shared for item in column):
            if shared != ():
                close_run()
                parts.append(forest.markup(shared))
        elif isinstance(shared, tuple):
            run.append(column)
        elif _alike(forest, column):
            close_run()
            inside = _inside(forest, column, start, slots)
            parts.append(element(forest.start[shared], inside))
        else:
            run.append([(item,) for item in column])
    close_run()
    return "".join(parts)


def _common(forest, rows):
    """How many children at the head and at the tail are of the same kinds in all rows."""
    shortest = min(map(len, rows))
    if all(len(row) == shortest for row in rows):
        return shortest, 0
    kinds = {tuple(forest.kind[node] for node in row) for row in rows}
    head = _agreeing(kinds, shortest)
    return head, _agreeing({row[::-1] for row in kinds}, shortest - head)


def _agreeing(kinds, most):
    length = 0
    while length < most and len({row[length] for row in kinds}) == 1:
        length += 1
    return length


def _alike(forest, nodes):
    """Whether nodes can be looked into: the same start tag in all, and something inside."""
    tags = {forest.start[node] for node in nodes}
    return len(tags) == 1 and all(forest.children[node] for node in nodes)


def _slot(forest, run, start, slots):
    numbers, states = {}, []
    for row in zip(*run, strict=True):
        nodes = sum(row, ())
        states.append(numbers.setdefault(nodes, len(numbers)))
    values = ["".join(map(forest.markup, nodes)) for nodes in numbers]
    slots.append(Slot(values, states))
    return f"<g data-slot>{values[states[start]]}</g>"
