"""What the website's build takes for a change, and what it does to pages."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image
from py_mini_racer import MiniRacer
from sphinx.errors import ExtensionError

from book import build, execute, extension, mathematics, weight
from book.clean_notebooks import METADATA


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tiny project that the build looks at instead of this one."""
    for name in ("_config.yml", "_toc.yml", "constraints.txt", "lib/a.py", "chapters/b.md"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    (tmp_path / "book").mkdir()
    for module in (build, extension):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["_config.yml", "constraints.txt", "lib/a.py", "chapters/b.md"])
def test_state_changes_with_each_source(tree, name):
    before = build.state()
    (tree / name).write_text("changed")
    assert build.state() != before


def test_state_changes_when_a_file_goes_or_is_renamed(tree):
    before = build.state()
    (tree / "lib/a.py").rename(tree / "lib/c.py")
    renamed = build.state()
    (tree / "lib/c.py").unlink()
    assert len({before, renamed, build.state()}) == 3


def test_state_leaves_out_what_running_leaves_behind(tree):
    before = build.state()
    (tree / "lib/__pycache__").mkdir()
    (tree / "lib/__pycache__/a.pyc").write_text("")
    assert build.state() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
def test_killed_build_takes_sphinx_with_it(tree):
    sphinx = "import os, time; open('pid', 'w').write(str(os.getpid()) + ' '); time.sleep(60)"
    script = tree / "book" / "build.py"
    script.write_text(Path(build.__file__).read_text("utf8").replace(build.COMMAND, sphinx), "utf8")
    pid = tree / "pid"
    with subprocess.Popen([sys.executable, script]) as started:
        while not (pid.exists() and pid.read_text()):
            assert started.poll() is None
            time.sleep(0.05)
        started.terminate()
    assert started.returncode == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    ("name", "again"), [("lib/a.py", True), ("constraints.txt", True), ("chapters/b.md", False)]
)
def test_execution_key_changes_with_what_notebooks_run_on(tree, name, again):
    before = extension.execution_key()
    (tree / name).write_text("changed")
    assert (extension.execution_key() != before) is again


@pytest.fixture
def typesetter():
    with MiniRacer() as engine:
        yield mathematics.Typesetter(engine)


def test_indices_of_formulas_are_small(typesetter):
    scales = re.findall(r"scale\((0[.]\d+)\)", typesetter.typeset("x_i^2", display=False))
    assert len(scales) == 2
    assert max(map(float, scales)) < 0.85


def test_mathematics_of_another_build_is_left_as_it_is(typesetter):
    page = '<div class="math x" id="e">\n<span class="eqno">(1)</span>\\[a\\\\b\\]</div>'
    once = mathematics.typeset_page(page, typesetter.typeset)
    assert once.startswith(
        '<div class="math x" id="e">\n<span class="eqno">(1)</span><mjx-container'
    )
    assert mathematics.typeset_page(once, typesetter.typeset) == once


@pytest.mark.parametrize(
    ("tex", "reason"),
    [(r"\nonsense x", "Undefined control sequence"), (r"\frac{1}{2", "Missing close brace")],
)
def test_wrong_formula_stops_the_build_and_is_named(typesetter, tmp_path, tex, reason):
    (tmp_path / "a.html").write_text(f'<span class="math x">\\({tex}\\)</span>')
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    with pytest.raises(ExtensionError, match=f"a.html: {reason}.*{re.escape(tex)}"):
        mathematics.typeset_site(app, None)


