"""The house itself: locks that agree with each other, and files that keep to its rules."""

import re
import stat
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from book.build import ROOT
from tests.pages import toc_files

PROJECT_FILE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))
PROJECT = PROJECT_FILE["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".css", ".js", ".svg", ".bib", ".ipynb", ""}
CONDA_NAMES = {"torch": "pytorch-cpu"}


def locked():
    """What constraints.txt locks: name -> version."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(p.name): str(p.specifier).removeprefix("==") for p in pins}


def direct():
    """What pyproject.toml asks for, extras included."""
    extras = PROJECT["optional-dependencies"].values()
    names = [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]
    return [Requirement(name) for name in names]


def conda():
    """What environment.yml pins: name -> version, None where it leaves it open."""
    pins = (dependency.split("=") for dependency in ENVIRONMENT["dependencies"])
    return {name: (version or [None])[0] for name, *version in pins}


def project_files():
    """Files that git tracks, and new ones that it would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_lock_pins_every_package_to_one_exact_version():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    for pin in pins:
        assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier)), pin
    assert len({pin.name for pin in pins}) == len(pins)


@pytest.mark.parametrize("requirement", direct(), ids=str)
def test_lock_meets_what_the_project_asks_for(requirement):
    assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)])


def test_lock_names_no_host():
    assert "://" not in (ROOT / "constraints.txt").read_text()


def test_environment_has_what_lib_needs_at_the_locked_versions():
    pins = conda()
    for requirement in PROJECT["dependencies"]:
        name = Requirement(requirement).name
        assert pins[CONDA_NAMES.get(name, name)] == locked()[name]


def test_environment_has_what_the_build_of_lib_needs_and_nothing_else():
    build = [Requirement(name) for name in PROJECT_FILE["build-system"]["requires"]]
    for requirement in build:
        assert requirement.specifier.contains(conda()[requirement.name])
        assert conda()[requirement.name] == locked()[requirement.name]
    needed = [Requirement(name).name for name in PROJECT["dependencies"]]
    named = {CONDA_NAMES.get(name, name) for name in needed} | {name.name for name in build}
    assert set(conda()) == named | {"python", "pip"}


def test_environment_python_is_one_the_project_supports():
    python = conda()["python"]
    assert re.fullmatch(r"3\.\d+", python)
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python)


def test_binder_adds_lib_and_nothing_else():
    script = ROOT / "postBuild"
    assert script.stat().st_mode & stat.S_IXUSR
    # Without isolation: the setuptools of environment.yml builds it, and nothing is downloaded.
    assert "pip install --no-deps --no-build-isolation --editable ." in script.read_text()
    assert not (ROOT / "binder").exists()
    assert not (ROOT / ".binder").exists()


def test_book_has_every_chapter():
    files = [f for f in (ROOT / "chapters").rglob("*") if f.suffix in {".md", ".ipynb"}]
    names = [f.relative_to(ROOT).with_suffix("").as_posix() for f in files]
    assert sorted(toc_files()) == sorted(names)


def test_lib_is_not_ignored():
    assert any(file.is_relative_to(ROOT / "lib") for file in project_files())


def test_files_speak_of_the_project_alone():
    foreign = re.compile(r"/work/|/root/|/home/\w|/tmp/\w|" + "file" + "s.python" + "hosted", re.I)
    for file in project_files():
        if file.suffix in TEXT and file.name != "test_house.py":
            assert not foreign.search(file.read_text("utf8")), file


def test_files_end_in_one_newline_and_lines_in_no_space():
    for file in project_files():
        if file.suffix in TEXT:
            text = file.read_text("utf8")
            assert not text or (text.endswith("\n") and not text.endswith("\n\n")), file
            if file.suffix not in {".md", ".ipynb"}:
                assert not re.search(r"[ \t]+$", text, re.MULTILINE), file


def test_repository_is_small():
    sizes = {file: file.stat().st_size for file in project_files()}
    assert not {file for file, size in sizes.items() if size > 1_000_000}
    assert sum(sizes.values()) < 10_000_000
