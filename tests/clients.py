"""Run the chapters in JupyterLab, Notebook, nbconvert and papermill, and move every slider.

In JupyterLab and Notebook 7 a headless Chromium runs a chapter from top to bottom; then each slider
is moved ten times and dragged once. The arrow keys move it in JupyterLab, the mouse in Notebook,
which goes from heading to heading by these keys and lets no slider have them. An explorer has to
show one picture all the time, another one after each move, and after a drag the one of the place
where the drag ended, with no drawings still queueing. nbconvert and papermill run a chapter without
a browser. Times are printed and not judged. Screenshots are left in _build/clients.

Usage: python -m tests.clients [lab|notebook|nbconvert|papermill ...] [NOTEBOOK ...]
(default: all four, all chapters)
"""

import contextlib
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat
from playwright.sync_api import TimeoutError, sync_playwright

from book.publish_as import ROOT
from tests.conftest import BROWSERS

TIMEOUT = 900  # seconds for a chapter, or for what runs before it
MOVES = 10
BUDGET = 150  # milliseconds from a key, or the mouse, to the new picture
QUIET = 1000  # milliseconds without a new picture: the drag is over
LATE = 4  # pictures after a drag: on the way to the page, being drawn, due, and of its last move
ADDRESSES = {"lab": "lab/tree", "notebook": "notebooks"}
SHOTS = ROOT / "_build" / "clients"

# What the page is asked. `panel` is the notebook's, of JupyterLab's own classes in both clients.
PANEL = "const panel = window.jupyterapp?.shell.currentWidget;"
READY = f"() => {{ {PANEL} return panel?.sessionContext?.session?.kernel?.status === 'idle' }}"
RUN = f"""() => {{
  {PANEL}
  window.hasRun = false;
  window.jupyterapp.commands.execute("notebook:clear-all-cell-outputs")
    .then(() => window.jupyterapp.commands.execute("notebook:run-all-cells"))
    .then(() => {{ window.hasRun = true; }});
}}"""
CELLS = f"() => {{ {PANEL} return panel.content.model.toJSON().cells }}"
# Resolves when the kernel has done what it was sent, and what that made due.
SETTLED = f"""async () => {{
  {PANEL}
  for (let turn = 0; turn < 3; turn += 1) {{
    await new Promise(next => setTimeout(next, 100));
    await panel.sessionContext.session.kernel.requestExecute({{code: "", silent: true}}).done;
  }}
}}"""
# Brings a cell into view, and marks it as the one to look at.
LOOK = f"""async index => {{
  {PANEL}
  const cell = panel.content.widgets[index];
  panel.content.activeCellIndex = index;
  await panel.content.scrollToItem(index, "start");
  document.querySelector("[data-looked-at]")?.removeAttribute("data-looked-at");
  cell.node.setAttribute("data-looked-at", "");
}}"""
# From then on counts the pictures that come, and notes when a key or the mouse first moved the
# slider and when the last picture was there to see.
WATCH = """() => {
  const cell = document.querySelector("[data-looked-at]");
  const source = () => cell.querySelector(".jp-Cell-outputArea img")?.src;
  window.seen = {pictures: 0, moved: 0, last: 0, most: 0};
  let before = source();
  const moved = event => {
    if (event.key || event.buttons) window.seen.moved ||= performance.now();
  };
  addEventListener("keydown", moved, true);
  addEventListener("pointermove", moved, true);
  new MutationObserver(() => {
    const pictures = cell.querySelectorAll(".jp-Cell-outputArea img");
    window.seen.most = Math.max(window.seen.most, pictures.length);
    const now = source();
    if (!now || now === before) return;
    before = now;
    pictures[0].decode().then(() => requestAnimationFrame(() => {
      window.seen.pictures += 1;
      window.seen.last = performance.now();
    }));
  }).observe(cell, {subtree: true, childList: true, attributes: true});
}"""

AFRESH = "() => { window.seen.pictures = window.seen.moved = 0; }"


class Wrong(Exception):
    """What a chapter does that it must not."""


def hold(true, says):
    if not true:
        raise Wrong(says)


