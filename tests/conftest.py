"""How many cases Hypothesis tries; and what the tests of the built website share."""

import functools
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest
import torch
from hypothesis import settings

from book.build import ROOT, SITE

# Alike at every run; HYPOTHESIS_PROFILE=deep tries other cases each time, and many more of them.
settings.register_profile("same", derandomize=True, deadline=None, database=None)
settings.register_profile("deep", max_examples=10_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Some of torch's warnings come once a process, and would fail now this test and now that one.
torch.set_warn_always(True)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = (
    "The site tests need Chromium: install it (Debian: apt-get install chromium; elsewhere: "
    "python -m playwright install chromium) or Google Chrome, and run them again."
)


@pytest.fixture(autouse=True)
def hears_ctrl_c():
    """A shell starts what runs in its background deaf to Ctrl-C, which some tests send."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def site():
    """The folder of the website, built if it is not of these sources already."""
    subprocess.run([sys.executable, ROOT / "book" / "build.py"], check=True)
    return SITE


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def server(site):
    """The address of a server of the site on this machine."""
    handler = functools.partial(QuietHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")  # while it lives, asyncio.run fails in the tests of other modules
def browser():
    """A headless Chromium: the machine's own or the one Playwright has installed."""
    from playwright.sync_api import Error, sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox", "--disable-gpu"]
            )
        except Error as error:
            pytest.fail(f"{NO_BROWSER}\n{error}")
        yield browser
        browser.close()
