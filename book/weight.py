"""Keeps pages light: what a reader does not see yet is not loaded yet, what nobody needs never."""

import re
from pathlib import Path

from fontTools import subset
from PIL import Image

from book.stylesheet import bundle

IMAGE = re.compile(r'<img (?![^>]*\bloading=)([^>]*?src="[^"]*_images/([^"/]+\.(?:png|svg))")')
SVG_SIZE = re.compile(r'<svg\b[^>]*?\bwidth="([\d.]+)pt" height="([\d.]+)pt"')
PIXELS_PER_POINT = 1.6  # a fifth more than browsers take, for letters as large as the text's
# The theme's icons come from its fonts; this script, half a megabyte, would draw them once more.
ICON_SCRIPT = re.compile(r'\s*<script [^>]*src="[^"]*scripts/fontawesome\.js[^"]*"></script>')
# In the head, in order, and not needed before the page is read. The first is: scripts written
# into the page set its options.
WAITING = re.compile(r"<script (?!defer)(?=[^>]*src=)(?![^>]*documentation_options)")
# Without a theme the first paint is bare, and everything moves once a late script has chosen one.
NO_THEME = 'localStorage.getItem("theme") || "auto";'
FIRST_THEME = """localStorage.getItem("theme") ||
      (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");"""
# Two elements in five of a chapter said of a name or bracket in code that it is one. They have the
# colour of text.
PLAIN_CODE = re.compile(r'<span class="[npw]">([^<]*)</span>')
ICON = re.compile(r"\bfa-[a-z0-9-]+")
ICON_RULE = re.compile(r'([^{}]*\bfa-[^{}]*)\{content:"\\([0-9a-f]+)"\}')
COMPRESSED_FONT = re.compile(r'url\([^)]*\.woff2\) format\("woff2"\),')


def load_images_late(app, pagename, templatename, context, doctree):
    """Figures load as they come near; their size is stated, so that nothing moves when they do."""

    def late(match):
        if match[2] not in pictures:
            return match[0]
        width, height = picture_size(Path(app.srcdir) / pictures[match[2]])
        return f'<img loading="lazy" width="{width}" height="{height}" {match[1]}'

    pictures = {name: file for file, (_, name) in app.env.images.items()}
    if "body" in context:
        context["body"] = IMAGE.sub(late, context["body"])


def picture_size(file):
    """Width and height in CSS pixels of a PNG, or of an SVG by matplotlib."""
    if file.suffix == ".png":
        with Image.open(file) as image:
            return image.size
    points = SVG_SIZE.search(file.read_text("utf8")).groups()
    return tuple(round(float(length) * PIXELS_PER_POINT) for length in points)


def lighten_pages(site):
    """Take out what nobody needs, let scripts wait for the text, choose the theme at once."""
    for page in site.rglob("*.html"):
        html = page.read_text("utf8").replace(NO_THEME, FIRST_THEME)
        html = html.replace(
            '<html lang="en" data-content', '<html lang="en" data-theme="light" data-content'
        )
        html = PLAIN_CODE.sub(r"\1", ICON_SCRIPT.sub("", html))
        page.write_text(WAITING.sub("<script defer ", html), "utf8")
    for file in site.glob("_static/scripts/fontawesome.js*"):
        file.unlink()


def lighten_icons(site):
    """Keep of the theme's icon fonts, 2,000 glyphs, those that some page or script names."""
    style = site / "_static/styles/pydata-sphinx-theme.css"
    text = style.read_text("utf8")
    style.write_text(COMPRESSED_FONT.sub("", text), "utf8")
    rules = ICON_RULE.findall(text)
    codes = {name: int(code, 16) for names, code in rules for name in ICON.findall(names)}
    sources = [*site.rglob("*.html"), *site.glob("_static/scripts/*.js")]
    named = {name for file in sources for name in ICON.findall(file.read_text("utf8"))}
    for file in site.glob("_static/vendor/fontawesome/webfonts/*"):
        if file.suffix == ".woff2":
            file.unlink()
            continue
        font = subset.load_font(file, subset.Options())
        subsetter = subset.Subsetter()
        subsetter.populate(unicodes=[codes[name] for name in named if name in codes])
        subsetter.subset(font)
        subset.save_font(font, file, subset.Options())


def flatten_style(site):
    """Save a round trip: the theme's first style sheet does nothing but import another."""
    basic = (site / "_static/basic.css").read_text("utf8")
    importing = site / "_static/styles/theme.css"
    if "@import" in importing.read_text("utf8"):
        importing.write_text(basic.replace("url(", "url(../"), "utf8")


def lighten(app, exception):
    if not exception and app.builder.format == "html":
        for step in (lighten_pages, lighten_icons, flatten_style, bundle):
            step(Path(app.outdir))


def setup(app):
    app.connect("html-page-context", load_images_late)
    app.connect("build-finished", lighten, priority=800)  # the theme rewrites a style sheet then
    return {"parallel_read_safe": True, "parallel_write_safe": True}
