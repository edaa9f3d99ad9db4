"""Addresses on the web in one spelling."""

import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

MAX_URL_LENGTH = 2000  # characters


def absolute_url(url: object, base: str = "") -> str | None:
    """Return the http(s) URL that `url` states, relative to `base`: percent-encoded where it must be and never twice,
    without its fragment. None if it cannot be requested, or holds a password."""
    text = str(url or "").strip()
    if not 0 < len(text) <= MAX_URL_LENGTH:
        return None
    try:
        text.encode()  # JSON can hold halves of characters
        parts = urlsplit(urljoin(base, text))
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
        parts_escaped = (re.sub("%(?![0-9A-Fa-f]{2})", "%25", part) for part in (parts.path or "/", parts.query))
        path, query = (quote(part, safe="!$%&'()*+,/:;=?@[]~") for part in parts_escaped)
    except ValueError:  # each of these raises it, or a kind of it
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or not re.fullmatch("[a-z0-9._:-]+", host):
        return None
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    absolute = urlunsplit((parts.scheme, netloc, path, query, ""))
    return absolute if len(absolute) <= MAX_URL_LENGTH else None
