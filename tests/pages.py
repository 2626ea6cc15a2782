"""Which pages the website has, and what their HTML says: shared by the tests of the site."""

from html.parser import HTMLParser

import yaml

from book.build import ROOT


def toc_files():
    """All pages that the table of contents lists, without suffix and in its order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    files = [toc["root"]]
    for chapter in (chapter for part in toc["parts"] for chapter in part["chapters"]):
        files += [entry["file"] for entry in (chapter, *chapter.get("sections", []))]
    return files


def toc_pages():
    return [f"{name}.html" for name in toc_files()]


class Elements(HTMLParser):
    """All start tags of a page as (tag, attributes)."""

    def __init__(self, file):
        super().__init__()
        self.found = []
        self.feed(file.read_text("utf8"))

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def ids(self):
        return [attrs["id"] for _, attrs in self.found if attrs.get("id")]

    def links(self):
        return [attrs["href"] for tag, attrs in self.found if tag == "a" and attrs.get("href")]
