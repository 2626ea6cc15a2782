"""The ledger of claims against the chapters that show them and the page that lists them."""

import ast
import re

import nbformat
import pytest

from book.build import ROOT
from book.claims import CHAPTERS, LEDGER, ledger
from tests.pages import Elements

PAGE = (ROOT / f"{LEDGER}.md").read_text("utf8")
CLAIMS = ledger(PAGE)
COUNTS = {"critical": 7, "batch": 9, "momentum": 5, "adaptive": 7, "schedule": 4, "loss": 6}


def notebook(kind):
    return ROOT / "chapters" / f"{CHAPTERS[kind]}.ipynb"


WRITTEN = [name for name, _ in CLAIMS if notebook(name.split("-")[0]).exists()]
TO_COME = [name for name, _ in CLAIMS if name not in WRITTEN]


def claim_cells():
    """Every (claim, cell) of all notebooks, in order."""
    for file in sorted((ROOT / "chapters").glob("*.ipynb")):
        for cell in nbformat.read(file, as_version=4).cells:
            for tag in cell.metadata.get("tags", []):
                if tag.startswith("claim-"):
                    yield tag.removeprefix("claim-"), cell


def test_ledger_has_every_claim_once_in_order():
    expected = [f"{kind}-{i}" for kind, n in COUNTS.items() for i in range(1, n + 1)]
    assert [name for name, _ in CLAIMS] == expected
    assert PAGE.count("{claim}`") == len(CLAIMS)


@pytest.mark.parametrize(("name", "statement"), CLAIMS)
def test_claim_is_stated_in_a_sentence(name, statement):
    assert statement.endswith(".")
    assert 40 <= len(statement) <= 400


def test_chapters_tag_just_the_claims_of_the_ledger_once_each_in_order():
    assert [name for name, _ in claim_cells()] == WRITTEN


@pytest.mark.parametrize(("name", "cell"), list(claim_cells()))
def test_claim_cell_asserts_what_it_prints(name, cell):
    assert cell.cell_type == "code"
    # In a function that the cell only defines, an assert would not be run.
    run = [s for s in ast.parse(cell.source).body if not isinstance(s, ast.FunctionDef)]
    assert any(isinstance(node, ast.Assert) for s in run for node in ast.walk(s))
    assert any(output.get("text", "").strip() for output in cell.outputs)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WRITTEN)
def test_page_links_to_the_cell_and_the_cell_to_the_page(site, name):
    chapter = CHAPTERS[name.split("-")[0]]
    page, shown = Elements(site / f"{LEDGER}.html"), Elements(site / f"chapters/{chapter}.html")
    assert f"{chapter}.html#claim-{name}" in page.links()
    assert f"claim-{name}" in shown.ids()
    assert f"claims.html#ledger-claim-{name}" in shown.links()
    assert f"ledger-claim-{name}" in page.ids()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TO_COME)
def test_page_says_what_is_to_come(site, name):
    page = (site / f"{LEDGER}.html").read_text("utf8")
    assert re.search(rf'{name}</span><span class="to-come"> to come<', page)
    assert f"#claim-{name}" not in page
