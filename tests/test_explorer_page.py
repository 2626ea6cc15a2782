"""Explorers on a plain page: a small book is built and opened from disk in headless Chromium."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from matplotlib.figure import Figure
from PIL import Image

from tests.explorer_figures import ETAS, MOMENTA, counting, descent

ROOT = Path(__file__).resolve().parent.parent
BUILD = "from jupyter_book.cli.main import main; main()"
CONFIG = f"""
title: Explorers
execute: {{execute_notebooks: cache, raise_on_error: true, stderr_output: error, timeout: 120}}
html: {{baseurl: ""}}
sphinx:
  recursive_update: true
  local_extensions: {{book.explorer: {ROOT}}}
  config:
    nb_mime_priority_overrides: [[html, text/html, 5]]
    nb_execution_show_tb: true
    thebe_config: {{}}
"""
ETAS, MOMENTA = ETAS[::6].tolist(), MOMENTA[::6].tolist()
CELLS = [
    f"""
from explorer_figures import counting, descent, dot
from lib.explorer import Slider, explore
etas, momenta = {ETAS}, {MOMENTA}
draw = descent(etas, momenta)
explore(draw, alt="The path of descent on contours, and its loss.", name="path", figsize=(9, 4),
        eta=Slider(etas, start=etas[2]), momentum=momenta)
""",
    """
explore(counting, alt=lambda step, noise: f"{step} points at noise {noise}.", play="step",
        figsize=(6, 3), step=range(8), noise=[-1.0, 0.5])
""",
    'explore(dot, alt="A dot.", figsize=(3, 1), at=[-1, 0, 1])',
    'explore(dot, alt="A dot.", figsize=(3, 1), at=[-1, 0, 1])',
]
FILLING = "\n\n".join(["Prose between explorers, so that a reader has to scroll."] * 60)
pytestmark = pytest.mark.timeout(600)


def write_book(folder, cells):
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
    notebook.cells = [nbformat.v4.new_markdown_cell("# Tried\n\nA chapter.")]
    for cell in cells:
        notebook.cells.append(nbformat.v4.new_code_cell(cell.strip()))
        notebook.cells.append(nbformat.v4.new_markdown_cell(FILLING))
    (folder / "chapters").mkdir()
    nbformat.write(notebook, folder / "chapters" / "tried.ipynb")
    shutil.copy(ROOT / "tests" / "explorer_figures.py", folder / "chapters")
    (folder / "intro.md").write_text("# Intro\n\nNo explorer here.\n")
    (folder / "_config.yml").write_text(CONFIG)
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: intro\nchapters: [{file: chapters/tried}]\n"
    )


def build(folder):
    command = [sys.executable, "-c", BUILD, "build", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The folder of a small book, built."""
    folder = tmp_path_factory.mktemp("book")
    write_book(folder, CELLS)
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(book):
    return (book / "_build" / "html" / "chapters" / "tried.html").as_uri()


