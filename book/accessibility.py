"""Mends what the tools' own HTML gets wrong for readers who use assistive technology."""

import re

from docutils import nodes

CHINESE = re.compile(r"[\u4e00-\u9fff]")
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


def mend_bibliography(app, pagename, templatename, context, doctree):
    """docutils gives a list of citations entries of a role that ARIA has withdrawn."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    app.connect("doctree-resolved", drop_repeated_ids)
    app.connect("doctree-resolved", mark_chinese_terms)
    app.connect("html-page-context", mend_bibliography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
