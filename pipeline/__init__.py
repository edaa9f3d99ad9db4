"""From pictures to a labelled dataset of faces. The stages, in order:

sources   a site, a folder, an archive or our own pencil offers posts: pictures with what is said of them
harvest   what a site offers is fetched, politely (polite, budget, robots), and every file's fate kept (ledger)
images    each post's bytes are read, really decoded, and kept under their sha256
detect    a detector finds the faces, leaning ones too (sweep); one is our own (face_network, taught by scenes)
faces     each is cut once from the original pixels
hair      the colour of each face's hair, as a probability for each of nine names
groups    copies (near) and faces of one picture become groups; a group lies in one split
quality   faces that are not good enough are left out, if that is asked for
report    the dataset card, the contact sheet, and where every picture went
manifest  the rows of all that: every column's name, type, unit and meaning

What people say goes over it: blocklist keeps pictures out, takedown removes them, corrections mends labels. A recipe is
a dataset without its pixels, to be shared and made again.
"""

import os

# Before PyArrow is imported: its default allocator reserves 1 GB of address space, also where it is not used.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
