"""SVG documents as trees that share whatever they have in common."""

import re
import xml.etree.ElementTree as ET
from html import escape

ID = "\ue000"  # stands for the explorer's own id, which is known on the page alone
DECIMALS = 2  # of a coordinate: a hundredth of a point is not seen
COORDINATES = {"d", "x", "y", "width", "height"}
LONG_NUMBER = re.compile(rf"-?\d+\.\d{{{DECIMALS + 1},}}(?:e-?\d+)?")
TRANSLATION = re.compile(r"translate\([^)]*\)")
REFERENCE = re.compile(r"#([^)\s]+)")
XLINK = "{http://www.w3.org/1999/xlink}"
KEEP, AGAIN = ID + "keep ", ID + "again "  # comments: remember the next element; here it is again


class Forest:
    """Nodes of many SVG documents. Equal nodes are one node, so equality is that of numbers.

    A node is an index into three lists: `start` its start tag, `kind` what matplotlib calls it
    ("line2d", "xtick"; else its tag), `children` a tuple of nodes. Ids are left out, coordinates
    are rounded, and what documents refer to (glyphs, markers, clips) is kept once, in `defs`.
    """

    def __init__(self):
        self.start, self.kind, self.children = [], [], []
        self.defs = {}  # markup of a definition without its id -> its number
        self._nodes = {}
        self._markup = {}
        self._rounded = {}
        self._kept = {}

    def add(self, svg):
        """Take in an SVG document.

        Args:
            svg: its text, as matplotlib writes it.

        Returns:
            the node of its root.
        """
        parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
        root = ET.fromstring(svg, parser)
        return _Document(self, root).node(root)

    def intern(self, kind, start, children):
        """The node of these parts, made if there is none yet."""
        key = (kind, start, children)
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = len(self.start)
            self.kind.append(kind)
            self.start.append(start)
            self.children.append(children)
        return node

    def markup(self, node):
        """The SVG text of a node with all that is in it."""
        text = self._markup.get(node)
        if text is None:
            inside = "".join(map(self.markup, self.children[node]))
            text = self._markup[node] = element(self.start[node], inside)
        return text

    def definitions(self, among=None):
        """The SVG text of all definitions, or of those whose numbers are in `among`."""
        return "".join(
            re.sub(r"(?=[\s/>])", f' id="{ID}_{number}"', markup, count=1)
            for markup, number in self.defs.items()
            if among is None or number in among
        )

    def document(self, root):
        """A document that stands alone, of a node returned by `add`."""
        inside = "".join(map(self.markup, self.children[root]))
        defs = f"<defs>{self.definitions()}</defs>"
        return element(self.start[root], defs + inside).replace(ID, "e")


class _Document:
    """One SVG document on its way into a forest."""

    def __init__(self, forest, root):
        self._forest = forest
        self._defined = {}
        for defs in root.iter(SVG + "defs"):
            for definition in defs:
                self._defined[definition.get("id")] = definition

    def node(self, element):
        forest = self._forest
        children, keep = [], None
        for child in element:
            if child.tag is ET.Comment:
                text = child.text.strip()
                if text.startswith(KEEP):
                    keep = text
                elif text.startswith(AGAIN):
                    children.append(forest._kept[text.replace(AGAIN, KEEP)])
            elif child.tag not in LEFT_OUT:
                children.append(self.node(child))
                if keep is not None:
                    forest._kept[keep], keep = children[-1], None
        return forest.intern(self._kind(element), self._start(element), tuple(children))

    def _kind(self, element):
        name = element.get("id", "")
        return name.rstrip("0123456789").rstrip("_") or element.tag

    def _start(self, element):
        parts = [element.tag.removeprefix(SVG)]
        for name, value in element.items():
            if name == "id" or not value:
                continue
            name = name.removeprefix(XLINK)
            if name in COORDINATES:
                value = self._round(value)
            elif name == "transform":
                value = TRANSLATION.sub(lambda match: self._round(match[0]), value)
            if "#" in value and (name == "href" or "url(" in value):
                value = REFERENCE.sub(self._refer, value)
            parts.append(f'{name}="{escape(value)}"')
        if parts[0] == "svg":
            parts.append(ROOT_STYLE)
        return " ".join(parts)

    def _round(self, text):
        rounded = self._forest._rounded
        if text not in rounded:
            rounded[text] = " ".join(LONG_NUMBER.sub(_short, text).split())
        return rounded[text]

    def _refer(self, match):
        definition = self._defined.get(match[1])
        if definition is None:
            return match[0]
        markup = self._forest.markup(self.node(definition))
        number = self._forest.defs.setdefault(markup, len(self._forest.defs))
        return f"#{ID}_{number}"


SVG = "{http://www.w3.org/2000/svg}"
LEFT_OUT = {SVG + name for name in ("defs", "metadata", "title", "style")}
# Matplotlib sets these by a style element, which would reach the whole page.
ROOT_STYLE = 'stroke-linejoin="round" stroke-linecap="butt"'


def element(start, inside):
    """The text of an element from its start tag's and its content's."""
    return f"<{start}>{inside}</{start.split(' ', 1)[0]}>" if inside else f"<{start}/>"


def _short(match):
    text = f"{float(match[0]):.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
