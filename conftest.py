"""Nothing that a notebook's test could not show counts as passed."""

import pytest

SVG = "image/svg+xml"


def is_cell(item):
    return type(item).__name__ == "IPyNbCell"


def pytest_itemcollected(item):
    """Pictures are not stored, so not compared: nbval knows that of PNG and JPEG only."""
    if is_cell(item) and SVG not in item.parent.skip_compare:
        item.parent.skip_compare += (SVG,)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    """Fail cells that nbval excuses: after a time-out, or timed out but ended without an error."""
    report = yield
    if not is_cell(item) or report.outcome == "failed":
        return report
    if hasattr(report, "wasxfail"):
        del report.wasxfail
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: not tested, an earlier cell timed out"
    elif call.when == "call" and item.parent.timed_out:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: timed out and swallowed the interrupt"
    return report
