"""Keep in notebooks what a reader of the file can read and a test can compare: code and text.

Pictures, widget state and editors' metadata go; text outputs stay, and cells are numbered in
order (nbval compares the output of numbered cells only).

Usage: python book/clean_notebooks.py [--check] [NOTEBOOK ...]   (default: chapters/*.ipynb)
"""

import argparse
import sys
from pathlib import Path

import nbformat

CHAPTERS = Path(__file__).resolve().parent.parent / "chapters"
CELL_METADATA = {"tags", "mystnb"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
WIDGET = "application/vnd.jupyter.widget-view+json"


def clean_outputs(outputs, number):
    """Outputs without pictures, widgets and metadata, neighbouring pieces of a stream joined."""
    cleaned = []
    for output in outputs:
        if output.output_type == "stream" and cleaned and cleaned[-1].get("name") == output.name:
            cleaned[-1].text += output.text
            continue
        if "data" in output:
            output.metadata = {}
            output.data = {
                kind: value
                for kind, value in output.data.items()
                if not kind.startswith("image/") and kind != WIDGET
            }
        if "execution_count" in output:
            output.execution_count = number
        cleaned.append(output)
    return cleaned


def clean(text):
    """The text of a notebook file, cleaned; the same for what is clean already."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    number = 0
    for cell in notebook.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in CELL_METADATA and v}
        if cell.cell_type == "code":
            number += 1
            cell.execution_count = number
            cell.outputs = clean_outputs(cell.outputs, number)
    return nbformat.writes(notebook) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing, only report")
    arguments = parser.parse_args()
    unclean = 0
    for file in arguments.notebooks or sorted(CHAPTERS.glob("*.ipynb")):
        before = file.read_text("utf8")
        after = clean(before)
        if before != after:
            unclean += 1
            print(f"{file}: {'not clean' if arguments.check else 'cleaned'}")
            if not arguments.check:
                file.write_text(after, "utf8", newline="\n")
    return bool(unclean)  # pre-commit takes a changed file for a failure


if __name__ == "__main__":
    sys.exit(main())