@pytest.mark.parametrize(("free", "said"), [(1000, True), (2**30, False)])
def test_failed_build_says_that_the_disk_is_full(tree, monkeypatch, capsys, free, said):
    monkeypatch.setattr(build, "STAMP", tree / "stamp")
    monkeypatch.setattr(build, "BUILD", tree)
    monkeypatch.setattr(build, "SITE", tree / "html")
    monkeypatch.setattr(build.subprocess, "call", lambda *args, **options: 1)
    monkeypatch.setattr(build.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert build.main() == 1
    assert ("disk is full" in capsys.readouterr().out) is said


def test_picture_size_is_in_css_pixels(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "a.svg").write_text('<?xml?>\n<svg xmlns="x" width="75pt" height="36.0pt">')
    assert weight.picture_size(tmp_path / "a.png") == (30, 20)
    assert weight.picture_size(tmp_path / "a.svg") == (120, 58)


FORMULA = '<span class="math notranslate nohighlight">\\(d\\)</span>'


@pytest.mark.parametrize(
    ("before", "after", "rest"),
    [("", ",", " then"), ("(", ").", ""), ("", "’s", " own"), ("", "-", "dimensional")],
)
def test_keep_formulas_whole_takes_in_what_is_set_close(before, after, rest):
    context = {"body": f"of {before}{FORMULA}{after}{rest}"}
    extension.keep_formulas_whole(None, "page", "", context, None)
    assert context["body"] == f'of <span class="unbroken">{before}{FORMULA}{after}</span>{rest}'


@pytest.mark.parametrize("after", ["", " of", "&amp;", "<em>, then</em>"])
def test_keep_formulas_whole_leaves_alone_what_stands_by_itself(after):
    context = {"body": f"of {FORMULA}{after}"}
    extension.keep_formulas_whole(None, "page", "", context, None)
    assert context["body"] == f"of {FORMULA}{after}"


@pytest.fixture
def run_changed(tmp_path):
    """Writes notebooks of one cell each and has the changed ones run; returns the cache."""
    config = SimpleNamespace(nb_execution_cache_path=str(tmp_path / "cache"))
    config.nb_execution_timeout = 60
    env = SimpleNamespace(doc2path=lambda docname: str(tmp_path / docname))

    def run(**cells):
        for name, source in cells.items():
            notebook = new_notebook(cells=[new_code_cell(source)])
            notebook.metadata.kernelspec = METADATA["kernelspec"]
            nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        docnames = ["page.md", *(f"{name}.ipynb" for name in cells)]
        execute.run_changed(SimpleNamespace(config=config), env, docnames)

    run.cache = get_cache(config.nb_execution_cache_path)
    return run


def wait_for(mine, other):
    return f"""
import pathlib, time
pathlib.Path("{mine}").touch()
while not pathlib.Path("{other}").exists():
    time.sleep(0.05)
"""


def test_run_changed_runs_notebooks_side_by_side(run_changed, monkeypatch):
    monkeypatch.setattr(execute.os, "cpu_count", lambda: 2)
    run_changed(a=wait_for("a", "b"), b=wait_for("b", "a"))
    assert len(run_changed.cache.list_cache_records()) == 2


def test_run_changed_leaves_alone_what_is_cached(run_changed, tmp_path):
    count = "with open('runs', 'a') as file: file.write('x')"
    run_changed(a=count)
    run_changed(a=count)
    assert Path(tmp_path / "runs").read_text() == "x"
    run_changed(a=count + "  # changed")
    assert Path(tmp_path / "runs").read_text() == "xx"


def test_run_changed_names_what_fails_and_keeps_the_rest(run_changed):
    with pytest.raises(ExtensionError, match=r"(?s)bad\.ipynb: a cell failed.*1 / 0.*ZeroDivision"):
        run_changed(bad="1 / 0", good="print(1)")
    (record,) = run_changed.cache.list_cache_records()
    assert record.uri.endswith("good.ipynb")


def test_run_changed_tells_the_kernel_to_bake(run_changed):
    run_changed(a="import os; print(os.environ['EXPLORER_BAKE'])")
    (record,) = run_changed.cache.list_cache_records()
    notebook = run_changed.cache.get_cache_bundle(record.pk).nb
    assert notebook.cells[0].outputs[0].text == "a.ipynb\n"


def test_run_changed_shares_the_cores_among_the_notebooks(run_changed, monkeypatch):
    monkeypatch.setattr(execute.os, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads = "import os; print(os.environ['OMP_NUM_THREADS'])"
    run_changed(a=threads, b=threads + "  # too")
    run_changed(alone=threads + "  # alone")
    records = run_changed.cache.list_cache_records()
    notebooks = [run_changed.cache.get_cache_bundle(record.pk).nb for record in records]
    assert sorted(nb.cells[0].outputs[0].text for nb in notebooks) == ["2\n", "2\n", "4\n"]