def said(cells):
    """Errors and warnings among the outputs of cells."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    wrong = [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    return "; ".join(str(o.get("text") or f"{o['ename']}: {o['evalue']}") for o in wrong)


@contextlib.contextmanager
def server(client, folder):
    """The address of JupyterLab or Notebook, with a reader's first settings, on a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex()
    command = [
        *(sys.executable, "-m", "jupyter", client, "--no-browser", "--allow-root"),
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--notebook-dir={folder}"),
        *(f"--IdentityProvider.token={token}", "--expose-app-in-browser"),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    names = ("CONFIG", "DATA", "RUNTIME")
    own = {f"JUPYTER_{name}_DIR": str(folder / ".jupyter") for name in names}
    with open(SHOTS / f"{client}.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | own)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(TIMEOUT):
                hold(process.poll() is None, f"{client} did not start, see {log.name}")
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/api?token={token}")
                    break
                time.sleep(1)
            yield f"{address}/{ADDRESSES[client]}/{{}}?token={token}"
        finally:
            process.terminate()
            process.wait()


class Handle:
    """A slider of the page: `at` is the index of its value now, `last` that of its last value."""

    def __init__(self, page, client, slider):
        self._page, self._keys = page, client == "lab"
        self._handle, self._track = slider.locator(".noUi-handle"), slider.locator(".noUi-base")
        self._handle.scroll_into_view_if_needed()
        self.last = self._number("max")

    @property
    def at(self):
        return self._number("now")

    def _number(self, name):
        return round(float(self._handle.get_attribute(f"aria-value{name}")))

    def grip(self):
        """Press the mouse on the handle."""
        box = self._handle.bounding_box()
        self._page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self._page.mouse.down()

    def pull(self, share, steps=1):
        """Move the mouse to a share of the slider's length."""
        box = self._track.bounding_box()
        x, y = box["x"] + box["width"] * share, box["y"] + box["height"] / 2
        self._page.mouse.move(x, y, steps=steps)

    def step(self, by):
        """Move by one value, up or down. Returns the milliseconds to the new picture."""
        to = self.at + by
        self._page.evaluate(AFRESH)
        if self._keys:
            self._handle.press("ArrowRight" if by > 0 else "ArrowLeft")
        else:
            self.grip()
            self.pull(to / self.last)
            self._page.mouse.up()
        try:
            self._page.wait_for_function("window.seen.pictures > 0", timeout=60_000)
        except TimeoutError:
            shown = self._page.locator("[data-looked-at] .jp-Cell-outputArea").inner_text()
            raise Wrong(f"no new picture after a move to {to}: {shown}") from None
        hold(self._page.evaluate("window.seen.most") == 1, "more than one picture after a move")
        hold(self.at == to, f"a slider is at {self.at} where {to} was meant")
        return self._page.evaluate("window.seen.last - window.seen.moved")


def zigzag(handle):
    """Move a slider up to its end, down again, and so on. Returns the milliseconds of each move."""
    times, by = [], 1
    for _ in range(MOVES):
        if not 0 <= handle.at + by <= handle.last:
            by = -by
        times.append(handle.step(by))
    return times


def drag(page, handle):
    """Drag a slider to its ends and a third of the way back.

    Returns the pictures drawn while the mouse moved, those after, and the milliseconds these took.
    """
    page.evaluate(AFRESH)
    handle.grip()
    for share in (0, 1, 0, 1, 1 / 3):
        handle.pull(share, steps=15)
    page.mouse.up()
    during, end = page.evaluate("[window.seen.pictures, performance.now()]")
    page.evaluate(SETTLED)
    page.wait_for_function(
        f"performance.now() - Math.max({end}, window.seen.last) > {QUIET}", timeout=60_000
    )
    total, last = page.evaluate("[window.seen.pictures, window.seen.last]")
    return during, total - during, max(0, last - end)


def explore(page, client, index):
    """Move all sliders of the explorer in a cell. Returns its sliders and the times of moves."""
    page.evaluate(LOOK, index)
    cell = page.locator("[data-looked-at]")
    area = cell.locator(".jp-Cell-outputArea")
    area.locator("img").wait_for(timeout=60_000)
    outputs = area.locator(".jp-OutputArea-output").count()
    page.evaluate(WATCH)
    sliders = cell.locator(".widget-slider").all()
    hold(sliders, f"cell {index}: no sliders")
    times = []
    for number, slider in enumerate(sliders, 1):
        where = f"cell {index}, slider {number}"
        handle = Handle(page, client, slider)
        moves = zigzag(handle)
        times += moves
        during, after, wait = drag(page, handle)
        print(f"  {where}: moves of {statistics.median(moves):.0f} ms; ", end="")
        print(f"a drag drew {during} pictures, {after} after it in {wait:.0f} ms")
        hold(after <= LATE, f"{where}: {after} pictures after a drag, at most {LATE} expected")
        ended = area.locator("img").get_attribute("src")
        by = 1 if handle.at < handle.last else -1
        handle.step(by)
        handle.step(-by)
        again = area.locator("img").get_attribute("src")
        hold(again == ended, f"{where}: a drag's end shows another picture than two moves bring")
    hold(area.locator(".jp-OutputArea-output").count() == outputs, f"cell {index}: more outputs")
    hold(area.locator("[role=alert]").count() == 0, f"cell {index}: {area.inner_text()}")
    return len(sliders), times


def drive(page, client, file, address):
    """Run a chapter in the browser and move its sliders. Returns what to print."""
    page.goto(address.format(file.name))
    page.wait_for_function(READY, timeout=TIMEOUT * 1000)
    thrown = []  # from here on: Notebook throws an error of its own while it starts
    page.on("pageerror", lambda error: thrown.append(error.stack))
    page.evaluate(RUN)
    page.wait_for_function("window.hasRun", timeout=TIMEOUT * 1000)
    cells = page.evaluate(CELLS)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    hold(not said(cells), said(cells))
    hold(all(cell["execution_count"] for cell in code), "not all cells ran")
    counts = [len(cell["outputs"]) for cell in code]
    view = "application/vnd.jupyter.widget-view+json"
    explorers = [
        index
        for index, cell in enumerate(cells)
        if any(view in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    sliders, times = 0, []
    for index in explorers:
        found, moved = explore(page, client, index)
        page.screenshot(path=SHOTS / f"{client}-{file.stem}-{index}.png")
        sliders, times = sliders + found, times + moved
    cells = page.evaluate(CELLS)
    hold(not said(cells), said(cells))
    after = [len(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"]
    hold(after == counts, "moves added outputs")
    hold(not thrown, f"the page threw {thrown}")
    line = f"{len(code)} cells, {len(explorers)} explorers, {sliders} sliders"
    if times:
        middle, high = statistics.median(times), sorted(times)[int(len(times) * 0.95)]
        line += f", {len(times)} moves: median {middle:.0f} ms (budget {BUDGET} ms), "
        line += f"95th percentile {high:.0f} ms"
    return line


def in_browser(client, file, folder):
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with server(client, folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        try:
            line = drive(page, client, file, address)
        except Exception:
            page.screenshot(path=SHOTS / f"{client}-{file.stem}-failed.png")
            raise
        finally:
            browser.close()
    return line


def by_command(client, file, folder):
    out = folder / f"{client}-{file.name}"
    command = {
        "nbconvert": f"nbconvert --to=notebook --execute --ExecutePreprocessor.timeout={TIMEOUT} "
        f"--output={out.name} {file.name}",
        "papermill": f"papermill --no-progress-bar {file.name} {out.name}",
    }[client]
    run = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=folder, capture_output=True, text=True
    )
    hold(run.returncode == 0, run.stderr)
    cells = nbformat.read(out, as_version=4).cells
    hold(not said(cells), said(cells))
    code = [cell for cell in cells if cell.cell_type == "code"]
    hold(all(cell.execution_count for cell in code), "not all cells ran")
    return f"{len(code)} cells"


CLIENTS = {
    "lab": in_browser,
    "notebook": in_browser,
    "nbconvert": by_command,
    "papermill": by_command,
}


def main():
    clients = [name for name in sys.argv[1:] if name in CLIENTS] or list(CLIENTS)
    files = [Path(name) for name in sys.argv[1:] if name not in CLIENTS]
    files = files or sorted((ROOT / "chapters").glob("0*.ipynb"))
    SHOTS.mkdir(parents=True, exist_ok=True)
    failed = 0
    for file in files:
        for client in clients:
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                shutil.copy(file, folder)
                try:
                    line = CLIENTS[client](client, file, Path(folder))
                except Exception as error:
                    failed += 1
                    line = f"FAILED: {type(error).__name__}: {error}"
            load = os.getloadavg()[0]
            seconds = time.perf_counter() - start
            print(f"{client}, {file.name}: {line} ({seconds:.0f} s, load {load:.1f})", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
