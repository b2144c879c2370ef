"""How Sphinx makes the manual: `make docs`."""

from importlib.metadata import version as installed

project = "gnnlib"
author = "the gnnlib authors"
copyright = author
version = release = installed("gnnlib")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"

default_role = "code"  # docstrings write `x`, as everyone does
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
myst_heading_anchors = 3


def _keep_property_docstring(app, what, name, obj, options, lines):
    """Napoleon takes what stands before a colon in a property's first line for its type."""
    if what == "property":
        lines[:0] = ["..", ""]  # an empty comment


def setup(app):
    app.connect("autodoc-process-docstring", _keep_property_docstring, priority=1)
