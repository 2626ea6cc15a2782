"""lib.explorer in a kernel: sliders, values as they print, one picture redrawn in place."""

import asyncio
import base64
import gc
import itertools
import json
import re
import weakref
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel

from lib.explorer import Slider, explore
from lib.explorer.slider import label_of, texts_of


def bar(fig, eta, step=1):
    fig.subplots().bar([0], [eta * step])


def picture(live):
    """The SVG that a live explorer shows now."""
    return base64.b64decode(re.search('base64,([^"]+)', live._picture.value)[1]).decode()


def test_texts_of_log_spaced_values_are_short():
    texts = ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1"]
    assert texts_of(np.geomspace(1e-3, 1, 7).tolist()) == texts
    assert texts_of(np.geomspace(1e-3, 0.1, 9).tolist())[1:4] == ["0.0018", "0.0032", "0.0056"]
    assert texts_of([1e-7, 1.1449e-06, 2.5e8]) == ["1e-7", "1.1e-6", "2.5e8"]


def test_texts_of_even_values_are_what_was_meant():
    assert texts_of(np.linspace(0, 1, 11).tolist())[3] == "0.3"
    assert texts_of([0.9, 0.95, 0.99, 0.999]) == ["0.9", "0.95", "0.99", "0.999"]
    assert texts_of([1, 16, 1200]) == ["1", "16", "1200"]
    assert texts_of([-0.5, 0.0, 1.4, 2.4]) == ["−0.5", "0", "1.4", "2.4"]


def test_texts_of_are_apart_and_close():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = np.unique(rng.normal(size=20) * 10.0 ** rng.integers(-8, 8)).tolist()
        texts = texts_of(values)
        assert len(set(texts)) == len(values)
        printed = np.array([float(text.replace("−", "-")) for text in texts])
        np.testing.assert_allclose(printed, values, rtol=0.06)
    assert texts_of([658001.0, 0.0]) == ["660000", "0"]  # 700000 is 6.4 % above it
    close = [1.0, 1.0000001]
    assert texts_of(close) == ["1", "1.0000001"]


def test_label_of_symbols():
    names = ["eta", "alpha", "epsilon", "momentum", "batch_size", "beta_1", "w2", "step"]
    labels = ["η", "α", "ε", "momentum λ", "batch size B", "β₁", "w₂", "step"]
    assert [label_of(name) for name in names] == labels


def test_slider_keeps_values_exactly():
    values = np.geomspace(1e-3, 1, 7)
    slider = Slider(values, label="rate", start=values[3])
    assert slider.values == values.tolist()
    assert type(slider.values[0]) is float
    assert (slider.label, slider.start) == ("rate", 3)


def test_slider_starts_at_the_very_value_where_others_are_close():
    assert Slider([1.0, 1 + 1e-12], start=1 + 1e-12).start == 1


def test_slider_takes_numbers_of_numpy_and_torch_as_pythons_own():
    values = Slider([np.float32(0.5), torch.tensor(2), 3]).values
    assert [(value, type(value)) for value in values] == [(0.5, float), (2, int), (3, int)]


def test_slider_refuses_a_label_that_is_no_text():
    with pytest.raises(TypeError, match="label must be a string or None, got 3"):
        Slider([1, 2], label=3)


