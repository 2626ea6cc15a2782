"""How fast the built website is: each page over a slow link on a slow machine.

Serves _build/html gzipped on this machine to a headless Chromium whose processor is slowed four
times and whose link carries 1.6 Mbit/s with 150 ms to and fro, scrolls to the end, and prints for
each page the medians of the first contentful paint, the layout shift and what the first view
weighed, after a first visit that warms the browser up.

Usage: python benchmarks/website.py   (after make book)
"""

import functools
import gzip
import http.server
import shutil
import statistics
import sys
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

SITE = Path(__file__).resolve().parent.parent / "_build" / "html"
LINK = {"offline": False, "latency": 150, "downloadThroughput": 2e5, "uploadThroughput": 2e5}
SLOWER = 4
VISITS = 3
BUDGETS = {"paint": 2.0, "shift": 0.05, "weight": 1e6}
OBSERVE = """
window.shift = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


class Gzipped(http.server.SimpleHTTPRequestHandler):
    """Serves text compressed, as web hosts do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            self.send_error(404)
            return
        data = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(file)))
        if file.suffix in {".html", ".css", ".js", ".svg"}:
            data = gzip.compress(data)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def measure(browser, address):
    """First contentful paint in s, layout shift, and bytes of the first view of one page."""
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = context.new_page()
        page.add_init_script(OBSERVE)
        link = context.new_cdp_session(page)
        link.send("Network.enable")
        link.send("Network.emulateNetworkConditions", LINK)
        link.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.goto(address, wait_until="load", timeout=120_000)
        page.wait_for_timeout(2000)
        paint, weight = page.evaluate(
            """[performance.getEntriesByName("first-contentful-paint")[0].startTime / 1000,
                performance.getEntries().reduce((sum, e) => sum + (e.transferSize || 0), 0)]"""
        )
        height = page.evaluate("document.body.scrollHeight")
        for y in range(0, height, 800):
            page.evaluate(f"window.scrollTo(0, {y})")
            page.wait_for_timeout(150)
        return paint, page.evaluate("window.shift"), weight


def main():
    if not (SITE / "index.html").exists():
        sys.exit("there is no website yet: run make book")
    handler = functools.partial(Gzipped, directory=SITE)
    slow = []
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        print(f"{'page':<36} {'first paint':>11} {'shift':>7} {'first view':>11}")
        host = f"http://127.0.0.1:{server.server_port}"
        measure(browser, f"{host}/chapters/intro.html")
        for file in sorted(SITE.glob("chapters/*.html")):
            name = file.relative_to(SITE).as_posix()
            visits = [measure(browser, f"{host}/{name}") for _ in range(VISITS)]
            figures = [statistics.median(column) for column in zip(*visits, strict=True)]
            paint, shift, weight = figures
            print(f"{name:<36} {paint:>9.2f} s {shift:>7.3f} {weight / 1000:>8.0f} kB")
            if any(a > b for a, b in zip(figures, BUDGETS.values(), strict=True)):
                slow.append(name)
        browser.close()
        server.shutdown()
    print("over budget:", ", ".join(slow) or "none", BUDGETS)


if __name__ == "__main__":
    main()
