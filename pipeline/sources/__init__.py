"""The table of sources: where pictures come from. A new one is one file and one row."""

from functools import partial

from pipeline.sources import archive, danbooru, drawn, folder, gelbooru, moebooru, url_list, web_page
from pipeline.sources.post import Source
from pipeline.sources.site import Site

GELBOORU = partial(Site, gelbooru, keys=("api_key", "user_id"), page_size=gelbooru.PER_PAGE)
DANBOORU = partial(Site, danbooru, ratings=("g", "s"), keys=("login", "api_key"), page_size=danbooru.PER_PAGE)
MOEBOORU = partial(Site, moebooru, ratings=("s",), keys=("login", "password_hash"), page_size=moebooru.PER_PAGE)

SOURCES: dict[str, Source | Site] = {
    "drawn": Source(drawn.snapshot, drawn.posts, default_limit=360, default_query="character", is_seeded=True),
    "folder": Source(folder.snapshot, folder.posts),
    "archive": Source(archive.snapshot, archive.posts),
    "safebooru": GELBOORU("https://safebooru.org", ratings=("general", "safe")),
    "gelbooru": GELBOORU("https://gelbooru.com", ratings=("general", "safe", "sensitive")),
    "danbooru": DANBOORU("https://danbooru.donmai.us", "https://cdn.donmai.us"),
    "safebooru_donmai": DANBOORU("https://safebooru.donmai.us", "https://cdn.donmai.us"),
    "konachan": MOEBOORU("https://konachan.net"),
    "yandere": MOEBOORU("https://yande.re"),
    "moebooru": MOEBOORU(),
    "urls": Site(url_list, default_limit=0, is_one_site=False),
    "web_page": Site(web_page, default_limit=0, is_one_site=False, obeys_robots=True),
}