@pytest.mark.parametrize(
    ("values", "start", "error", "says"),
    [
        ([1.0], None, ValueError, "values must be at least two"),
        ([1.0, float("nan")], None, ValueError, "values must be finite, got nan"),
        ([1, 2, 1], None, ValueError, "got 1 twice"),
        ([1, 2], 3, ValueError, "start must be one of the values, 1, 2, got 3"),
        ("abc", None, TypeError, "values must be a sequence of values, got 'abc'"),
        (5, None, TypeError, "values must be a sequence of values, got 5"),
        (np.float64(5), None, TypeError, "values must be a sequence of values"),
        (np.eye(2), None, TypeError, "values must be a sequence of values"),
        ([np.ones(2), np.zeros(2)], None, TypeError, "values must be single values"),
        ([np.float32("nan"), 1], None, ValueError, "values must be finite, got nan"),
        ([1, "1"], None, ValueError, "values must print differently, got '1' twice"),
        (itertools.count(), None, ValueError, "values must be at most 1000"),
        ([1, 2], np.ones(2), TypeError, "start must be single values"),
        ([10**400, 1], 2.0, ValueError, "start must be one of the values"),
    ],
)
def test_slider_refuses(values, start, error, says):
    with pytest.raises(error, match=says):
        Slider(values, start=start)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"alt": " "}, ValueError, "alt must say in words what the figure shows, got ' '"),
        ({"alt": None}, ValueError, "alt must say in words"),
        ({"alt": lambda eta: 3}, ValueError, "alt must say in words .* got 3"),
        ({"name": 3}, ValueError, "name must be small letters"),
        ({"play": ["eta"]}, ValueError, "play must name a slider"),
        ({"figsize": (0, 3)}, ValueError, "figsize must be two numbers above 0"),
        ({"figsize": 4}, ValueError, "figsize must be two numbers above 0"),
        ({"a b": [1, 2]}, ValueError, "sliders must be named as arguments"),
        ({"draw": 3}, TypeError, r"draw must be a function draw\(fig, \*\*values\), got 3"),
        ({"eta": [1.0]}, ValueError, "slider eta: values must be at least two"),
        ({"eta": 0.3}, TypeError, "slider eta: values must be a sequence"),
        ({"play": "step"}, ValueError, r"play must name a slider, \['eta'\], got 'step'"),
        ({"a": [1, 2], "b": [1, 2], "c": [1, 2]}, ValueError, "must be one to three, got 4"),
        ({"step": range(501)}, ValueError, "may have 1000 states together, got 1002"),
    ],
)
def test_explore_refuses(change, error, says):
    arguments = {"draw": bar, "alt": "A bar.", "eta": [0.1, 0.3]} | change
    with pytest.raises(error, match=says):
        explore(arguments.pop("draw"), **arguments)


def test_explore_refuses_no_slider():
    with pytest.raises(ValueError, match="must be one to three, got 0"):
        explore(bar, alt="A bar.")


def test_explore_shows_the_text_alternative_where_no_kernel_runs():
    live = explore(bar, alt="A bar.", eta=[0.1, 0.3])
    bundle = live._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert bundle["text/plain"] == "A bar."
    live = explore(bar, alt=lambda eta: f"A bar at {eta}.", eta=Slider([0.1, 0.3], start=0.3))
    assert live._repr_mimebundle_()["text/plain"] == "A bar at 0.3."


def test_explore_names_its_sliders_and_its_picture():
    live = explore(bar, alt='A "bar" < 1.', eta=np.geomspace(1e-3, 1, 7), step=[1, 2])
    assert [control.description for control in live._controls.values()] == ["η", "step"]
    assert [text for text, _ in live._controls["eta"].options][1] == "0.003"
    assert 'alt="A &quot;bar&quot; &lt; 1."' in live._picture.value


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_explore_draws_text_with_characters_that_xml_does_not_have():
    live = explore(lambda fig, eta: fig.suptitle("a\x00\ufffe"), alt="Text.", eta=[1, 2])
    ET.fromstring(picture(live))


def test_explore_picture_is_an_svg_document():
    root = ET.fromstring(picture(explore(bar, alt="A bar.", eta=[0.1, 0.3])))
    assert {element.tag.split("}")[0] for element in root.iter()} == {"{http://www.w3.org/2000/svg"}


