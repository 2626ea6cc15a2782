"""A Content-Security-Policy on every page: nothing foreign is loaded, no foreign script is run.

It stands in the page itself, so that it holds on every server and on a disk. The scripts that the
theme writes into a page are named by their hashes; whatever else finds its way there is refused.
Styles may stand in a page: figures and formulas are made of them.
"""

import base64
import hashlib
from html.parser import HTMLParser
from pathlib import Path

from sphinx.errors import ExtensionError

CHARSET = '<meta charset="utf-8" />'
POLICY = (
    "default-src 'self'; "  # Firefox fetches the next page ahead, which has no directive of its own
    "script-src 'self'{hashes}; "
    "script-src-attr 'none'; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; "
    "font-src 'self'; "
    "connect-src 'self'; "  # the search page fetches summaries
    "media-src 'none'; "
    "object-src 'none'; "
    "frame-src 'none'; "
    "worker-src 'none'; "
    "manifest-src 'none'; "
    "base-uri 'none'; "
    "form-action 'self'"
)
# Code in attributes is not run; book/assets/course.js does what these say.
HANDLERS = ('onclick="toggleFullScreen()"', 'onclick="window.print()"')


class Code(HTMLParser):
    """The scripts that stand in a page, and the attributes that hold code, such as onclick."""

    def __init__(self, html):
        super().__init__()
        self.scripts, self.handlers = [], []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._inside = tag == "script" and "src" not in dict(attrs)
        if self._inside:
            self.scripts.append("")
        self.handlers += [name for name, value in attrs if name.startswith("on")]

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        self._inside = False


def protected(html):
    """The page with the policy that lets it run the code it was built with, and no other.

    >>> protected("<script>go()</script>")[:85]
    '<meta http-equiv="Content-Security-Policy" content="default-src \\'self\\'; script-src \\'s'
    """
    for handler in HANDLERS:
        html = html.replace(f" {handler}", f" data-{handler}")
    code = Code(html)
    if code.handlers:
        raise ExtensionError(f"a page's policy forbids code in attributes: {code.handlers}")
    digests = {hashlib.sha256(script.encode()).digest() for script in code.scripts}
    hashes = sorted(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    policy = POLICY.format(hashes="".join(hashes))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
    before, charset, after = html.rpartition(CHARSET)  # index.html has none, nor a head
    return f"{before}{charset}{meta}{after}"


def protect(app, exception):
    """Write its policy into each page, before everything that it rules."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for page in site.rglob("*.html"):
        if not page.is_relative_to(site / "_static"):
            page.write_text(protected(page.read_text("utf8")), "utf8")


def setup(app):
    app.connect("build-finished", protect, priority=900)  # after all that changes pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
