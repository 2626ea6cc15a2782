"""What autodoc shows of named tuples and enumerations, on the pages made from docstrings."""

from enum import Enum
from inspect import isclass


def show_signature(app, what, name, obj, options, signature, return_annotation):
    """A named tuple is made from its fields; an enumeration is not called at all."""
    if isclass(obj) and issubclass(obj, Enum):
        return "", ""
    if isclass(obj) and issubclass(obj, tuple):
        return f"({', '.join(obj._fields)})", ""
    return None


def skip_fields(app, what, name, obj, skip, options):
    """The class's docstring says what its fields are; their own say "Alias for field number 0"."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("autodoc-process-signature", show_signature)
    app.connect("autodoc-skip-member", skip_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
