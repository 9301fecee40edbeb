"""Sphinx's configuration of the site. `initviz site` copies docs/ beside the notebooks and the reference, and builds there."""

import initviz
from initviz.tools._site import (
    MAIN,
    MATHJAX,
    VERSIONS,
    handouts_table,
    linked,
    pages_address,
    repository,
    schemes_table,
)

project, author, version = "initviz", "the initviz contributors", initviz.__version__
copyright = author
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.githubpages", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_files"]

# Notebooks as they are stored
nb_execution_mode = "off"
suppress_warnings = ["myst.header"]  # a heading in a notebook may skip a level
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_html_meta = {
    "description": "What weight initialization does to a neural network: a course with sliders, and a probe for any model."
}
myst_substitutions = {"handouts": handouts_table(), "schemes": schemes_table()}

# Formulas, also those of questions, by one file that needs no network
mathjax_path = MATHJAX
mathjax4_config = {"tex": {"inlineMath": [["$", "$"], ["\\(", "\\)"]]}, "options": {"enableMenu": False}}

# The reference
default_role = "py:obj"
add_module_names = False
autodoc_typehints = "none"  # they stand in the signature
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90

# The look
html_theme = "pydata_sphinx_theme"
html_title = "initviz"
html_favicon = "favicon.svg"
html_static_path = ["_static", "site.css"]
html_css_files = ["site.css"]
html_extra_path = ["_files"]
html_show_sourcelink = html_copy_source = False
html_show_search_summary = False  # from a disk, a page may not read the others
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "search_bar_text": "Search",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_with_keys": False,
    "icon_links": [{"name": "Source", "url": repository(), "icon": "fa-brands fa-github"}] if repository() else [],
}
if tags.has("pages"):  # noqa: F821 - a menu of versions, by the file that `publish` writes; a site for a folder asks for nothing
    html_theme_options["switcher"] = {
        "json_url": f"{pages_address()}/{VERSIONS}",
        "version_match": version if tags.has("release") else MAIN,  # noqa: F821
    }
    html_theme_options["check_switcher"] = False  # it is written after the site
    html_theme_options["navbar_end"] = ["version-switcher", "theme-switcher", "navbar-icon-links"]
html_sidebars = {"practitioners": [], "lecturers": [], "papers": []}


def setup(app):
    app.connect("autodoc-process-docstring", read_docstring, priority=1)
    app.connect("autodoc-process-signature", shorten_signature)


def read_docstring(app, what, name, thing, options, lines):
    """Docstrings are plain words, not reStructuredText."""
    lines[:] = linked(lines)


def shorten_signature(app, what, name, thing, options, signature, returned):
    """A record with many fields has them below, with what they mean."""
    if what == "class" and signature and signature.count(",") > 6:
        return "", None
