"""SOURCES: the table of sources. A new site of a known engine is one row; a new engine is one file and one row."""

from functools import partial

from pipeline.sources import archive, drawn, folder, gallery_dl, generated, getchu, twitter, url_list, web_page
from pipeline.sources.base import LocalSource
from pipeline.sources.boorus import danbooru, gelbooru, moebooru
from pipeline.sources.search import google as google_images
from pipeline.sources.search import openverse
from pipeline.sources.web_source import WebSource

GELBOORU = partial(WebSource, gelbooru, keys=("api_key", "user_id"), page_size=gelbooru.PER_PAGE)
DANBOORU = partial(WebSource, danbooru, ratings=("g", "s"), keys=("login", "api_key"), page_size=danbooru.PER_PAGE)
MOEBOORU = partial(WebSource, moebooru, ratings=("s",), keys=("login", "password_hash"), page_size=moebooru.PER_PAGE)

SOURCES: dict[str, LocalSource | WebSource] = {
    "drawn": LocalSource(drawn.snapshot, drawn.posts, default_limit=360, default_query="character", is_seeded=True),
    "folder": LocalSource(folder.snapshot, folder.posts),
    "archive": LocalSource(archive.snapshot, archive.posts),
    "generated": LocalSource(generated.snapshot, generated.posts, is_seeded=True),
    "safebooru": GELBOORU("https://safebooru.org", ratings=("general", "safe")),
    "gelbooru": GELBOORU("https://gelbooru.com", ratings=("general", "safe", "sensitive")),
    "danbooru": DANBOORU("https://danbooru.donmai.us", "https://cdn.donmai.us"),
    "safebooru_donmai": DANBOORU("https://safebooru.donmai.us", "https://cdn.donmai.us"),
    "konachan": MOEBOORU("https://konachan.net"),
    "yandere": MOEBOORU("https://yande.re"),
    "moebooru": MOEBOORU(),
    "getchu": WebSource(
        getchu, "https://www.getchu.com", rate=0.5, reads_refusals=True, obeys_robots=True, is_bounded=True,
        page_size=4,  # about as many characters has an item's page
        options={"confirm_age": "false", "genre": "pc_soft"},
    ),
    "twitter": WebSource(
        twitter, "https://api.x.com", ratings=("general",), keys=("bearer_token",), reads_refusals=True,
        is_bounded=True, page_size=twitter.PER_PAGE, options={"previews": "false", "replies": "false"},
        max_cost_usd=1.0, typical_cost=0.01,
    ),
    "google_images": WebSource(
        google_images, "https://customsearch.googleapis.com", keys=("api_key", "cx"), reads_refusals=True,
        is_one_site=False, is_bounded=True, page_size=google_images.PER_PAGE, default_limit=100,
        options=google_images.OPTIONS,
    ),
    "openverse": WebSource(
        openverse, "https://api.openverse.org", rate=1 / 3, keys=("token",), reads_refusals=True, is_one_site=False,
        is_bounded=True, page_size=openverse.PER_PAGE, default_limit=openverse.MAX_RESULTS, options=openverse.OPTIONS,
    ),
    "gallery_dl": WebSource(
        gallery_dl, is_one_site=False, is_bounded=True, default_limit=0, options=gallery_dl.OPTIONS
    ),
    "urls": WebSource(url_list, default_limit=0, is_one_site=False),
    "web_page": WebSource(web_page, default_limit=0, is_one_site=False, obeys_robots=True),
}  # fmt: skip
