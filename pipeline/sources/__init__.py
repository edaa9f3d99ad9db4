"""The table of sources: where pictures come from. A new one is one file and one row."""

from pipeline.sources import archive, danbooru, drawn, folder, gelbooru, moebooru, url_list, web_page
from pipeline.sources.post import Source
from pipeline.sources.site import Site

DANBOORU = {"engine": danbooru, "ratings": ("g", "s"), "keys": ("login", "api_key"), "page_size": danbooru.PER_PAGE}
MOEBOORU = {"engine": moebooru, "ratings": ("s",), "keys": ("login", "password_hash"), "page_size": moebooru.PER_PAGE}
GELBOORU = {"engine": gelbooru, "keys": ("api_key", "user_id"), "page_size": gelbooru.PER_PAGE}

SOURCES: dict[str, Source | Site] = {
    "drawn": Source(drawn.snapshot, drawn.posts, default_limit=360, default_query="character", is_seeded=True),
    "folder": Source(folder.snapshot, folder.posts),
    "archive": Source(archive.snapshot, archive.posts),
    "safebooru": Site("https://safebooru.org", ratings=("general", "safe"), **GELBOORU),
    "gelbooru": Site("https://gelbooru.com", ratings=("general", "safe", "sensitive"), **GELBOORU),
    "danbooru": Site("https://danbooru.donmai.us", "https://cdn.donmai.us", **DANBOORU),
    "safebooru_donmai": Site("https://safebooru.donmai.us", "https://cdn.donmai.us", **DANBOORU),
    "konachan": Site("https://konachan.net", **MOEBOORU),
    "yandere": Site("https://yande.re", **MOEBOORU),
    "moebooru": Site(**MOEBOORU),
    "urls": Site(engine=url_list, default_limit=0, is_one_site=False),
    "web_page": Site(engine=web_page, default_limit=0, is_one_site=False, obeys_robots=True),
}
