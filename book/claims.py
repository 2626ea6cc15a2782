"""The course's claims: the page that lists them and the cells that show them.

A code cell tagged `claim-critical-1` becomes the target of {claim}`critical-1`, which, in the
claim's own chapter, leads to its row on the page chapters/claims.md instead. That page names every
claim; those of chapters not in the book show as "to come".
"""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxRole

CHAPTERS = {
    "critical": "01_critical_points",
    "batch": "02_batch_size",
    "momentum": "03_momentum",
    "adaptive": "04_adaptive_learning_rates",
    "schedule": "05_schedules",
    "loss": "06_classification_losses",
}
LEDGER = "chapters/claims"
ROW = re.compile(r"^\| \{claim\}`(\w+-\d+)` \| (.+) \|$", re.MULTILINE)


def ledger(page):
    """All claims on the text of the claims page, in order: a list of (id, statement).

    >>> ledger("| {claim}`loss-3` | Two classes. |")
    [('loss-3', 'Two classes.')]
    """
    return ROW.findall(page)


class Claim(SphinxRole):
    """{claim}`critical-1`: a link to the cell that shows the claim, or from there to its row."""

    def run(self):
        chapter = CHAPTERS.get(self.text.split("-")[0])
        at_home = self.env.docname == f"chapters/{chapter}"
        link = addnodes.pending_xref(
            "",
            nodes.inline(text=self.text, classes=["claim-name"]),
            refdomain="std",
            reftype="ref",
            reftarget=f"ledger-claim-{self.text}" if at_home else f"claim-{self.text}",
            refdoc=self.env.docname,
            refexplicit=True,
            refwarn=True,
        )
        self.set_source_info(link)
        return [link], []


def label_claim_cells(app, doctree):
    """Make each tagged cell a target under the name of its tag."""
    for cell in doctree.findall(nodes.container):
        for tag in cell.get("cell_metadata", {}).get("tags", []):
            if tag.startswith("claim-"):
                cell["ids"].append(tag)
                app.env.get_domain("std").anonlabels[tag] = (app.env.docname, tag)


def label_ledger_rows(app, doctree):
    """Make the table cell of each claim on the claims page a target."""
    if app.env.docname != LEDGER:
        return
    for link in doctree.findall(addnodes.pending_xref):
        row = f"ledger-{link['reftarget']}"
        if isinstance(link.parent.parent, nodes.entry):
            link.parent.parent["ids"].append(row)
            app.env.get_domain("std").anonlabels[row] = (LEDGER, row)


def mark_claims_to_come(app, env, node, content):
    """A claim whose chapter is not in the book is to come; any other missing one is an error."""
    target = node.get("reftarget", "")
    chapter = CHAPTERS.get(target.removeprefix("claim-").split("-")[0])
    if not target.startswith("claim-") or not chapter or f"chapters/{chapter}" in env.found_docs:
        return None
    return nodes.inline("", "", content, nodes.inline(text=" to come", classes=["to-come"]))


def unlink_missing_chapters(app, env, node, content):
    """A link to a chapter that is not in the book is its text alone."""
    name = node.get("reftarget", "").rpartition("/")[2]
    return content if node.get("reftype") == "doc" and name in CHAPTERS.values() else None


def setup(app):
    app.add_role("claim", Claim())
    app.connect("doctree-read", label_claim_cells)
    app.connect("doctree-read", label_ledger_rows)
    app.connect("missing-reference", mark_claims_to_come)
    app.connect("missing-reference", unlink_missing_chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
