"""From pictures to a labelled dataset of faces. The packages, in the order of the stages:

sources   posts that a site, a folder or an archive offers, or portraits that are drawn (drawing)
crawl     what a site offers is fetched politely (web), and the outcome of each file is kept in the ledger
images    the bytes of each post are decoded, and stored under their sha256; near-duplicates form groups
faces     faces are detected, also leaning ones, and each is cut once from the original pixels
hair      the color of each face's hair, as a probability for each of nine names
datasets  splits, the dataset card, and where every picture went; recipes, takedowns and corrections

manifest.py names every column of a dataset, with its type, unit and meaning.
"""

import os

# Before PyArrow is imported: its default allocator reserves 1 GB of address space, also where it is not used.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
