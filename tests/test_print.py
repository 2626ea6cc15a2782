"""Chapters on paper: the PDF that the browser makes of each is whole."""

import io
import re

import pytest
from pypdf import PdfReader

from tests.test_site import CHAPTERS, Visit

pytestmark = pytest.mark.timeout(1800)  # the first test may have to build the site

PAPER = 680  # pixels: A4 less the margins of book/assets/print.css

# What reaches beyond the paper, and what is cut off or would scroll in a box of its own.
CLIPPED = """width => [...document.querySelectorAll('.bd-article *')]
    .filter(e => e.checkVisibility() && !e.matches('mjx-math *, svg *, mjx-assistive-mml, '
                                                   + 'mjx-assistive-mml *'))
    .filter(e => e.getBoundingClientRect().right > width + 1
                 || (getComputedStyle(e).overflowX != 'visible'
                     && e.clientWidth && e.scrollWidth > e.clientWidth + 1))
    .map(e => e.outerHTML.slice(0, 120))"""
SOLUTIONS = """() => [...document.querySelectorAll('.solution pre')].map(e => e.textContent)"""
ADDRESSES = """() => [...document.querySelectorAll('.explorer')]
    .map(e => `${document.querySelector('meta[property="og:url"]').content}#${e.id}`)"""
NOTE_THEME = """addEventListener('beforeprint', () => {
    window.printed = document.documentElement.dataset.theme;
})"""


def squeezed(text):
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_prints_whole(site, browser, page):
    with Visit(browser, (site / page).as_uri(), theme="dark", width=PAPER) as visit:
        visit.page.emulate_media(media="print")
        clipped = visit.page.evaluate(CLIPPED, PAPER)
        solutions, addresses = (visit.page.evaluate(what) for what in (SOLUTIONS, ADDRESSES))
        visit.page.evaluate(NOTE_THEME)
        paper = PdfReader(io.BytesIO(visit.page.pdf(format="A4")))
        themes = visit.page.evaluate("[printed, document.documentElement.dataset.theme]")
    assert not clipped
    assert themes == ["light", "dark"]
    text = squeezed("".join(sheet.extract_text() for sheet in paper.pages))
    assert len(solutions) >= 6
    assert not [code for code in solutions if squeezed(code) not in text]
    assert len(addresses) >= 1
    assert not [address for address in addresses if address not in text]
    assert "Predictfirst" in text
    assert "Reset" not in text
