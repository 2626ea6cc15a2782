"""One style sheet with the rules that the pages can use, in place of eleven made for any site.

Nothing is painted before the style sheets have come. Of these the pages use less than a third.
"""

import hashlib
import re
from itertools import chain, pairwise
from os.path import relpath
from pathlib import Path

import tinycss2

SHEET = "_static/styles/site.css"
LINK = re.compile(r'\s*<link (?=[^>]*rel="stylesheet")(?![^>]*media=)[^>]*?href="([^"?]*)[^>]*>')
PRELOAD = re.compile(r'\s*<link rel="preload" as="script"[^>]*>')
OPTIONS = re.compile(r'\s*<script src="[^"]*documentation_options\.js[^"]*"></script>')
INLINE = re.compile(r"\s*<script>[^<]*</script>")
ADDRESS = re.compile(r"""url\((["']?)(?!["']?data:)([^)"']+)""")
NAME = re.compile(r"[A-Za-z_][\w-]*")
BEGINNING = re.compile(r"""([A-Za-z_][\w-]*-)(?:["'`]|\$\{)""")
NESTING = {"media", "supports"}  # rules that hold rules


def bundle(site):
    """Join the style sheets that the pages link, and have every page link the whole.

    Args:
        site: folder of the built site.
    """
    files = (file for file in site.rglob("*.html") if "_static" not in file.relative_to(site).parts)
    pages = {page: page.read_text("utf8") for page in files}
    linked = {page: sheets(page, html) for page, html in pages.items()}
    files = dict.fromkeys(chain.from_iterable(sorted(linked.values(), key=len, reverse=True)))
    scripts = [file.read_text("utf8") for file in (site / "_static").rglob("*.js")]
    names, beginnings = used_names(pages.values(), scripts)
    css = "".join(prune(moved(file, site), names, beginnings) for file in files)
    (site / SHEET).write_text(css, "utf8")
    version = hashlib.sha256(css.encode()).hexdigest()[:8]
    options = (site / "_static/documentation_options.js").read_text("utf8")
    for page in filter(linked.get, pages):
        address = f"{Path(relpath(site / SHEET, page.parent)).as_posix()}?v={version}"
        page.write_text(relink(pages[page], address, options), "utf8")


def sheets(page, html):
    """The files of the style sheets that a page links, in its order."""
    return [(page.parent / address).resolve() for address in LINK.findall(html)]


def moved(file, site):
    """A style sheet whose addresses hold in the folder of the joined one."""

    def from_there(match):
        target = relpath(file.parent / match[2], (site / SHEET).parent)
        return f"url({match[1]}{Path(target).as_posix()}"

    return ADDRESS.sub(from_there, file.read_text("utf8"))


def used_names(pages, scripts):
    """Every word that may name a class, and every beginning to which a script may add one."""
    names = {name for text in chain(pages, scripts) for name in NAME.findall(text)}
    return names, tuple({start for text in scripts for start in BEGINNING.findall(text)})


def prune(css, names, beginnings=()):
    """Leave out the selectors that ask for a class which no element can have.

    Args:
        css: a style sheet.
        names: all words that may name a class.
        beginnings: those of further names, a tuple.

    >>> prune("a.x, a.y { top: 0 } .z { top: 0 } @media print { .z { top: 0 } }", {"x"})
    'a.x{ top: 0 }'
    """

    def rules(nodes):
        return "".join(map(rule, nodes))

    def rule(node):
        if node.type == "qualified-rule":
            kept = [s for s in selectors(node.prelude) if possible(s)]
            body = tinycss2.serialize(node.content)
            return f"{','.join(map(text, kept))}{{{body}}}" if kept else ""
        if node.type == "at-rule" and node.at_keyword in NESTING:
            inside = rules(tinycss2.parse_rule_list(node.content, True, True))
            return f"@{node.at_keyword} {text(node.prelude)}{{{inside}}}" if inside else ""
        return node.serialize()

    def possible(selector):
        classes = (
            name.value for dot, name in pairwise(selector) if dot == "." and name.type == "ident"
        )
        return all(name in names or name.startswith(beginnings) for name in classes)

    return rules(tinycss2.parse_stylesheet(css, True, True))


def selectors(prelude):
    """A rule's selectors, split at the commas that stand in no bracket."""
    found = [[]]
    for token in prelude:
        found.append([]) if token == "," else found[-1].append(token)
    return found


def text(tokens):
    return tinycss2.serialize(tokens).strip()


def relink(html, address, options):
    """A page that links the one style sheet, below its inline scripts, which would wait for it."""
    first = LINK.search(html).start()
    head, rest = html[:first], html[first:]
    top, body = rest.split("</head>", 1)
    inline = "".join(INLINE.findall(top))
    for pattern in (LINK, PRELOAD, OPTIONS, INLINE):
        top = pattern.sub("", top)
    link = f'\n    <link rel="stylesheet" href="{address}">'
    return f"{head}\n    <script>{options}</script>{inline}{link}{top}</head>{body}"
