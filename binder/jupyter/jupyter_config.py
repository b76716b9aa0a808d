"""Every program of Jupyter reads this, whichever way the image is started. `/` leads to the first chapter.

Each of them has a default of its own that a setting for the server alone would lose against.
"""

c = get_config()  # noqa: F821
c.LabApp.default_url = c.JupyterNotebookApp.default_url = c.ServerApp.default_url = "/lab/tree/book/00_the_map.ipynb"
