"""Explorers of 500 states: how long they take to bake, how large they are, how fast they move.

The figure is the one of the tests: contours, a path of 101 marked points, a loss curve. Its peers
are what matplotlib itself offers: every state saved whole, from a figure whose artists are updated
and from a figure built anew. Times are of the processor, on one core. Moves are timed in headless
Chromium on a page opened from disk: from the start of a frame in which a slider has moved to the
end of the frame's drawing, over 200 moves at random. Busy processors make those longer.

Usage: python benchmarks/explorer.py
"""

import gzip
import io
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # one core, as the budget says
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from matplotlib.figure import Figure  # noqa: E402

from book.explorer import ASSETS, FOLDER, SWITCH, publish  # noqa: E402
from lib.explorer import explore  # noqa: E402
from tests.explorer_figures import ETAS, MOMENTA, descent  # noqa: E402

STATES = [(eta, momentum) for eta in ETAS for momentum in MOMENTA]
SIZE = (9, 4)
MOVES = 200
BUDGETS = {"bake": 40.0, "data": 400.0, "move": 16.0}


def seconds(work):
    """Processor time of `work()`, and what it returns."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def kilobytes(text):
    return len(gzip.compress(text.encode(), 9)) / 1000


def saved(figure):
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def bake():
    os.environ[SWITCH] = "benchmark"
    baked = explore(descent(), alt="A path.", figsize=SIZE, eta=ETAS, momentum=MOMENTA)
    return baked._repr_mimebundle_()["text/html"]


def save_updated(states):
    figure = Figure(figsize=SIZE)
    update = descent()(figure, *states[0])
    texts = []
    for state in states:
        update(*state)
        texts.append(saved(figure))
    return texts


def save_anew(states):
    draw, texts = descent(), []
    for state in states:
        figure = Figure(figsize=SIZE)
        draw(figure, *state)
        texts.append(saved(figure))
    return texts


def write_page(html, folder):
    """A page of its own for the explorer, without a theme."""
    (folder / FOLDER).mkdir(parents=True)
    for asset in ASSETS:
        shutil.copy(ROOT / "book" / "explorer" / asset, folder / FOLDER)
    body = publish(html, "explorer-descent", folder, "index.html")
    (folder / "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="{FOLDER}/{ASSETS[0]}">'
        f'<body style="max-width: 860px">{body}<script src="{FOLDER}/{ASSETS[1]}"></script>',
        encoding="utf-8",
    )
    return folder / "index.html"


MOVE = """([eta, momentum]) => new Promise(done => {
  const inputs = document.querySelectorAll("input");
  inputs[0].value = eta;
  inputs[1].value = momentum;
  inputs[0].dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(done, 40));
})"""


def frame_times(trace):
    """Milliseconds from the start of each main frame that drew to the end of its drawing."""
    events = [e for e in json.loads(trace)["traceEvents"] if e.get("ph") == "X"]
    begun = sorted(e["ts"] for e in events if e["name"] == "ProxyMain::BeginMainFrame")
    drawn = sorted(e["ts"] + e["dur"] for e in events if e["name"] == "Display::DrawAndSwap")
    times = []
    for i, start in enumerate(begun):
        until = begun[i + 1] if i + 1 < len(begun) else float("inf")
        end = next((t for t in drawn if start < t < until), None)
        if end is not None:
            times.append((end - start) / 1000)
    return sorted(times)


def move(page_file):
    from playwright.sync_api import sync_playwright

    from tests.conftest import BROWSERS

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    rng = random.Random(0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(page_file.as_uri())
        page.wait_for_selector("[data-ready]")
        browser.start_tracing(page=page, categories=["cc", "viz", "devtools.timeline"])
        for _ in range(MOVES):
            page.evaluate(MOVE, [rng.randrange(len(ETAS)), rng.randrange(len(MOMENTA))])
        times = frame_times(browser.stop_tracing())
        browser.close()
    return times


def main():
    few = STATES[:: len(STATES) // 10]
    bake_time, html = seconds(bake)
    updated_time, texts = seconds(lambda: save_updated(few))
    anew_time, _ = seconds(lambda: save_anew(few))
    ours, updated, anew = bake_time / len(STATES), updated_time / len(few), anew_time / len(few)
    print(f"baking {len(STATES)} states: {bake_time:.1f} s (budget {BUDGETS['bake']:.0f} s)")
    print(f"a state: {ours * 1000:.0f} ms; saved whole by matplotlib, artists updated ", end="")
    print(f"{updated * 1000:.0f} ms ({updated / ours:.1f} x), anew {anew * 1000:.0f} ms ", end="")
    print(f"({anew / ours:.1f} x)")
    with tempfile.TemporaryDirectory() as folder:
        page = write_page(html, Path(folder))
        (data,) = (Path(folder) / FOLDER).glob("?" * 16 + ".js")
        size = kilobytes(data.read_text("utf-8"))
        whole = sum(map(kilobytes, texts)) / len(texts) * len(STATES)
        print(f"page with the start state: {kilobytes(page.read_text('utf-8')):.0f} KB gzipped")
        print(
            f"its other states: {size:.0f} KB gzipped (budget {BUDGETS['data']:.0f} KB); ", end=""
        )
        print(f"saved whole by matplotlib {whole:.0f} KB")
        times = move(page)
    p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
    print(f"a move, {len(times)} of {MOVES} seen: median {p50:.1f} ms, 95th percentile ", end="")
    print(f"{p95:.1f} ms (budget {BUDGETS['move']:.0f} ms)")


if __name__ == "__main__":
    main()
