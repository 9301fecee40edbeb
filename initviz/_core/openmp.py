"""How long torch's idle threads spin, set before torch is loaded.

GNU OpenMP, which torch uses on Linux, lets a thread that has run out of work spin for some milliseconds before it sleeps. On a machine with
two cores and anything else running, such as the browser that shows the explorer, it spins in the way of the thread that it waits for,
and an update takes several times as long. Some microseconds of spinning gain as much on a quiet machine.

It takes effect where initviz is imported before torch. A value that is set already is kept.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