def test_explore_five_moves_leave_one_picture_and_no_figure():
    figures = []

    def draw(fig, eta):
        figures.append(weakref.ref(fig))
        bar(fig, eta)

    live = explore(draw, alt="A bar.", eta=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    first, children = picture(live), len(live.widget.children)
    for i in range(1, 6):
        live._controls["eta"].index = i
    assert picture(live) != first
    assert len(figures) == 6
    assert len(live.widget.children) == children
    assert plt.get_fignums() == []
    gc.collect()
    assert sum(ref() is not None for ref in figures) == 0


def test_explore_draws_the_same_by_update_as_afresh():
    def draw(fig, eta):
        ax = fig.subplots()
        ax.set(xlim=(0, 1), ylim=(0, 1))
        (line,) = ax.plot([], [])

        def update(eta):
            line.set_data([0, 1], [0, eta])
            ax.set_title(f"eta = {eta}")

        update(eta)
        return update

    etas = [0.1, 0.4, 0.9]
    live = explore(draw, alt="A line.", eta=etas)
    for i in (2, 1, 2):
        live._controls["eta"].index = i
    afresh = explore(draw, alt="A line.", eta=Slider(etas, start=0.9))
    assert picture(live) == picture(afresh)


def test_explore_picture_keeps_nothing_of_other_states():
    def draw(fig, eta):
        fig.subplots().scatter(range(5), range(5), marker="ov^sD"[eta])

    live = explore(draw, alt="Five points.", eta=range(5))
    first = picture(live)
    for i in (1, 2, 3, 4, 0):
        live._controls["eta"].index = i
    assert picture(live) == first


def test_explore_is_the_same_at_every_call():
    first, second = (explore(bar, alt="A bar.", eta=[0.1, 0.3]) for _ in range(2))
    assert picture(first) == picture(second)


def test_explore_raises_what_draw_raises_at_the_start():
    with pytest.raises(ZeroDivisionError):
        explore(lambda fig, eta: 1 / eta, alt="Nothing.", eta=[0, 1])


def test_explore_shows_an_error_and_keeps_the_picture():
    def draw(fig, eta):
        bar(fig, 1 / eta)

    live = explore(draw, alt="A bar.", eta=[1, 0, 2])
    first = picture(live)
    live._controls["eta"].index = 1
    assert "ZeroDivisionError: division by zero, at η = 0" in live._trouble.value
    assert 'role="alert"' in live._trouble.value
    assert picture(live) == first
    live._controls["eta"].index = 0
    assert live._trouble.value == ""
    live._controls["eta"].index = 2
    assert picture(live) != first


def test_explore_reset_and_play():
    live = explore(bar, alt="A bar.", play="step", eta=[1, 2], step=Slider([1, 2, 3], start=2))
    player, reset = live.widget.children[-1].children
    assert (player.min, player.max, player.value) == (0, 2, 1)
    live._controls["eta"].index, live._controls["step"].index = 1, 2
    reset.click()
    assert live._indices() == [0, 1]


def test_explore_moves_that_wait_cost_one_drawing():
    drawn = []

    def draw(fig, eta):
        drawn.append(eta)

    async def drag():
        live = explore(draw, alt="Nothing.", eta=range(40))
        for i in range(1, 40):
            live._controls["eta"].index = i
        await asyncio.sleep(0.2)
        live._controls["eta"].index = 5
        live._controls["eta"].index = 39
        await asyncio.sleep(0.2)

    asyncio.run(drag())
    assert drawn == [0, 39]


def test_explore_in_a_kernel_keeps_up_with_a_drag():
    """Thirty moves that wait behind a busy kernel: the last is shown, few of them are drawn."""
    source = """
import asyncio, json, time
from lib.explorer import explore
drawn = []
def draw(fig, eta):
    time.sleep(0.2)
    drawn.append(eta)
live = explore(draw, alt="Nothing.", eta=range(31))
live
"""
    last = "while drawn[-1] < 30: await asyncio.sleep(0.05)\nprint(json.dumps(drawn))"
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        outputs = []

        def run(code):
            reply = client.execute_interactive(code, timeout=60, output_hook=outputs.append)
            assert reply["content"]["status"] == "ok", reply["content"]

        run(source)
        (shown,) = (m for m in outputs if m["msg_type"] == "execute_result")
        assert shown["content"]["data"]["text/plain"] == "Nothing."
        run("print(live._controls['eta'].model_id)")
        (model,) = (m["content"]["text"].strip() for m in outputs if m["msg_type"] == "stream")
        client.execute("time.sleep(1)")
        for i in range(1, 31):
            data = {"method": "update", "state": {"index": i}, "buffer_paths": []}
            message = client.session.msg("comm_msg", {"comm_id": model, "data": data})
            client.shell_channel.send(message)
        run(last)
        drawn = json.loads([m for m in outputs if m["msg_type"] == "stream"][-1]["content"]["text"])
        assert drawn[0] == 0
        assert drawn[-1] == 30
        assert len(drawn) <= 6
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
