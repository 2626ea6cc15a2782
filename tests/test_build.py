"""What the website's build takes for a change, and what it does to pages."""

import pytest
from PIL import Image

from book import build, extension, weight


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


@pytest.mark.parametrize(
    ("name", "again"), [("lib/a.py", True), ("constraints.txt", True), ("chapters/b.md", False)]
)
def test_execution_key_changes_with_what_notebooks_run_on(tree, name, again):
    before = extension.execution_key()
    (tree / name).write_text("changed")
    assert (extension.execution_key() != before) is again


def test_mathjax_folder_has_the_parts_that_are_copied():
    assert all((extension.mathjax_folder() / part).exists() for part in extension.MATHJAX_PARTS)


def test_picture_size_is_in_css_pixels(tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "a.svg").write_text('<?xml?>\n<svg xmlns="x" width="72pt" height="36.0pt">')
    assert weight.picture_size(tmp_path / "a.png") == (30, 20)
    assert weight.picture_size(tmp_path / "a.svg") == (96, 48)