@pytest.fixture
def visit(browser, address):
    """Opens the chapter; what it asks for is in `page.asked`, its errors in `page.wrong`."""
    contexts = []

    def open_page(fragment="", theme="light", width=1280, **settings):
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        context.add_init_script(
            f"try {{ localStorage.setItem('mode', '{theme}'); }} catch (error) {{}}"
            f"try {{ localStorage.setItem('theme', '{theme}'); }} catch (error) {{}}"
        )
        page = context.new_page()
        page.asked, page.wrong = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.goto(address + fragment, wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()


def loaded(page, name):
    """The explorer of this name, in view and with all its states."""
    explorer = page.locator(f"#explorer-{name}")
    explorer.scroll_into_view_if_needed()
    page.wait_for_selector(f"#explorer-{name}[data-ready]")
    return explorer


def move(page, name, **indices):
    """Put sliders where they should be, as a hand would, and let the page draw."""
    for slider, index in indices.items():
        page.locator(f"#explorer-{name}-{slider}").evaluate(
            "(input, index) => { input.value = index; input.dispatchEvent(new Event('input')) }",
            index,
        )
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def values(page, name):
    shown = page.locator(f"#explorer-{name} .explorer-value").all_inner_texts()
    return dict(zip([i.split("-")[-1] for i in inputs(page, name)], shown, strict=True))


def inputs(page, name):
    return page.locator(f"#explorer-{name} input").evaluate_all("all => all.map(i => i.id)")


# A place on whole pixels, so that edges are smoothed alike.
PIN = """(box, { width }) => {
    Object.assign(box.style, { position: "fixed", top: 0, left: 0, padding: 0, zIndex: 1e6 });
    box.closest(".explorer").style.contain = "none";  // else fixed means to its corner
    box.style.width = `${width}px`;
}"""


def pixels(locator):
    image = Image.open(io.BytesIO(locator.screenshot())).convert("RGB")
    return np.asarray(image).astype(int)


def saved(page, draw, values, figsize, size):
    """What matplotlib itself saves of this state, as the browser shows it at this size."""
    figure, file = Figure(figsize=figsize), io.StringIO()
    draw(figure, **values)
    figure.savefig(file, format="svg", dpi=200)
    svg = file.getvalue()
    page.set_content(
        f"<style>body {{ margin: 0 }} svg {{ display: block; width: {size['width']}px; "
        f"height: {size['height']}px }}</style>{svg[svg.index('<svg') :]}"
    )
    return pixels(page.locator("svg"))


@pytest.mark.parametrize(
    ("name", "draw", "figsize", "sliders"),
    [
        ("path", descent(ETAS, MOMENTA), (9, 4), {"eta": ETAS, "momentum": MOMENTA}),
        ("counting", counting, (6, 3), {"step": range(8), "noise": [-1.0, 0.5]}),
    ],
)
def test_page_shows_what_matplotlib_saves(visit, name, draw, figsize, sliders):
    """Pixel for pixel; a hundredth of a point may shift an edge's grey a little."""
    page = visit(device_scale_factor=2)
    other = page.context.new_page()
    loaded(page, name)
    size = {"width": figsize[0] * 96, "height": figsize[1] * 96}
    page.locator(f"#explorer-{name} .explorer-figure").evaluate(PIN, size)
    rng = np.random.default_rng(0)
    for _ in range(4):
        indices = {key: int(rng.integers(len(v))) for key, v in sliders.items()}
        move(page, name, **indices)
        state = {key: sliders[key][i] for key, i in indices.items()}
        expected = saved(other, draw, state, figsize, size)
        found = pixels(page.locator(f"#explorer-{name} svg"))
        difference = np.abs(found - expected).max(-1)
        assert (difference > 24).mean() < 2e-4, state
        assert difference.max() < 128, state
        assert found.std() > 10


def test_page_shows_the_start_state_without_javascript(visit):
    page = visit(java_script_enabled=False)
    explorer = page.locator("#explorer-path")
    assert explorer.locator("svg path").count() > 50
    assert not explorer.locator(".explorer-controls").is_visible()
    assert explorer.locator("noscript").inner_text() == (
        "Shown: η = 0.03, momentum λ = 0. The sliders need JavaScript."
    )
    assert pixels(explorer.locator("svg")).std() > 10


def test_page_loads_states_only_near_the_viewport(visit):
    page = visit()
    page.wait_for_selector("#explorer-path[data-ready]")

    def files():
        return {url for url in page.asked if re.search("/explorer/[0-9a-f]{16}[.]js$", url)}

    assert len(files()) == 1
    loaded(page, "counting")
    assert len(files()) == 2
    loaded(page, "dot")
    loaded(page, "dot-2")
    assert len(files()) == 3  # two alike share a file
    assert all(url.startswith("file:") for url in page.asked)


def test_page_without_an_explorer_loads_nothing_for_one(book):
    html = (book / "_build" / "html" / "intro.html").read_text()
    assert "explorer" not in re.sub("<title>.*?</title>|Explorers|No explorer", "", html)


def test_notebooks_leave_no_file_behind(book):
    left = {file.name for file in (book / "chapters").iterdir()} - {"__pycache__"}
    assert left == {"tried.ipynb", "explorer_figures.py"}


def test_slider_by_keyboard(visit):
    page = visit()
    loaded(page, "path")
    page.locator("#explorer-path-momentum").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert values(page, "path") == {"eta": "0.03", "momentum": "0.3"}
    page.keyboard.press("End")
    assert values(page, "path")["momentum"] == "0.9"
    outline = page.locator("#explorer-path-momentum").evaluate("i => getComputedStyle(i).outline")
    assert "3px" in outline


def test_slider_by_mouse_and_double_click(visit):
    page = visit()
    explorer = loaded(page, "path")
    start = explorer.locator("svg").inner_html()
    box = page.locator("#explorer-path-eta").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 5, box["y"] + box["height"] / 2)
    assert values(page, "path")["eta"] == "0.3"
    page.wait_for_timeout(100)
    assert explorer.locator("svg").inner_html() != start
    page.mouse.dblclick(box["x"] + 5, box["y"] + box["height"] / 2)
    assert values(page, "path")["eta"] == "0.03"
    page.wait_for_timeout(100)
    assert explorer.locator("svg").inner_html() == start


