"""How Sphinx makes the manual: `make docs`."""

from importlib.metadata import version as installed

from click.testing import CliRunner
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from gnnlib.cli import main

project = "gnnlib"
author = "the gnnlib authors"
copyright = author
version = release = installed("gnnlib")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"gnnlib {version}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]

default_role = "code"  # docstrings write `x`, as everyone does
napoleon_custom_sections = ["Shapes"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Notebooks are run on every build, and one that fails ends it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_output_stderr = "remove"  # progress bars, and what they have to say


class CommandHelp(SphinxDirective):
    """`{help} train` shows what `gnnlib train --help` prints."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        words = [*self.arguments, "--help"]
        result = CliRunner().invoke(main, words, prog_name="gnnlib", terminal_width=78)
        if result.exit_code != 0:
            raise self.error(f"gnnlib {' '.join(words)}: {result.output}")
        text = f"$ gnnlib {' '.join(words)}\n{result.output.rstrip()}"
        return [nodes.literal_block(text, text, language="text")]


def _keep_property_docstring(app, what, name, obj, options, lines):
    """Napoleon takes what stands before a colon in a property's first line for its type."""
    if what == "property":
        lines[:0] = ["..", ""]  # an empty comment


def setup(app):
    app.add_directive("help", CommandHelp)
    app.connect("autodoc-process-docstring", _keep_property_docstring, priority=1)
