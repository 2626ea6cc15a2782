"""The page for those whose own model is stuck: its table is whole, and what it says runs.

Its cells are executed, and their asserts hold, whenever the website is built.
"""

import re

import yaml

from book.build import ROOT
from lib.diagnosis import Verdict

TEXT = (ROOT / "chapters/stuck.md").read_text("utf8")


def test_table_has_every_verdict_in_one_row():
    rows = re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(verdict.name for verdict in Verdict)


def test_cells_assert_what_the_text_says():
    cells = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(cells) >= 6
    asserted = re.findall(r'verdict\.name == "([A-Z_]+)"', "".join(cells))
    assert asserted == ["NOISE_LIMITED", "SADDLE", "TOO_SLOW"]


def test_build_runs_the_cells():
    _, front, _ = TEXT.split("---\n", 2)
    assert yaml.safe_load(front)["file_format"] == "mystnb"
    assert yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))["execute"]["raise_on_error"]