def test_slider_by_touch(visit):
    page = visit(width=390, has_touch=True, is_mobile=True)
    loaded(page, "path")
    box = page.locator("#explorer-path-momentum").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] - 5, box["y"] + box["height"] / 2)
    assert values(page, "path")["momentum"] == "0.9"
    assert box["height"] >= 24


def test_reset_button(visit):
    page = visit()
    explorer = loaded(page, "path")
    move(page, "path", eta=0, momentum=3)
    explorer.get_by_role("button", name="Reset").click()
    assert values(page, "path") == {"eta": "0.03", "momentum": "0"}


def test_play_button_runs_along_its_slider_and_stops_at_the_end(visit):
    page = visit()
    explorer = loaded(page, "counting")
    move(page, "counting", step=5)
    explorer.get_by_role("button", name="Play step").click()
    assert explorer.get_by_role("button", name="Pause step").is_visible()
    explorer.get_by_role("button", name="Play step").wait_for()
    assert values(page, "counting") == {"step": "7", "noise": "−1"}
    explorer.get_by_role("button", name="Play step").click()
    page.wait_for_function("document.getElementById('explorer-counting-step').value === '2'")
    explorer.get_by_role("button", name="Pause step").click()
    assert int(values(page, "counting")["step"]) < 7


def test_play_button_goes_one_step_where_motion_is_unwanted(visit):
    page = visit(reduced_motion="reduce")
    explorer = loaded(page, "counting")
    button = explorer.get_by_role("button", name="Step step")
    button.click()
    page.wait_for_timeout(600)
    assert values(page, "counting")["step"] == "1"


def test_address_opens_a_state(visit):
    page = visit("#explorer-counting:step=5,noise=0.5")
    page.wait_for_selector("#explorer-counting[data-ready]")
    assert values(page, "counting") == {"step": "5", "noise": "0.5"}
    assert values(page, "path") == {"eta": "0.03", "momentum": "0"}
    assert page.locator("#explorer-counting").evaluate(
        "it => it.getBoundingClientRect().top < innerHeight && scrollY > 0"
    )
    page.evaluate("location.hash = 'explorer-path:eta=0.3;explorer-counting:noise=-1,step=2'")
    page.wait_for_function("document.getElementById('explorer-path-eta').value === '4'")
    assert values(page, "counting") == {"step": "2", "noise": "−1"}


def test_address_follows_the_sliders(visit):
    page = visit("#tried")
    loaded(page, "path")
    page.wait_for_timeout(400)
    assert page.url.endswith("#tried")
    move(page, "path", eta=4)
    page.wait_for_url("**/tried.html#explorer-path:eta=0.3,momentum=0")
    loaded(page, "counting")
    move(page, "counting", noise=1)
    page.wait_for_url("**#explorer-path:eta=0.3,momentum=0;explorer-counting:step=0,noise=0.5")
    page.locator("#explorer-path .explorer-reset").click()
    page.wait_for_url("**/tried.html#explorer-counting:step=0,noise=0.5")
    page.locator("#explorer-counting .explorer-reset").click()
    page.wait_for_url("**/tried.html")


@pytest.mark.parametrize("fragment", ["#explorer-path", "#%E0%A4%A", "#explorer-path:eta=%,x=1"])
def test_address_that_makes_no_sense_does_no_harm(visit, fragment):
    page = visit(fragment)
    loaded(page, "path")
    assert values(page, "path") == {"eta": "0.03", "momentum": "0"}
    assert not [wrong for wrong in page.wrong if "THEBE" not in wrong]


