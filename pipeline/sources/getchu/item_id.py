"""The id of an item of Getchu, in a list or a link."""

import re
from urllib.parse import parse_qs, urlsplit

from pipeline.urls import absolute_url

OWN_HOSTS = ("www.getchu.com", "getchu.com")
ITEM_ID = re.compile(r"0*([1-9][0-9]{0,9})(?:\.0)?")  # .0: as tables write numbers where some are missing
_ITEM_PATH = re.compile(r"/item/([0-9]+)(?:/|$)")


def parse_item_id(text: object, base: str = "https://www.getchu.com/") -> str | None:
    """Return the id of the item that `text` names or links to; None if it does neither."""
    text = str(text or "").strip()
    if found := ITEM_ID.fullmatch(text):
        return found[1]
    parts = urlsplit(absolute_url(text, base) or "")
    if parts.hostname not in (*OWN_HOSTS, urlsplit(base).hostname):
        return None
    if parts.path.endswith("/soft.phtml"):
        found = ITEM_ID.fullmatch(parse_qs(parts.query).get("id", [""])[0].strip())
    elif found := _ITEM_PATH.search(parts.path):
        found = ITEM_ID.fullmatch(found[1])
    return found[1] if found else None
