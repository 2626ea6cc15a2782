"""The page of results: tables of ways, and what each figure was to reach."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.timing import ratio, spread

GRADIENT = "one gradient"
OURS = "lib"
PACKAGES = "torch", "numpy", "scipy", "curvlinops-for-pytorch", "pyhessian", "loss-landscapes"
HEAD = """# Benchmarks

Written by `make bench`. Times are processor time on one thread, medians with quartiles in
brackets; every way of doing a piece of work ran in the same process, one run of all in turn after
the other, after a warm-up that is not counted. "lib / it" is the median, with quartiles, of lib's
time over that way's, run by run: below 1, lib is faster.
"""


class Page:
    """Collects tables and reaches; ``text()`` is the page in Markdown."""

    def __init__(self):
        self.reaches, self.sections = [], []

    def reach(self, work, what, value, limit):
        """A figure that is to be at most ``limit``; None where it could not be had."""
        self.reaches.append((work, what, value, limit))

    def reach_ratio(self, work, ways, other, limit, what=None):
        """lib's time over that of another of the ways is to be at most ``limit``."""
        found = ratio(ways[OURS], ways[other])
        self.reach(work, what or f"time / {other}", found and found[0], limit)

    def compare(self, title, ways, note=""):
        """A table of what `in_turn` returned, with the columns ``ways[...].value`` gives as a dict.

        Values that are no dicts are left out.
        """
        found = [way.value for way in ways.values() if isinstance(way.value, dict)]
        columns = list(dict.fromkeys(key for value in found for key in value))
        rows = []
        for name, way in ways.items():
            value = way.value if isinstance(way.value, dict) else {}
            if way.times:
                times = [_duration(*spread(way.times))]
                against = [_ratio(way, ways.get(GRADIENT)), _ratio(ways[OURS], way)]
            else:
                times, against = [f"failed: {way.failure}"], ["", ""]
            rows.append([name, *times, *against, *(_figure(value.get(c, "")) for c in columns)])
        self.table(title, ["", "time", "in gradients", "lib / it", *columns], rows, note)

    def table(self, title, columns, rows, note=""):
        """A plain table of texts and numbers."""
        parts = [f"## {title}", note, _table(columns, rows)]
        self.sections.append("\n\n".join(part for part in parts if part))

    def text(self):
        rows = [
            [work, what, _figure(value), f"≤ {limit:g}", _verdict(value, limit)]
            for work, what, value, limit in self.reaches
        ]
        summary = _table(["work", "figure", "found", "to reach", ""], rows)
        return "\n".join([HEAD, machine(), "", "## Summary", "", summary, *self.sections])

    def write(self, path):
        path.write_text(self.text(), encoding="utf8")


def machine():
    """The machine and the versions, in words.

    >>> machine().splitlines()[0].startswith("Machine: ")
    True
    """
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    cpu = found[1] if found else platform.processor() or platform.machine()
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"Machine: {cpu}; {system}.\nVersions: {', '.join(versions)}."


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(str(c).replace('|', '/') for c in line)} |\n" for line in lines)


def _verdict(value, limit):
    if value is None:
        return "not measured"
    if value <= limit:
        return "reached"
    return f"missed by {value / limit - 1:.0%}" if limit else "missed"


def _figure(value):
    if value is None:
        return "—"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _ratio(way, other):
    found = ratio(way, other) if other else None
    return "—" if found is None else "{:.2f} ({:.2f}–{:.2f})".format(*found)


def _duration(middle, low, high):
    """In the unit that suits the median.

    >>> _duration(0.0123, 0.01, 0.02)
    '12.3 ms (10.0–20.0)'
    """
    unit, scale = next((u, s) for u, s in (("s", 1), ("ms", 1e3), ("µs", 1e6)) if middle * s >= 1)
    return f"{middle * scale:.1f} {unit} ({low * scale:.1f}–{high * scale:.1f})"