def test_explorers_of_one_page_do_not_disturb_each_other(visit):
    page = visit()
    ids = page.evaluate("[...document.querySelectorAll('.explorer [id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    loaded(page, "dot")
    second = loaded(page, "dot-2").locator("svg")
    before = second.inner_html()
    move(page, "dot", at=2)
    assert values(page, "dot") == {"at": "1"}
    assert values(page, "dot-2") == {"at": "−1"}
    assert second.inner_html() == before
    references = second.evaluate("s => [...s.querySelectorAll('[href]')].map(u => u.href.baseVal)")
    assert references
    assert all(reference.startswith("#explorer-dot-2_") for reference in references)


def test_page_tells_name_and_value_to_screen_readers(visit):
    page = visit()
    explorer = loaded(page, "counting")
    slider = page.get_by_role("slider", name="noise")
    assert slider.get_attribute("aria-valuetext") == "noise = −1"
    move(page, "counting", noise=1, step=3)
    assert slider.get_attribute("aria-valuetext") == "noise = 0.5"
    assert explorer.get_by_role("img", name="3 points at noise 0.5.").count() == 1
    explorer.get_by_role("status").filter(has_text="3 points at noise 0.5.").wait_for(
        state="attached"
    )
    slider = page.get_by_role("slider", name="momentum λ")
    assert slider.get_attribute("aria-valuetext") == "momentum λ = 0"


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_page_has_no_violation_of_wcag_22_aa(visit, theme, width):
    page = visit(theme=theme, width=width)
    for name in ("path", "counting"):
        loaded(page, name)
    found = Axe().run(
        page,
        ".explorer",
        {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    )
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figure_lies_on_white_paper_in_both_themes(visit, theme):
    page = visit(theme=theme)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    picture = pixels(loaded(page, "path").locator(".explorer-figure"))
    assert (picture[20, 20] == 255).all()
    frame = page.locator(".text_html:has(> #explorer-path)")
    assert frame.evaluate("it => getComputedStyle(it).padding") == "0px"


def test_page_at_390_pixels_scrolls_only_inside_wide_figures(visit):
    page = visit(width=390)
    loaded(page, "path")
    loaded(page, "counting")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator("#explorer-path .explorer-figure")
    assert box.evaluate("it => it.scrollWidth > it.clientWidth && it.tabIndex === 0")
    narrow = page.locator("#explorer-counting .explorer-figure")
    assert narrow.evaluate("it => it.scrollWidth <= it.clientWidth && it.tabIndex === -1")


def test_nothing_shifts_when_states_load(visit):
    page = visit()
    page.evaluate("""
        window.shift = 0;
        new PerformanceObserver(list => {
          for (const entry of list.getEntries()) shift += entry.value;
        }).observe({ type: "layout-shift", buffered: true });
    """)
    loaded(page, "path")
    move(page, "path", eta=4, momentum=3)
    loaded(page, "counting")
    move(page, "counting", step=7)
    page.wait_for_timeout(300)
    assert page.evaluate("shift") < 0.01


def test_print_shows_the_figure_and_the_values(visit):
    page = visit()
    explorer = loaded(page, "path")
    page.emulate_media(media="print")
    assert not explorer.locator("input").first.is_visible()
    assert not explorer.locator("button").first.is_visible()
    assert explorer.locator("svg").is_visible()
    assert explorer.locator(".explorer-value").first.is_visible()


def test_page_says_when_states_cannot_be_loaded(visit):
    page = visit()
    explorer = page.locator("#explorer-counting")
    src = explorer.evaluate("it => [it.dataset.src, it.dataset.src = 'missing.js'][0]")
    explorer.scroll_into_view_if_needed()
    note = explorer.locator(".explorer-trouble")
    note.wait_for()
    assert note.inner_text() == "The other states of this figure could not be loaded."
    explorer.evaluate("(it, src) => { it.dataset.src = src }", src)
    move(page, "counting", step=3)
    page.wait_for_selector("#explorer-counting[data-ready]")
    assert note.count() == 0


def test_build_does_not_bake_what_has_not_changed(book):
    html = book / "_build" / "html"
    page = (html / "chapters" / "tried.html").read_text()
    shutil.rmtree(book / "_build" / ".doctrees")
    shutil.rmtree(html)
    done = build(book)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Using cached notebook" in done.stdout + done.stderr
    assert (html / "chapters" / "tried.html").read_text() == page
    assert len(list((html / "_static" / "explorer").iterdir())) == 5


def test_build_fails_where_draw_raises_and_says_at_which_values(tmp_path):
    cell = """
from lib.explorer import explore
def draw(fig, eta):
    if eta > 0.2:
        raise ArithmeticError("too steep")
explore(draw, alt="Nothing.", name="steep", eta=[0.1, 0.3])
"""
    write_book(tmp_path, [cell])
    done = build(tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert (
        "explorer 'steep' of chapters/tried at eta=0.3: "
        "draw raised ArithmeticError: too steep" in said
    )
    assert 'explore(draw, alt="Nothing.", name="steep", eta=[0.1, 0.3])' in said
    assert not (tmp_path / "_build" / "html" / "chapters" / "tried.html").exists()
