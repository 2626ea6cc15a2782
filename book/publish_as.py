"""Write the repository's address everywhere it has to stand.

_config.yml holds it, and the website's buttons follow from there. The README's badges, the cell
that fetches `lib` on Colab, which each chapter has before its imports, and pages that tell how to
install `lib` are written here.

Usage: python -m book.publish_as [OWNER/NAME]   (default: the address in _config.yml, written anew)
"""

import re
import sys
import tomllib
from pathlib import Path

import nbformat

from book.clean_notebooks import clean

ROOT = Path(__file__).resolve().parent.parent
REPO = re.compile(r"[A-Za-z\d](-?[A-Za-z\d]){0,38}/(?!\.{1,2}$|.*\.git$)[\w.-]{1,100}", re.ASCII)
ADDRESS = re.compile(r"^  url: https://github\.com/(\S+)$", re.MULTILINE)
BASEURL = re.compile(r"^  baseurl: (\S+)$", re.MULTILINE)
BADGES = re.compile(r"(?<=<!-- badges -->\n).*?(?=<!-- /badges -->)", re.DOTALL)
FIRST = "chapters/01_critical_points.ipynb"
PAGES = ("chapters/stuck.md",)
COLAB = "colab"  # the id of the cell that fetches lib


def current(root=ROOT):
    """OWNER/NAME as _config.yml has it; OWNER is literally that until someone publishes."""
    return ADDRESS.search((root / "_config.yml").read_text("utf8"))[1]


def version(root=ROOT):
    """The project's version; the tag of its release is v and this."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]["version"]


def baseurl(repo):
    """Where GitHub Pages shows the website of a repository.

    >>> baseurl("Somebody/course")
    'https://Somebody.github.io/course/'
    """
    owner, name = repo.split("/")
    host = f"{owner}.github.io"
    return f"https://{host}/" if name.lower() == host.lower() else f"https://{host}/{name}/"


def badges(repo):
    """The README's row of badges."""
    actions = f"https://github.com/{repo}/actions/workflows"
    binder = f"https://mybinder.org/v2/gh/{repo}/main?urlpath=lab/tree/{FIRST}"
    colab = f"https://colab.research.google.com/github/{repo}/blob/main/{FIRST}"
    return (
        f"[![tests]({actions}/test.yml/badge.svg)]({actions}/test.yml)\n"
        f"[![website]({actions}/publish.yml/badge.svg)]({baseurl(repo)})\n"
        f"[![open in Binder](https://mybinder.org/badge_logo.svg)]({binder})\n"
        f"[![open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n"
    )


def colab_source(repo, release):
    """The cell that fetches lib on Colab, where numpy, torch and the like are and have to stay."""
    return f"""\
# On Colab this fetches `lib`, the package of the course; elsewhere it does nothing.
import subprocess
import sys

if "google.colab" in sys.modules:
    source = "git+https://github.com/{repo}@v{release}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, source], check=True)"""


def with_colab_cell(text, source):
    """The text of a notebook file, that cell put right, or put in before all other code."""
    notebook = nbformat.reads(text, as_version=4)
    cell = nbformat.v4.new_code_cell(source, id=COLAB, metadata={"tags": ["remove-cell"]})
    notebook.cells = [other for other in notebook.cells if other.id != COLAB]
    kinds = [other.cell_type for other in notebook.cells]
    notebook.cells.insert(kinds.index("code"), cell)
    return clean(nbformat.writes(notebook))


def write(file, text):
    if file.read_text("utf8") != text:
        file.write_text(text, "utf8", newline="\n")
        print(f"{file.name}: written")


def publish_as(repo, root=ROOT):
    """Write the address of the repository into the project that lies in root."""
    source = colab_source(repo, version(root))
    for file in sorted((root / "chapters").glob("0*.ipynb")):
        write(file, with_colab_cell(file.read_text("utf8"), source))
    for page in PAGES:
        text = (root / page).read_text("utf8")
        write(root / page, text.replace(f"github.com/{current(root)}", f"github.com/{repo}"))
    readme, config = root / "README.md", root / "_config.yml"
    write(readme, BADGES.sub(lambda _: badges(repo), readme.read_text("utf8")))
    text = ADDRESS.sub(f"  url: https://github.com/{repo}", config.read_text("utf8"))
    write(config, BASEURL.sub(f"  baseurl: {baseurl(repo)}", text))


def main():
    repo = " ".join(sys.argv[1:]) or current()
    if not REPO.fullmatch(repo):
        sys.exit(f"REPO must be OWNER/NAME, as on GitHub (somebody/course), got {repo!r}")
    publish_as(repo)


if __name__ == "__main__":
    main()
