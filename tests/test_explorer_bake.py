"""lib.explorer while the book is built: all states, what differs, what is refused, how large."""

import gzip
import json
import re

import numpy as np
import pytest
from matplotlib.ticker import MultipleLocator

from lib.explorer import Slider, explore
from lib.explorer.codec import DIGITS, encode, integers
from lib.explorer.delta import Slot, compare
from lib.explorer.drawing import Drawing
from lib.explorer.tree import ID, Forest
from tests.explorer_figures import ETAS, MOMENTA, counting, descent, dot

DATA = re.compile('<script type="application/json" class="explorer-data">(.*?)</script>', re.S)


@pytest.fixture(autouse=True)
def bake(monkeypatch):
    monkeypatch.setenv("EXPLORER_BAKE", "chapters/tried")


def html(baked):
    return baked._repr_mimebundle_()["text/html"]


def read_integers(text):
    found, number, weight = [], 0, 1
    for character in text:
        digit = DIGITS.index(character)
        number += digit % 32 * weight
        weight *= 32
        if digit < 32:
            found.append(-(number // 2) if number % 2 else number // 2)
            number, weight = 0, 1
    return found


def decode(data):
    """The slots that `encode` wrote, read a second way: values as text, and each state's."""
    forms = []
    for form in data["forms"]:
        runs = [part[1:] * part[0] if isinstance(part, list) else [part] for part in form]
        forms.append([data["texts"][i] for run in runs for i in run])
    slots = []
    for kinds, differences, states in data["slots"]:
        rest, before, values = iter(read_integers(differences)), [], []
        for kind in np.cumsum(read_integers(kinds)):
            numbers = []
            for i in range(len(forms[kind]) - 1):
                left = [*[0, 0], *numbers][i]
                above = before[i] - [*[0, 0], *before][i] if i < len(before) else 0
                numbers.append(left + above + next(rest))
            shown = [f"{number / 100:.2f}".rstrip("0").rstrip(".") for number in numbers]
            pairs = zip(forms[kind], [*shown, ""], strict=True)
            values.append("".join(text + number for text, number in pairs))
            before = numbers
        slots.append(Slot(values, np.cumsum(read_integers(states)).tolist()))
    return slots


def states_of(baked):
    """The markup inside the figure at every state, as a page would put it together."""
    whole = html(baked)
    data = json.loads(DATA.search(whole)[1])
    first = whole[whole.index("<svg") : whole.index("</svg>")].split(">", 1)[1]
    slots = decode(data)
    parts = first.split("<g data-slot>")
    assert len(parts) == len(slots) + 1
    definitions = first[: first.index("</defs>")] + data["defs"]
    for state in range(len(slots[0].states)):
        text = parts[0]
        for slot, part in zip(slots, parts[1:], strict=True):
            shown = next(
                v for v in sorted(slot.values, key=len)[::-1] if part.startswith(v + "</g>")
            )
            text += slot.values[slot.states[state]] + part[len(shown) + len("</g>") :]
        yield resolved(text[text.index("</defs>") + len("</defs>") :], definitions)


def resolved(markup, definitions):
    """References replaced by what they refer to."""
    named = dict(re.findall(rf'<\w+ id="{ID}_(\d+)"(.*?)(?=<\w+ id=|$)', definitions, re.S))
    tidy = {number: re.sub("(</defs>|<defs>)", "", text) for number, text in named.items()}
    return re.sub(rf"#{ID}_(\d+)", lambda match: tidy[match[1]], markup)


def afresh(draw, values, figsize=None):
    drawing = Drawing(draw, figsize, still=False)
    root = drawing.at(values)
    inside = "".join(map(drawing.forest.markup, drawing.forest.children[root]))
    return resolved(inside, drawing.forest.definitions())


def test_integers_are_those_of_source_maps():
    # -123456: 2 * 123456 + 1 = 1 + 32 * (4 + 32 * (17 + 32 * 7)), all but the last plus 32.
    assert integers([0, 1, -1, 15, -15, 16, 511, 512, -123456]) == "ACDefgB+fggBhkxH"
    numbers = np.random.default_rng(0).integers(-(10**9), 10**9, 200).tolist()
    assert read_integers(integers(numbers)) == numbers


def test_encode_gives_back_every_value():
    values = [
        '<path d="M 1 2.5 L -0.05 100.25 L 3 4"/>',
        '<path d="M 1 2.5"/>',
        "",
        '<use href="#m12" x="-0" y="1e-5" style="fill: #0072b2; opacity: 0.50"/>',
        '<path d="M 1.5 2.5 L 1.05 99.25 L 3 4 L 3.5 0 L 4 0 L 5 0 L 6 0 L 6 7"/>',
        "rotate(-90) scale(0.105 -0.105) 1234567.89 12345678 007 1.500",
    ]
    slots = [Slot(values, [0, 1, 2, 3, 4, 5, 0]), Slot(["7", "8"], [1, 0, 0, 0, 0, 0, 1])]
    assert decode(json.loads(json.dumps(encode(slots)))) == slots


def test_compare_finds_the_shortest_differing_runs():
    forest = Forest()
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g id="axes_1"><g id="a_1"><path d="M 0 0"/>{}</g>'
    )
    svg += '{}<g id="text_1"><path d="M 9 9"/></g></g></svg>'
    line = '<g id="line_{}"><path d="M {} 1"/></g>'
    roots = [
        forest.add(svg.format(*parts))
        for parts in [
            ("", line.format(1, 1)),
            ('<path d="M 5 5"/>', line.format(1, 1) + line.format(2, 2)),
            ("", ""),
        ]
    ]
    inside, slots = compare(forest, roots, start=1)
    assert slots == [
        Slot(["", '<path d="M 5 5"/>'], [0, 1, 0]),
        Slot(
            ['<g><path d="M 1 1"/></g>', '<g><path d="M 1 1"/></g><g><path d="M 2 1"/></g>', ""],
            [0, 1, 2],
        ),
    ]
    assert inside == (
        '<g><g><path d="M 0 0"/><g data-slot><path d="M 5 5"/></g></g><g data-slot>'
        '<g><path d="M 1 1"/></g><g><path d="M 2 1"/></g></g><g><path d="M 9 9"/></g></g>'
    )


def test_explore_bakes_what_draw_draws_though_structure_changes():
    baked = explore(
        counting, alt="Lines.", figsize=(4, 3), step=Slider(range(2, 7), start=4), noise=[-1.0, 0.5]
    )
    states = [{"step": step, "noise": noise} for step in range(2, 7) for noise in (-1.0, 0.5)]
    for values, markup in zip(states, states_of(baked), strict=True):
        assert markup == afresh(counting, values, (4, 3)), values


def test_explore_bakes_the_same_from_updates_as_from_figures_drawn_afresh():
    etas, momenta = ETAS[::12], MOMENTA[::19]
    draw = descent(etas, momenta)
    baked = explore(draw, alt="A path.", figsize=(9, 4), eta=etas, momentum=momenta)
    states = [{"eta": eta, "momentum": m} for eta in etas.tolist() for m in momenta.tolist()]
    for values, markup in zip(states, states_of(baked), strict=True):
        assert markup == afresh(draw, values, (9, 4)), values


def test_explore_bakes_an_axis_that_changes_between_still_ones():
    def draw(fig, limit, label):
        ax = fig.subplots()
        (line,) = ax.plot([0, 1], [0, 1])

        def update(limit, label):
            ax.set_xlim(0, limit)
            ax.set_ylabel("y" * label)
            ax.set_title("abc"[:label])
            ax.tick_params(axis="y", length=3 + label)
            ax.grid(label == 2)
            line.set_ydata([label, 0])
            ax.relim()
            ax.autoscale_view()

        update(limit, label)
        return update

    baked = explore(draw, alt="A line.", limit=[1, 2, 1000], label=[0, 1, 2])
    states = [{"limit": limit, "label": label} for limit in (1, 2, 1000) for label in range(3)]
    for values, markup in zip(states, states_of(baked), strict=True):
        assert markup == afresh(draw, values), values


CHANGES = {
    "limits": lambda ax: ax.set_xlim(0, 7),
    "the other axis' limits": lambda ax: ax.set_ylim(0, 7),
    "inverted": lambda ax: ax.set_ylim(1.05, -0.05),
    "scale": lambda ax: ax.set_xscale("symlog"),
    "place": lambda ax: ax.set_position((0.3, 0.3, 0.4, 0.4)),
    "locator": lambda ax: ax.xaxis.set_major_locator(MultipleLocator(0.3)),
    "minor locator": lambda ax: ax.xaxis.set_minor_locator(MultipleLocator(0.1)),
    "formatter": lambda ax: ax.yaxis.set_major_formatter("{x} m"),
    "ticks": lambda ax: ax.set_xticks([0.5], labels=["half"]),
    "tick look": lambda ax: ax.tick_params(axis="y", length=9, colors="red"),
    "one label": lambda ax: ax.get_xticklabels()[1].set_color("red"),
    "a label at hand": lambda ax: ax.xaxis.majorTicks[1].label1.set_color("red"),
    "its name at hand": lambda ax: ax.yaxis.label.set_color("red"),
    "spine": lambda ax: ax.spines["left"].set_position(("data", 0.2)),
    "grid": lambda ax: ax.grid(True),
    "axis label": lambda ax: ax.set_ylabel("loss"),
    "side": lambda ax: ax.yaxis.tick_right(),
    "hidden": lambda ax: ax.xaxis.set_visible(False),
    "title": lambda ax: ax.set_title("over it"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_drawing_notices_what_changes_an_axis(change):
    def draw(fig, changed):
        ax = fig.add_axes((0.2, 0.2, 0.6, 0.6))
        ax.plot([0, 1])
        ax.set_ylabel("height")
        ax.spines["left"].set_position(("data", 0.5))  # the one axis moves with the other's limits

        def update(changed):
            if changed:
                change(ax)

        update(changed)
        return update

    drawing = Drawing(draw, (3, 2))
    roots = [drawing.at({"changed": changed}) for changed in (False, False, True, True)]
    afresh = Drawing(draw, (3, 2), drawing.forest, still=False)
    expected = [afresh.at({"changed": changed}) for changed in (False, True)][1]
    assert roots[0] == roots[1] != expected
    assert roots[2] == roots[3] == expected


def test_explore_bakes_the_same_bytes_every_time():
    first, second = (explore(dot, alt="A dot.", at=[-1, 0, 2]) for _ in range(2))
    assert html(first) == html(second)
    assert html(first) != html(explore(dot, alt="A dot.", at=[-1, 0, 1]))


def test_explore_carries_the_text_alternative_of_each_state():
    baked = explore(dot, alt=lambda at: f'A "dot" <at> {at}.', at=Slider([1, 2, 3], start=2))
    assert baked._repr_mimebundle_()["text/plain"] == 'A "dot" <at> 2.'
    assert 'aria-label="A &quot;dot&quot; &lt;at&gt; 2."' in html(baked)
    data = json.loads(DATA.search(html(baked))[1])
    assert [data["alts"][i] for i in np.cumsum(read_integers(data["alt"]))] == [
        f'A "dot" <at> {at}.' for at in (1, 2, 3)
    ]


def test_explore_escapes_what_would_end_its_markup():
    def draw(fig, at):
        dot(fig, at)
        fig.text(0, 0, "</script><!--&")

    label = '</script><b>"&'
    baked = explore(draw, alt=lambda at: f"</script>{at}", at=Slider([1, 2], label=label))
    assert html(baked).count("</script>") == 1
    assert "<!--" not in html(baked)
    assert "&lt;/script&gt;&lt;b&gt;&quot;&amp;</label>" in html(baked)


def test_explore_loads_nothing_but_the_start_state_at_once():
    """The definitions and the outlines that only other states need are with their data."""
    baked = explore(counting, alt="Lines.", step=range(3, 6), noise=[-1.0, 0.5])
    whole = html(baked)
    first = whole[: whole.index("<script")]
    used = set(re.findall(rf"#{ID}_(\d+)", first))
    assert used == set(re.findall(rf'id="{ID}_(\d+)"', first))
    assert len(re.findall(rf'id=\\"{ID}_(\d+)\\"', whole)) > 0


def test_explore_names_the_state_at_which_draw_raised():
    def draw(fig, eta, momentum):
        dot(fig, 1 / (eta - momentum))

    says = (
        "explorer 'draw' of chapters/tried at eta=0.9, momentum=0.9: "
        "draw raised ZeroDivisionError: float division by zero"
    )
    with pytest.raises(RuntimeError, match=says):
        explore(draw, alt="A dot.", eta=[0.1, 0.9], momentum=[0.5, 0.9])


def test_explore_names_the_state_at_which_update_raised():
    def draw(fig, eta):
        def update(eta):
            raise KeyError(eta)

        return update

    with pytest.raises(RuntimeError, match=r"explorer 'path' .* at eta=0.1: draw raised KeyError"):
        explore(draw, alt="A dot.", name="path", eta=[0.1, 0.9])


def forgetful(fig, eta):
    ax = fig.add_axes((0, 0, 1, 1))
    (line,) = ax.plot([0, 1], [0, eta])
    ax.set_ylim(0, 2)

    def update(eta):
        line.set_ydata([0, eta])
        if eta == 0.5:
            line.set_color("red")

    return update


def scattered(fig, eta):
    fig.add_axes((0, 0, 1, 1)).plot(np.random.default_rng().normal(size=3))


def sly(fig, eta):
    """Changes a formatter in place, which the axis does not notice."""
    ax = fig.add_axes((0.2, 0.2, 0.7, 0.7))
    ax.plot([0, 1])
    formatter = ax.xaxis.get_major_formatter()

    def update(eta):
        formatter.set_useOffset(eta > 0.2)
        formatter.format_ticks = lambda locs: [f"{eta}"] * len(locs)

    update(eta)
    return update


@pytest.mark.parametrize("draw", [forgetful, scattered, sly])
def test_explore_refuses_a_figure_that_depends_on_what_came_before(draw):
    with pytest.raises(ValueError, match="the figure depends on what was drawn before it"):
        explore(draw, alt="A line.", eta=[0.1, 0.5, 0.9])


def test_explore_refuses_a_figure_that_changes_its_size():
    def draw(fig, eta):
        fig.set_size_inches(eta, 2)

    with pytest.raises(ValueError, match="at eta=3: draw must not change the figure's size"):
        explore(draw, alt="Nothing.", eta=[2, 3])


@pytest.mark.parametrize("name", ["Path", "a b", "", "-a", "a:b"])
def test_explore_refuses_a_name_that_does_not_fit_an_address(name):
    with pytest.raises(ValueError, match="name must be small letters, digits and single hyphens"):
        explore(dot, alt="A dot.", name=name, at=[1, 2])


def test_explore_takes_its_name_from_draw():
    assert 'data-name="dot"' in html(explore(dot, alt="A dot.", at=[1, 2]))
    nameless = explore(lambda fig, at: dot(fig, at), alt="A dot.", at=[1, 2])
    assert 'data-name="lambda"' in html(nameless)


def test_explore_bakes_a_state_in_800_bytes():
    """Half the grid each way, so neighbours resemble each other less than among 500 states."""
    etas, momenta = ETAS[::2], MOMENTA[::2]
    draw = descent(etas, momenta)
    whole = html(explore(draw, alt="A path.", figsize=(9, 4), eta=etas, momentum=momenta))
    (data,) = DATA.findall(whole)
    assert len(gzip.compress(data.encode())) <= 400_000 / 500 * len(etas) * len(momenta)
    assert len(gzip.compress(DATA.sub("", whole).encode())) <= 30_000
