"""The page for teachers: its links open the sliders where they say, its answers are right."""

import math
import re
from urllib.parse import unquote, urldefrag

import pytest
from docutils import nodes
from sphinx.addnodes import pending_xref

from book.build import ROOT
from book.claims import unlink_missing_chapters
from tests.pages import Elements
from tests.test_site import Visit

pytestmark = pytest.mark.timeout(1800)  # the first test may have to build the site

TEXT = (ROOT / "chapters/teaching.md").read_text("utf8")
LINKS = re.findall(r'<a href="(\w+\.html)#(explorer-[\w-]+):([^"]*)">', TEXT)
SHOWN = """id => Object.fromEntries(
    [...document.querySelectorAll(`#${id} input`)].map(input => [
        input.dataset.name, input.nextElementSibling.textContent.replace('−', '-')]))"""


def test_every_chapter_has_links_to_its_sliders():
    chapters = {file.stem for file in (ROOT / "chapters").glob("0[1-7]*.ipynb")}
    assert {page.removesuffix(".html") for page, _, _ in LINKS} == chapters


@pytest.mark.parametrize("page", sorted({page for page, _, _ in LINKS}))
def test_links_open_the_state_they_name(site, browser, page):
    with Visit(browser, (site / "chapters" / page).as_uri()) as visit:
        for _, explorer, values in (link for link in LINKS if link[0] == page):
            visit.page.evaluate("hash => { location.hash = hash }", f"{explorer}:{values}")
            visit.page.wait_for_selector(f"#{explorer}[data-ready]")
            shown = visit.page.evaluate(SHOWN, explorer)
            wanted = dict(pair.split("=") for pair in unquote(values).split(","))
            assert wanted.items() <= shown.items()
            assert visit.page.locator(f"#{explorer}").evaluate(
                "it => it.getBoundingClientRect().top < innerHeight && scrollY > 0"
            )


def test_links_stand_on_the_page_as_they_are_written(site):
    links = [urldefrag(link) for link in Elements(site / "chapters/teaching.html").links()]
    assert LINKS
    for page, explorer, values in LINKS:
        assert (page, f"{explorer}:{values}") in links


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("about $\\tfrac12 \\cdot 0.2 \\cdot 0.1^2 = {:.3f}$", 0.2 * 0.1**2 / 2),
        ("= {:.0f}$ updates, the last of 48", math.ceil(1200 / 64)),
        ("updates, the last of {:.0f} examples", 1200 % 64),
        ("= {:.0f}$, without momentum 200", (2 + 2 * 0.9) / 0.01),
        ("\\approx {:.0f}$ and", math.log(100) / math.log(101 / 99)),
        ("\\approx {:.0f}$; the second", math.log(100) / math.log(11 / 9)),
        ("\\ln(1/0.9) \\approx {:.0f}$", math.log(100**2 / 3) / math.log(1 / 0.9)),
        ("\\approx {:.0f}$.\n2. The constant", (2 * 22.7) ** 2),
        ("$e^{{10}}/8 \\approx {:.0f}$", math.exp(10) / 8),
    ],
)
def test_answers_are_right(answer, value):
    assert answer.format(value) in TEXT


@pytest.mark.parametrize(
    ("target", "left_out"), [("../05_schedules", True), ("05_schedules", True), ("nowhere", False)]
)
def test_link_to_a_chapter_that_is_left_out_is_its_text(target, left_out):
    text = nodes.inline(text="5")
    link = pending_xref("", text, reftype="doc", reftarget=target)
    assert unlink_missing_chapters(None, None, link, text) is (text if left_out else None)
