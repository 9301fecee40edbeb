"""What the fork server imports before it forks kernels (`_forked_kernels`): all that a kernel needs, and one picture of the app, since much
is loaded and computed when it is first used. It may leave no thread running: a fork does not copy it, nor unlock what it has locked.
"""

import gc
import os
from contextlib import suppress
from importlib import import_module

from ipywidgets import Widget

import initviz
from initviz.tools._forked_kernels import APP

AT_START = (
    "IPython.core.completerlib", "IPython.core.debugger", "IPython.extensions.storemagic", "ipykernel.debugger", "sqlite3",
    "tornado.platform.asyncio",
)  # fmt: skip
"""What ipykernel imports when a kernel starts, beside what it imports itself: most of the time and a third of the memory of a start."""

os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = (
    "1"  # or the debugger warns of Python's frozen modules, which it need not see
)
for name in AT_START:
    with suppress(ImportError):  # another version of theirs
        import_module(name)
getattr(initviz, os.environ[APP])()
Widget.close_all()  # a page asks its kernel for all the widgets that there are
gc.collect()
gc.freeze()  # or the collector of each kernel writes into all objects, and their pages are shared no more
