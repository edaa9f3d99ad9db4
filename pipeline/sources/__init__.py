"""The table of sources: where pictures come from. A new one is one file and one row."""

from pipeline.sources import archive, drawn, folder
from pipeline.sources.post import Source

SOURCES = {
    "drawn": Source(drawn.snapshot, drawn.posts, default_limit=360, default_query="character", is_seeded=True),
    "folder": Source(folder.snapshot, folder.posts),
    "archive": Source(archive.snapshot, archive.posts),
}
