"""The chapters' notebook files, and what keeps their tests honest."""

import ast
import re
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from book.build import ROOT
from book.clean_notebooks import clean
from book.publish_as import COLAB

NOTEBOOKS = sorted((ROOT / "chapters").glob("*.ipynb"))
LAST_SECTIONS = ["Exercises", "Summary", "Where to read on"]
LINES = 12

every_chapter = pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)


def cells(file, kind):
    """The chapter's own cells: not the one for Colab, which tests/test_launch.py holds."""
    notebook = nbformat.read(file, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind and cell.id != COLAB]


def tags(cell):
    return cell.metadata.get("tags", [])


def python(cell):
    """The syntax tree of a cell, its magics left out."""
    return ast.parse(re.sub(r"^\s*[%!].*$", "pass", cell.source, flags=re.MULTILINE))


def prints(cell):
    """Whether the cell itself, not a function that it defines, calls print."""
    statements = [node for node in python(cell).body if not isinstance(node, ast.FunctionDef)]
    calls = [n for s in statements for n in ast.walk(s) if isinstance(n, ast.Call)]
    return any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)


def stored_text(cell):
    """All text among the stored outputs of a cell."""
    texts = [output.get("text", "") for output in cell.outputs]
    texts += [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    return "".join(texts)


@every_chapter
def test_notebook_is_clean(file):
    text = file.read_text("utf8")
    assert text == clean(text), f"run: python book/clean_notebooks.py {file.name}"


@every_chapter
def test_notebook_begins_with_folded_imports(file):
    first = cells(file, "code")[0]
    assert {"hide-input", "hide-cell"} & set(tags(first))
    assert any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(python(first)))


@every_chapter
def test_no_cell_is_long(file):
    for cell in cells(file, "code")[1:]:  # the first holds the imports, folded
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= LINES, cell.source


@every_chapter
def test_what_is_printed_is_stored(file):
    for cell in cells(file, "code"):
        kept = "nbval-ignore-output" not in tags(cell)  # a timing need not be
        if (prints(cell) and kept) or any(tag.startswith("claim-") for tag in tags(cell)):
            assert stored_text(cell).strip(), cell.source


@every_chapter
def test_no_warning_or_error_is_stored(file):
    outputs = [output for cell in cells(file, "code") for output in cell.outputs]
    assert not [o for o in outputs if o.get("name") == "stderr" or o.output_type == "error"]


@every_chapter
def test_every_figure_has_alt_text_and_caption(file):
    for cell in cells(file, "code"):
        if "<Figure size" in stored_text(cell):
            assert len(cell.outputs) == 1, f"a figure's cell prints nothing:\n{cell.source}"
            described = cell.metadata["mystnb"]
            assert described["image"]["alt"].strip(), cell.source
            assert described["figure"]["name"].startswith("fig-"), cell.source
            assert described["figure"]["caption"].strip(), cell.source


def test_names_of_figures_and_exercises_are_unique_in_the_book():
    text = "".join(file.read_text("utf8") for file in NOTEBOOKS)
    figures = re.findall(r'"name": "(fig-[^"]+)"', text)
    exercises = re.findall(r":label: ([\w-]+)", text)
    for names in (figures, exercises):
        assert len(names) > len(NOTEBOOKS)
        assert len(names) == len(set(names)), sorted(names)


@every_chapter
def test_chapter_ends_with_exercises_summary_and_reading(file):
    text = "\n\n".join(cell.source for cell in cells(file, "markdown"))
    sections = re.split(r"^## +(.+)$", text, flags=re.MULTILINE)
    assert sections[1::2][-3:] == LAST_SECTIONS
    summary, reading = sections[-3], sections[-1]
    assert len(re.findall(r"^(?:[-*]|\d+\.) ", summary, flags=re.MULTILINE)) == 5
    assert "{cite" in reading


