"""A page on paper says which page of the website it is, and where its sliders can be moved."""

import re

EXPLORER = re.compile(r'(<div class="explorer" id="([^"]+)".*?</noscript>)', re.DOTALL)
LIVE = r'\1<p class="explorer-live" hidden>With sliders: <a href="{0}#\2">{0}#\2</a></p>'
SOURCE = '<p class="explorer-live" hidden>Printed from <a href="{0}">{0}</a></p>'


def add_addresses(app, pagename, templatename, context, doctree):
    """Lines that the screen hides and book/assets/print.css shows."""
    if "body" in context:
        address = app.config.html_baseurl + app.builder.get_target_uri(pagename)
        context["body"] = EXPLORER.sub(LIVE.format(address), context["body"])
        context["body"] += SOURCE.format(address)


def setup(app):
    app.connect("html-page-context", add_addresses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
