"""From pictures to a labelled dataset: sources offer them, a crawl fetches them, and faces are found, cut and labelled.

The packages, each of which imports only those to its right: datasets, training_data -> hair -> faces -> images ->
sources -> web, drawing -> the modules of this folder. `crawl` stands beside `faces`.
"""

import os

# Before PyArrow is imported: its default allocator reserves 1 GB of address space, also where it is not used.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
