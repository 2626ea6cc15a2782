"""Mends what the tools' own HTML gets wrong for readers who use assistive technology."""

import re
from pathlib import Path

from docutils import nodes

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LINK_WITH_SPACE = re.compile(r'(<a class="reference internal" href="[^"]*">) Exercise')
TOGGLE = re.compile(r">([^<]+)(</a><details[^>]*>)<summary>")
GATES = {"exercise-content", "solution-content"}


def drop_repeated_ids(app, doctree, docname):
    """sphinx-exercise gives the content of every exercise of a page the same id."""
    for section in doctree.findall(nodes.section):
        if GATES & set(section["ids"]):
            section["ids"] = []


def mark_chinese_terms(app, doctree, docname):
    """A screen reader has to know that a glossary term is Chinese (WCAG 3.1.2)."""
    for term in doctree.findall(nodes.term):
        if CHINESE.search(term.astext()):
            term["classes"].append("language-zh-Hans")  # docutils writes it as a lang attribute


def mend_html(app, pagename, templatename, context, doctree):
    """Replace a role that ARIA has withdrawn, and keep a space out of links to exercises."""
    if "body" in context:
        body = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = LINK_WITH_SPACE.sub(r" \1Exercise", body)


def name_toggles(app, exception):
    """The arrow that opens a part of the table of contents has no name of its own."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        html = page.read_text("utf8")
        named = TOGGLE.sub(r'>\1\2<summary aria-label="Pages under \1">', html)
        page.write_text(named, "utf8")


def setup(app):
    app.connect("doctree-resolved", drop_repeated_ids)
    app.connect("doctree-resolved", mark_chinese_terms)
    app.connect("html-page-context", mend_html)
    app.connect("build-finished", name_toggles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
