"""The book's widgets on pages that need no kernel, no Jupyter and no network.

    page.py  write_page: widgets as they are now, in one file that a browser opens
    host.js  what anywidget is in Jupyter: the widget's traits, and a place to show it

It knows nothing of models or chapters: it takes any anywidget. What only Python can answer stays unanswered there, and
the book's widgets say so.
"""

from llm101_site.page import page_with, saved_state, write_page

__all__ = ["page_with", "saved_state", "write_page"]