@every_chapter
def test_every_exercise_has_a_folded_executed_solution(file):
    exercises, solved, solving = [], {}, None
    for cell in nbformat.read(file, as_version=4).cells:
        if cell.cell_type == "code" and solving:
            solved[solving] |= bool(stored_text(cell).strip())
        elif cell.cell_type == "markdown":
            for block in re.findall(r"^:::\{exercise\}.*?^:::$", cell.source, re.DOTALL | re.M):
                exercises += re.findall(r"^:label: (\S+)$", block, re.MULTILINE)
            if start := re.search(
                r"^:::\{solution-start\} (\S+)\n:class: dropdown$", cell.source, re.M
            ):
                solving = start[1]
                solved[solving] = False
            if ":::{solution-end}" in cell.source:
                solving = None
    assert len(exercises) >= 3
    assert list(solved) == exercises
    assert all(solved.values()), solved


def code_cell(source, *outputs):
    return new_code_cell(source, outputs=list(outputs), execution_count=1)


def stream(text):
    return new_output("stream", name="stdout", text=text)


SLEEP = "import time; time.sleep(30)"
TINY_NOTEBOOKS = {
    "good": [code_cell("print(2)", stream("2\n")), code_cell("x = 1")],
    "raises": [code_cell("1 / 0")],
    "differs": [code_cell("print(2)", stream("3\n"))],
    "unstored": [code_cell("print(2)")],
    "draws": [
        code_cell(
            "from IPython.display import SVG, display\ndisplay(SVG('<svg/>'))",
            new_output("display_data", data={"text/plain": "<IPython.core.display.SVG object>"}),
        )
    ],
    "slow": [code_cell(SLEEP), code_cell("x = 1")],
    "swallows": [code_cell(f"try:\n    {SLEEP}\nexcept KeyboardInterrupt:\n    pass")],
}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """What pytest, with this project's conftest.py, says of each cell of the tiny notebooks."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    for name, contents in TINY_NOTEBOOKS.items():
        nbformat.write(new_notebook(cells=contents), folder / f"{name}.ipynb")
    command = "-m pytest -rA --nbval --nbval-current-env --nbval-cell-timeout=3 -p no:cacheprovider"
    run = subprocess.run(
        [sys.executable, *command.split(), "."], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 1
    lines = re.findall(r"^([A-Z]+) (\w+\.ipynb::Cell \d+)", run.stdout, re.MULTILINE)
    return {cell: verdict for verdict, cell in lines}


@pytest.mark.parametrize(
    ("cell", "verdict"),
    [
        ("good.ipynb::Cell 0", "PASSED"),
        ("good.ipynb::Cell 1", "PASSED"),
        ("draws.ipynb::Cell 0", "PASSED"),
        ("raises.ipynb::Cell 0", "FAILED"),
        ("differs.ipynb::Cell 0", "FAILED"),
        ("unstored.ipynb::Cell 0", "FAILED"),
        ("slow.ipynb::Cell 0", "FAILED"),
        ("slow.ipynb::Cell 1", "FAILED"),
        ("swallows.ipynb::Cell 0", "FAILED"),
    ],
)
def test_notebook_run_fails_on_whatever_is_not_as_stored(verdicts, cell, verdict):
    assert verdicts[cell] == verdict


def test_clean_keeps_text_and_drops_pictures_and_state():
    figure = new_output(
        "display_data",
        data={"image/png": "aGk=", "text/plain": "<Figure>"},
        metadata={"image/png": {"width": 3}},
    )
    cell = new_code_cell("draw()", outputs=[stream("a"), stream("b"), figure])
    cell.metadata = {"tags": ["claim-loss-1"], "collapsed": True}
    notebook = new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    text = clean(nbformat.writes(notebook))
    assert clean(text) == text
    cleaned = nbformat.reads(text, as_version=4)
    assert "widgets" not in cleaned.metadata
    assert cleaned.cells[0].metadata == {"tags": ["claim-loss-1"]}
    assert cleaned.cells[0].execution_count == 1
    assert cleaned.cells[0].outputs == [
        stream("ab"),
        new_output("display_data", data={"text/plain": "<Figure>"}),
    ]
