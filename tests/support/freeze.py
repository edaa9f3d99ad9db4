"""Import this last before a fork: no collection of the child visits, and so copies, what was imported before it."""

import gc

gc.collect()
gc.freeze()
