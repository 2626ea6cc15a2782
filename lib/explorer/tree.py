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
CLIP = re.compile(r' clip-path="[^"]*"')
MARKER = 'marker markerUnits="userSpaceOnUse" markerWidth="1" markerHeight="1" overflow="visible"'
XLINK = "{http://www.w3.org/1999/xlink}"
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
HREF = XLINK + "href"
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
        # Such a character of a figure's text is drawn as a path, but named in a comment.
        root = ET.fromstring(NO_XML.sub("", svg), parser)
        document = _Document(self, root, self._rounded)
        node = document.node(root)
        self._rounded = document.rounded
        return node

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
        return element(self.start[node], "".join(map(self.markup, self.children[node])))

    def define(self, markup):
        """The number by which nodes refer to a definition."""
        return self.defs.setdefault(markup, len(self.defs))

    def definitions(self, among=None):
        """The SVG text of all definitions, or of those whose numbers are in `among`."""
        return "".join(
            re.sub(r"(?=[\s/>])", f' id="{ID}_{number}"', markup, count=1)
            for markup, number in self.defs.items()
            if among is None or number in among
        )

    def references(self, markup):
        """The numbers of all definitions that `markup` refers to, itself or by way of others."""
        found, new = set(), _numbers(markup)
        while new:
            found |= new
            new = _numbers(self.definitions(new)) - found
        return found

    def document(self, root):
        """A document that stands alone, of a node returned by `add`."""
        inside = "".join(map(self.markup, self.children[root]))
        defs = f"<defs>{self.definitions(self.references(inside))}</defs>"
        start = f'{self.start[root]} xmlns="{SVG[1:-1]}"'  # or it is no picture in an <img>
        return element(start, defs + inside).replace(ID, "e")


class _Document:
    """One SVG document on its way into a forest."""

    def __init__(self, forest, root, rounded_before):
        self._forest = forest
        self._rounded_before = rounded_before
        self.rounded = {}  # for the next document: most coordinates come again
        self._defined, self._numbers = {}, {}
        for defs in root.iter(SVG + "defs"):
            for definition in defs:
                self._defined[definition.get("id")] = definition

    def node(self, element):
        forest, start = self._forest, self._start(element)
        if self._marks(element):
            children = (self._marked(element.findall(USE)),)
        else:
            children = self._children(element)
        if element.tag == GROUP and CLIP.search(start) is None:
            start, children = self._clipped(start, children)
        return forest.intern(self._kind(element), start, children)

    def _children(self, element):
        forest, children, keep = self._forest, [], None
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
        return tuple(children)

    def _marks(self, element):
        """Whether a group is one marker at several points."""
        marks = [child for child in element if child.tag not in LEFT_OUT]
        looks = {(mark.tag, mark.get(HREF), mark.get("style")) for mark in marks}
        placed = all(mark.tag == USE and mark.get("x") for mark in marks)
        return len(marks) > 1 and len(looks) == 1 and placed

    def _marked(self, uses):
        """One path with the marker at each of its points: less to read and to draw than uses."""
        forest = self._forest
        shape = self.node(self._defined[uses[0].get(HREF)[1:]])
        style = forest.intern("g", f'g style="{escape(uses[0].get("style", ""))}"', (shape,))
        number = forest.define(forest.markup(forest.intern("marker", MARKER, (style,))))
        points = (f"{self._round(use.get('x'))} {self._round(use.get('y'))}" for use in uses)
        marker = f"fill: none; stroke: none; marker: url(#{ID}_{number})"
        return forest.intern("path", f'path d="M {" L ".join(points)}" style="{marker}"', ())

    def _clipped(self, start, children):
        """A clip that all children of a group share, moved to the group: browsers clip once.

        It means the same there: matplotlib never clips the element that it transforms.
        """
        forest = self._forest
        starts = [forest.start[child] for child in children]
        clips = {match and match[0] for match in map(CLIP.search, starts)}
        if len(clips) != 1 or None in clips:
            return start, children
        bare = (
            forest.intern(forest.kind[child], CLIP.sub("", text), forest.children[child])
            for child, text in zip(children, starts, strict=True)
        )
        return start + clips.pop(), tuple(bare)

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
        if text not in self.rounded:
            known = self._rounded_before.get(text)
            short = known or " ".join(LONG_NUMBER.sub(_short, text).split())
            self.rounded[text] = short
        return self.rounded[text]

    def _refer(self, match):
        name = match[1]
        if name not in self._numbers and name in self._defined:
            markup = self._forest.markup(self.node(self._defined[name]))
            self._numbers[name] = self._forest.define(markup)
        return f"#{ID}_{self._numbers[name]}" if name in self._numbers else match[0]


SVG = "{http://www.w3.org/2000/svg}"
GROUP, USE = SVG + "g", SVG + "use"
LEFT_OUT = {SVG + name for name in ("defs", "metadata", "title", "style")}
# Matplotlib sets these by a style element, which would reach the whole page.
ROOT_STYLE = 'stroke-linejoin="round" stroke-linecap="butt"'


def element(start, inside):
    """The text of an element from its start tag's and its content's."""
    return f"<{start}>{inside}</{start.split(' ', 1)[0]}>" if inside else f"<{start}/>"


def _numbers(markup):
    return {int(number) for number in re.findall(rf"#{ID}_(\d+)", markup)}


def _short(match):
    text = f"{float(match[0]):.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
