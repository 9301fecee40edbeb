"""What the fork server imports before it forks kernels (`_forked_kernels`): all that a kernel needs, and one picture of the app, since much
is loaded and computed when it is first used. It may leave no thread running: a fork does not copy it, nor unlock what it has locked.
"""

import gc
import os

from ipywidgets import Widget

import initviz
from initviz.tools._forked_kernels import APP

getattr(initviz, os.environ[APP])()
Widget.close_all()  # a page asks its kernel for all the widgets that there are
gc.collect()
gc.freeze()  # or the collector of each kernel writes into all objects, and their pages are shared no more
