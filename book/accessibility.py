"""Mends what the tools' own HTML gets wrong for readers who use assistive technology."""

import re

from docutils import nodes

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LINK_WITH_SPACE = re.compile(r'(<a class="reference internal" href="[^"]*">) Exercise')
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


def setup(app):
    app.connect("doctree-resolved", drop_repeated_ids)
    app.connect("doctree-resolved", mark_chinese_terms)
    app.connect("html-page-context", mend_html)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
