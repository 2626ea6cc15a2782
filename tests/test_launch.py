"""One address of the repository in all places that name it, and what fetches `lib` on Colab."""

import shutil
import subprocess
import sys
import tomllib

import nbformat
import pytest
from packaging.requirements import Requirement

import lib
from book.build import ROOT
from book.publish_as import (
    ADDRESS,
    BASEURL,
    COLAB,
    PAGES,
    REPO,
    baseurl,
    current,
    main,
    publish_as,
    version,
)

CHAPTERS = sorted((ROOT / "chapters").glob("0*.ipynb"))
VERSION = version()
PLACES = ["_config.yml", "README.md", *PAGES, *(f"chapters/{file.name}" for file in CHAPTERS)]
WRITE_ANEW = "run: make publish-as"

every_chapter = pytest.mark.parametrize("file", CHAPTERS, ids=lambda file: file.stem)


@pytest.fixture
def project(tmp_path):
    """A copy of all files that name the repository."""
    (tmp_path / "chapters").mkdir()
    for place in [*PLACES, "pyproject.toml"]:
        shutil.copy(ROOT / place, tmp_path / place)
    return tmp_path


def texts(root):
    return {place: (root / place).read_bytes() for place in PLACES}


def test_address_is_a_repository_and_its_website():
    config = (ROOT / "_config.yml").read_text("utf8")
    assert len(ADDRESS.findall(config)) == 1
    assert REPO.fullmatch(current())  # OWNER/… counts: the placeholder until someone publishes
    assert BASEURL.findall(config) == [baseurl(current())]


def test_every_place_names_the_same_address(project):
    publish_as(current(), project)
    assert texts(project) == texts(ROOT), WRITE_ANEW


@pytest.mark.parametrize("repo", ["somebody/course", "Some-Body/a.b_c-1", "OWNER/other"])
def test_publish_as_reaches_every_place_and_can_be_undone(project, repo):
    before, old = texts(ROOT), current()
    publish_as(repo, project)
    after = texts(project)
    assert current(project) == repo
    for place in PLACES:
        assert f"/{repo}".encode() in after[place], place
        assert f"/{old}".encode() not in after[place], place
    publish_as(repo, project)
    assert texts(project) == after
    publish_as(old, project)
    assert texts(project) == before


@pytest.mark.parametrize("owner", ["somebody", "Somebody"])
def test_baseurl_of_a_users_own_site_is_the_host(owner):
    assert baseurl(f"{owner}/somebody.github.io") == f"https://{owner}.github.io/"


@pytest.mark.parametrize(
    "repo",
    [
        " ",
        "course",
        "/course",
        "somebody/",
        "somebody/course/",
        "a/b/c",
        "-a/course",
        "a--b/course",
        "some body/course",
        "somebody/course.git",
        "somebody/..",
        "https://github.com/somebody/course",
        "git@github.com:somebody/course",
        "somebody/course\n",
        "sömebody/course",
    ],
)
def test_publish_as_refuses_what_is_no_repository(repo, monkeypatch):
    before = texts(ROOT)
    monkeypatch.setattr(sys, "argv", ["publish_as", repo])
    with pytest.raises(SystemExit, match=r"^REPO must be OWNER/NAME.*$"):
        main()
    assert texts(ROOT) == before


def test_version_is_stated_once_for_all():
    assert lib.__version__ == VERSION


def test_what_colab_has_is_within_the_projects_ranges():
    lines = (ROOT / "tests" / "colab.txt").read_text("utf8").splitlines()
    has = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    for dependency in map(Requirement, project["dependencies"]):
        assert dependency.specifier.contains(has[dependency.name]), dependency


@every_chapter
def test_chapter_fetches_lib_before_all_other_code(file):
    code = [c for c in nbformat.read(file, as_version=4).cells if c.cell_type == "code"]
    assert code[0].id == COLAB, WRITE_ANEW
    assert f"/{current()}@v{VERSION}" in code[0].source, WRITE_ANEW
    assert COLAB not in {cell.id for cell in code[1:]}
    assert code[0].metadata == {"tags": ["remove-cell"]}  # it is not on the page
    assert not code[0].outputs


@every_chapter
def test_colab_cell_runs_pip_on_colab_alone(file, monkeypatch):
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    code = [c for c in nbformat.read(file, as_version=4).cells if c.cell_type == "code"]
    exec(code[0].source, {})
    assert not commands
    monkeypatch.setitem(sys.modules, "google.colab", sys)
    exec(code[0].source, {})
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert "--no-deps" in command
    assert [word for word in command[4:] if not word.startswith("--")] == [
        f"git+https://github.com/{current()}@v{VERSION}"
    ]
