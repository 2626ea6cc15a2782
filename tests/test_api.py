"""The pages made from docstrings: every public name of lib is on one, and reads as it should."""

import importlib
import inspect
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

from book.build import ROOT
from tests.pages import Elements, toc_files
from tests.test_site import WCAG, Visit

pytestmark = pytest.mark.timeout(1800)  # the first test may have to build the site

INNER = {"checks", "progress"}  # serve the other modules, not their users
MODULES = sorted(
    {file.stem for file in (ROOT / "lib").iterdir() if not file.name.startswith("_")}
    - {"course"}  # the style sheet of figures
    - INNER
)
MARKUP = re.compile(r"`|:(func|class|math|ref):|^\.\. |^Args:", re.M)


def public_names(module):
    """What `__all__` lists, or else what the module itself defines and documents."""
    if hasattr(module, "__all__"):
        return module.__all__
    return [
        name
        for name, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and not name.startswith("_")
        and value.__module__ == module.__name__
        and value.__doc__
    ]


def article(site, name):
    html = (site / f"chapters/api/{name}.html").read_text("utf8")
    return BeautifulSoup(html, "html.parser").find("article")


def test_every_module_has_a_page():
    pages = [name for name in toc_files() if name.startswith("chapters/api/")]
    assert sorted(pages) == [f"chapters/api/{name}" for name in MODULES]


@pytest.mark.parametrize("name", MODULES)
def test_page_has_every_public_name(site, name):
    ids = Elements(site / f"chapters/api/{name}.html").ids()
    public = public_names(importlib.import_module(f"lib.{name}"))
    assert public
    assert {f"lib.{name}.{each}" for each in public} <= set(ids)


@pytest.mark.parametrize("name", MODULES)
def test_page_has_nothing_private(site, name):
    ids = Elements(site / f"chapters/api/{name}.html").ids()
    assert not [each for each in ids if re.match(r"lib\..*\._", each)]


@pytest.mark.parametrize("name", MODULES)
def test_page_shows_no_markup_and_names_a_chapter(site, name):
    text = article(site, name)
    for code in text.find_all("pre"):
        code.decompose()
    assert not MARKUP.search(text.get_text())
    assert re.search(r"chapter", text.find("p").get_text(), re.IGNORECASE)


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_highlighted_as_a_dialogue(site, name):
    for example in article(site, name).find_all("pre"):
        prompts = len(re.findall(r"^(?:>>>|\.\.\.)(?: |$)", example.get_text(), re.MULTILINE))
        assert len(example.find_all("span", class_="gp")) == prompts


@pytest.mark.parametrize("name", MODULES)
def test_page_is_in_order_on_a_phone(site, browser, name):
    with Visit(browser, (site / f"chapters/api/{name}.html").as_uri(), width=390) as visit:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.locator(".math mjx-container").count() >= page.locator(".math").count()
        assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
        assert not visit.foreign
        assert not visit.complaints
        # What stands around the article, tests/test_site.py looks at.
        found = Axe().run(page, ".bd-article", WCAG).response["violations"]
        assert not [(rule["id"], rule["nodes"]) for rule in found]
