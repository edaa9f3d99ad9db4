"""A stand-in for the sites that pictures come from: real sockets, generated pictures, faults on demand.

with StandIn(posts=60) as site:
    site.faults.append(InjectedFailure("/1007/", "status", code=429, retry_after=2))

Sites lie below site.url + "/safebooru", "/gelbooru", "/danbooru", "/moebooru", web pages below "/gallery/", pictures
without end at "/many/N.jpg". The files of post 1007 have "/1007/" in their path. Modules of their own have "/getchu",
"/x", "/cse" and "/openverse". `python -m tests.support --port N` serves the same until it is killed.
"""

import base64
import gzip
import hashlib
import html
import inspect
import io
import json
import math
import re
import socket
import struct
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import cache, cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw

HAIR = ("blue_hair", "black_hair", "blonde_hair", "pink_hair", "red_hair", "green_hair")
RATINGS = {3: "sensitive", 7: "questionable", 9: "explicit"}  # by n % 10; the others are general
FILMS = {5: "webm", 12: "zip"}  # by n % 20; the others are pictures
ROBOTS = "User-agent: *\nDisallow: /*.json\nDisallow: /private\nAllow: /private/ok\nAllow: /\n"
MODIFIED = "Sat, 21 Nov 2026 12:00:00 GMT"
TYPES = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"\x1aE": "video/webm", b"PK": "application/zip"}
FREE = "status rating limit is id date age filesize filetype parent md5 width height mpixels ratio score".split()

# What a reader of all pages finds, each picture once and in its largest size; the names are as a browser shows them.
GALLERY = {
    "/gallery/art/one.png": 2,
    "/gallery/art/get.jpg?id=5&size=full": 3,
    "/gallery/art/two words.jpg": 4,
    "/gallery/art/夕焼け/空.jpg": 5,
    "/gallery/root.jpg": 6,
    "/gallery/large.jpg": 8,
    "/gallery/lazy.jpg": 9,
    "/gallery/full.jpg": 10,
    "/gallery/source.jpg": 11,
    "/gallery/last.jpg": 13,
}
SMALLER = {"/gallery/small.jpg": 14, "/gallery/thumb.jpg": 15, "/gallery/secret.jpg": 16}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
PAGES = {
    "/gallery/page1.html": """<title>One</title><base href="art/"><img src="one.png"><img src="./one.png#again">
<img src="get.jpg?id=5&amp;size=full"><img src="two words.jpg"><img src="two%20words.jpg"><img src="夕焼け/空.jpg">
<img src="/gallery/root.jpg"><a rel="next" href="../page2.html">next</a>""",
    "/gallery/page2.html": f"""<title>Two</title><link rel="next" href="page3.html">
<img src="small.jpg" srcset="small.jpg 96w, large.jpg 200w"><img src="{PIXEL}" data-src="lazy.jpg">
<a href="full.jpg"><img src="thumb.jpg"></a><picture><source srcset="source.jpg 2x"><img src="small.jpg"></picture>""",
    "/gallery/page3.html": f"""<title>Three</title><link rel="icon" href="/favicon.ico"><img src="logo.svg">
<img src="{PIXEL}"><img src="art/one.png"><img src="//{{host}}/gallery/last.jpg"><a href="page1.html">first</a>""",
    "/gallery/noai.html": '<title>No</title><meta name="robots" content="noai"><img src="secret.jpg">',
}


@cache
def gradient(number: int) -> bytes:
    """A small picture: a JPEG; of every fifth number a PNG."""
    random = np.random.default_rng(number)
    width, height = random.integers(96, 201, 2).tolist()
    noise = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
    image = noise.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for x, y, radius, *color in random.integers(0, (width, height, 40, 256, 256, 256), (6, 6)).tolist():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), tuple(color))
    return saved(image.quantize(128), "PNG") if number % 5 == 2 else saved(image, "JPEG")


def saved(image: Image.Image, form: str) -> bytes:
    image.save(buffer := io.BytesIO(), form, quality=90)
    return buffer.getvalue()


class Post:
    """The n-th post, on every site; all about it follows from n. Its bytes are made when they are asked for."""

    def __init__(self, n: int, picture: Callable[[int], bytes]) -> None:
        self.n, self.id, self._picture = n, 1000 + 7 * n, picture
        self.rating = RATINGS.get(n % 10, "general")
        self.tags = ["1girl", HAIR[n % 6], "2girls" if n % 12 == 11 else "solo"] + ["l'arc"] * (n % 6 == 3)
        self.score = self.id * 7919 % 50
        self.is_picture = n % 20 not in FILMS
        self.is_hidden = n % 9 == 8  # Danbooru and Moebooru do not give its file
        self.has_sample = n % 2 == 0

    @cached_property
    def data(self) -> bytes:
        """The original file."""
        picture, film = self._picture(self.id), FILMS.get(self.n % 20)
        if film == "zip":
            with zipfile.ZipFile(buffer := io.BytesIO(), "w") as frames:
                frames.writestr(zipfile.ZipInfo("000000.jpg"), picture)
            return buffer.getvalue()
        return b"\x1aE\xdf\xa3" + picture if film else picture

    @cached_property
    def sample(self) -> bytes:
        """The smaller version."""
        if not self.is_picture:
            return b"\x1aE\xdf\xa3"
        return saved(Image.open(io.BytesIO(self.data)).convert("RGB").reduce(2), "JPEG")

    @cached_property
    def size(self) -> tuple[int, int]:
        return Image.open(io.BytesIO(self.data)).size if self.is_picture else (96, 96)

    @cached_property
    def md5(self) -> str:
        return hashlib.md5(self.data).hexdigest()

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def extension(self) -> str:
        return type_of(self.data).partition("/")[2].replace("jpeg", "jpg")

    def file(self, engine: str, sample: bool = False) -> str:
        """The path of a file. On Safebooru its name is not the md5."""
        stem = hashlib.sha1(str(self.id).encode()).hexdigest() if engine == "safebooru" else self.md5
        name = f"{stem}.{self.extension}"
        if sample:
            name = f"sample_{stem}.{'jpg' if self.is_picture else 'webm'}"
        if engine == "danbooru":
            name = f"{'sample' if sample else 'original'}/{stem[:2]}/{stem[2:4]}/{name.replace('_', '-')}"
        return f"/files/{engine}/{'images/' if engine == 'safebooru' else ''}{self.id}/{name}"


class Call(NamedTuple):
    """What a route is asked."""

    url: str
    """Path and query, as a browser shows them."""
    requested: dict[str, str]
    headers: dict[str, str]
    is_empty: bool
    """Whether to show no posts though there are some."""

    def page(self, posts: list[Post], start: int, limit: int) -> list[Post]:
        return [] if self.is_empty else posts[start : start + limit]

    def link(self, post: Post, engine: str, sample: bool = False) -> str:
        return f"http://{self.headers.get('host', '')}{post.file(engine, sample)}"


@dataclass(frozen=True)
class Reply:
    body: bytes
    type: str = "application/json; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_file: bool = False
    on_sent: Callable[[], None] = lambda: None
    """Called when its head goes out: an answer that a fault has replaced costs the client nothing."""


def type_of(data: bytes) -> str:
    return TYPES.get(data[:2], "application/octet-stream")


def as_json(value: object, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status=status)


def as_file(data: bytes) -> Reply:
    return Reply(data, type_of(data), headers={"Last-Modified": MODIFIED, "Accept-Ranges": "bytes"}, is_file=True)


def as_page(text: str, status: int = 200) -> Reply:
    return Reply(f"<!DOCTYPE html><meta charset=utf-8>{text}".encode(), "text/html; charset=utf-8", status)


MISSING = as_page("<title>404 Not Found</title>", 404)
TOO_DEEP = Reply(b"Too deep! Pull it back some. Holy fuck.", "text/plain")
ABUSE = Reply(b'<response success="false" reason="Search error: API limited due to abuse."/>', "text/xml")
LOGIN = as_page("<title>Login</title><form action=/login method=post><input name=user></form>")
CHALLENGE = replace(
    as_page("<title>Just a moment...</title><script>window._cf_chl_opt={cType:'managed'}</script>", 403),
    headers={"Server": "cloudflare", "cf-mitigated": "challenge"},
)


def has(post: Post, word: str) -> bool:
    """Whether a word of a query is true of a post; those on what is not known here (width:, date:, …) are."""
    if word.startswith("-"):
        return not has(post, word[1:])
    name, _, value = word.partition(":")
    if name == "id":
        number = int(value.strip("<>"))
        return {"<": post.id < number, ">": post.id > number}.get(value[0], post.id == number)
    if name == "rating":
        return post.rating[0] in {rating[:1] for rating in value.split(",")}
    if name in ("md5", "filetype"):
        return not {post.md5, post.extension}.isdisjoint(value.split(","))
    return name in (*FREE, "sort", "order", "all", "*") or word in post.tags


def found(site: "FakeSite", tags: str) -> list[Post]:
    """The posts that answer all words, newest first, or by score if the query sorts."""
    posts = [post for post in site.posts if all(has(post, word) for word in tags.split())]
    return sorted(posts, key=lambda post: -post.score) if re.search("(sort|order):", tags) else posts


def robots(site: "FakeSite", call: Call) -> Reply:
    return Reply(site.robots.encode(), "text/plain", site.robots_status)


def dapi(site: "FakeSite", call: Call, engine: str) -> Reply:
    """Safebooru, and gelbooru.com; XML as of the former."""
    if engine == "gelbooru" and site.needs_key and not {"api_key", "user_id"} <= call.requested.keys():
        return Reply(b"", "text/html", 401)
    limit = min(int(call.requested.get("limit", 100)), 1000)
    start = int(call.requested.get("pid", 0)) * limit
    if start > site.too_deep:
        return TOO_DEEP
    posts = found(site, f"id:{call.requested['id']}" if "id" in call.requested else call.requested.get("tags", ""))
    items = [dapi_item(call, post, engine) for post in call.page(posts, start, limit)]
    if call.requested.get("json") != "1":
        root = ElementTree.Element("posts", count=str(len(posts)), offset=str(start))
        for item in items:
            item |= {"rating": item["rating"][0], "tags": f" {item['tags']} "}
            ElementTree.SubElement(root, "post", {name: str(item[name]) for name in item if name not in JSON_ONLY})
        return Reply(ElementTree.tostring(root, "utf-8", xml_declaration=True), "text/xml; charset=utf-8")
    if engine == "gelbooru":
        about = {"@attributes": {"limit": limit, "offset": start, "count": len(posts)}}
        return as_json(about | ({"post": items[0] if len(items) == 1 else items} if items else {}))
    varied = [form for item in items for form in safebooru_forms(item)]
    return Reply(json.dumps(varied).replace("/", "\\/").encode() if items or not site.empty_body else b"")


JSON_ONLY = ("directory", "image", "owner", "sample", "has_notes", "comment_count")


def dapi_item(call: Call, post: Post, engine: str) -> dict[str, Any]:
    url, sample = call.link(post, engine), call.link(post, engine, sample=True)
    tags = html.escape(" ".join(post.tags), quote=False).replace("'", "&#039;")
    item = {
        "preview_url": sample,
        "sample_url": sample if post.has_sample else "",
        "file_url": url,
        "directory": post.id,
        "md5": post.md5,
        "width": post.size[0],
        "height": post.size[1],
        "id": post.id,
        "image": url.rpartition("/")[2],
        "change": 1757694622,
        "owner": "danbooru",
        "parent_id": 0,
        "rating": post.rating,
        "sample": post.has_sample,
        "sample_height": 50,
        "sample_width": 50,
        "score": post.score,
        "tags": tags,
        "source": "https://example.com/a",
        "status": "active",
        "has_notes": False,
        "comment_count": 0,
    }
    if engine == "gelbooru":
        directory = f"{post.md5[:2]}/{post.md5[2:4]}"
        return item | {"directory": directory, "sample": int(post.has_sample), "has_notes": "false"}
    return item | {"rating": "safe"} if post.rating == "sensitive" else item


def safebooru_forms(item: dict[str, Any]) -> list[dict[str, Any] | None]:
    """A post as one of the forms that were seen in its JSON, and what else stood in the list."""
    n = (item["id"] - 1000) // 7
    item["hash"] = item.pop("md5")
    if n % 3 == 0:
        item["score"] = None
    if n % 4 == 1:
        item["directory"] = str(item["directory"])
    if n % 10 == 6:
        item["file_url"] = item["file_url"].removeprefix("http:")
    if n % 10 == 4:
        item = {name: value for name, value in item.items() if not name.endswith("_url")}
    return [item, None] if n % 15 == 6 else [item]


ERRORS = {
    401: ("SessionLoader::AuthenticationFailure", "Invalid API key"),
    404: ("ActiveRecord::RecordNotFound", "That record was not found."),
    410: ("PaginationExtension::PaginationError", "You cannot go beyond page 1000."),
    422: ("PostQuery::TagLimitError", "You cannot search for more than 2 tags at a time."),
}


def danbooru_error(status: int, message: str = "") -> Reply:
    error, words = ERRORS.get(status, ("StandardError", message))
    backtrace = ["app/controllers/application_controller.rb:123:in `call'"]
    return as_json({"success": False, "error": error, "message": message or words, "backtrace": backtrace}, status)


def danbooru(site: "FakeSite", call: Call, post_id: str | None) -> Reply:
    requested, basic = call.requested, f"Basic {base64.b64encode(':'.join(site.login).encode()).decode()}"
    if call.headers.get("user-agent", "").startswith(("Mozilla", "python-requests")):
        return CHALLENGE
    if "cause_error" in requested:
        return danbooru_error(int(requested["cause_error"]), requested.get("message", ""))
    login = (requested.get("login"), requested.get("api_key"))
    if call.headers.get("authorization", basic) != basic or login not in (site.login, (None, None)):
        return danbooru_error(401)
    if post_id or "md5" in requested:
        posts = found(site, f"id:{post_id}" if post_id else f"md5:{requested['md5']}")
        return as_json(danbooru_item(call, posts[0])) if posts else danbooru_error(404)
    tags, limit, page = requested.get("tags", ""), min(int(requested.get("limit", 20)), 200), requested.get("page", "1")
    if sum(word.lstrip("-").partition(":")[0] not in FREE for word in tags.split()) > 2:
        return danbooru_error(422)
    if page.isdigit() and int(page) > 1000:
        return danbooru_error(410)
    if page[0] == "b":
        posts, start = found(site, f"{tags} id:<{page[1:]}"), 0
    elif page[0] == "a":  # those next to it, yet newest first
        posts = found(site, f"{tags} id:>{page[1:]}")
        start = max(len(posts) - limit, 0)
    else:
        posts, start = found(site, tags), (int(page) - 1) * limit
    return as_json([danbooru_item(call, post) for post in call.page(posts, start, limit)])


def danbooru_item(call: Call, post: Post) -> dict[str, Any]:
    tags, sample = " ".join(post.tags), call.link(post, "danbooru", sample=True)
    item = {
        "id": post.id,
        "created_at": "2026-11-21T00:46:05.385-05:00",
        "score": post.score,
        "md5": post.md5,
        "source": "https://example.com/a",
        "rating": post.rating[0],
        "is_pending": False,
        "is_flagged": False,
        "is_deleted": False,
        "is_banned": post.is_hidden,
        "tag_string": tags,
        "tag_string_general": tags,
        "tag_string_artist": f"artist_{post.n % 4}",
        "tag_string_character": "",
        "tag_string_copyright": "original",
        "tag_count": len(post.tags),
        "file_ext": post.extension,
        "file_size": len(post.data),
        "parent_id": None,
        "image_width": post.size[0],
        "image_height": post.size[1],
        "has_large": post.has_sample,
        "file_url": call.link(post, "danbooru"),
        "preview_file_url": sample,
        "large_file_url": sample if post.has_sample or not post.is_picture else call.link(post, "danbooru"),
    }
    if post.is_hidden:
        item = {name: value for name, value in item.items() if name != "md5" and not name.endswith("file_url")}
    wanted = call.requested.get("only", ",".join(item)).split(",")
    return {name: value for name, value in item.items() if name in wanted}


def moebooru(site: "FakeSite", call: Call) -> Reply:
    posts = found(site, call.requested.get("tags", "").replace("rating:s", "rating:g,s"))  # it has no `general`
    limit = min(int(call.requested.get("limit", 40)), 1000)
    shown = call.page(posts, (int(call.requested.get("page", 1)) - 1) * limit, limit)
    return as_json([moebooru_item(call, post) for post in shown])


def moebooru_item(call: Call, post: Post) -> dict[str, Any]:
    url, sample = call.link(post, "moebooru"), call.link(post, "moebooru", sample=True)
    item = {
        "id": post.id,
        "tags": " ".join(post.tags),
        "created_at": 1757694622,
        "creator_id": 1,
        "author": "uploader",
        "change": post.id,
        "source": "https://example.com/a",
        "score": post.score,
        "md5": post.md5,
        "file_size": len(post.data),
        "file_url": url,
        "is_shown_in_index": True,
        "preview_url": sample,
        "sample_url": sample if post.has_sample else url,
        "jpeg_url": url,
        "rating": post.rating[0].replace("g", "s"),
        "status": "deleted" if post.is_hidden else "active",
        "has_children": False,
        "parent_id": None,
        "is_held": False,
        "width": post.size[0],
        "height": post.size[1],
    }
    return {name: value for name, value in item.items() if not (post.is_hidden and name.endswith("_url"))}


def gallery(site: "FakeSite", call: Call) -> Reply:
    if call.url in PAGES:
        return as_page(PAGES[call.url].replace("{host}", call.headers.get("host", "")))
    number = (GALLERY | SMALLER).get(call.url)
    return as_file(site.picture(number)) if number else MISSING


def many(site: "FakeSite", call: Call, number: str) -> Reply:
    return as_file(site.picture(int(number)))


def file(site: "FakeSite", call: Call, path: str, engine: str, post_id: str) -> Reply:
    for post in found(site, f"id:{post_id}"):
        for is_sample in (False, True):
            if f"/files{path}" == post.file(engine, is_sample):
                return as_file(post.sample if is_sample else post.data)
    return MISSING


ROUTES: dict[str, Callable[..., Reply]] = {
    r"/robots\.txt": robots,
    r"/(safebooru|gelbooru)/index\.php": dapi,
    r"/danbooru/posts(?:/(\d+))?\.json": danbooru,
    r"/moebooru/post\.json": moebooru,
    r"/gallery/.+": gallery,
    r"/many/(\d+)\.jpg": many,
    r"(?:/files)?(/(?!x/)(\w+)/(?:images/)?(\d+)/.+)": file,  # Safebooru's also where they lie by rule
}


def conditional(reply: Reply, headers: dict[str, str]) -> Reply:
    """What HTTP makes of an answer for who has it already, or a part of it."""
    if reply.status != 200:
        return reply
    tag, size = f'"{hashlib.sha1(reply.body).hexdigest()}"', len(reply.body)
    reply = replace(reply, headers=reply.headers | {"ETag": tag})
    if headers.get("if-none-match") in (tag, "*"):
        return replace(reply, status=304, body=b"")
    requested = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
    if not (reply.is_file and requested and headers.get("if-range", tag) in (tag, MODIFIED)):
        return reply
    start, stop = int(requested[1]), min(int(requested[2] or size) + 1, size)
    if start >= stop:
        return replace(reply, status=416, body=b"", headers=reply.headers | {"Content-Range": f"bytes */{size}"})
    part = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return replace(reply, status=206, body=reply.body[start:stop], headers=reply.headers | part)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FakeSite"

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.requested = ReceivedRequest(time.monotonic(), self.command, self.path, headers)
        self.server.log.append(self.requested)
        failure = self.server.failure(self.path)
        try:
            reply = FAULTS[failure.kind](self, self.reply(), **failure.details) if failure else self.reply()
            if reply:
                self.begin(reply)
                self.write(reply.body)
        except OSError:  # who asked has gone
            self.close_connection = True

    do_HEAD = do_GET

    def reply(self, is_empty: bool = False) -> Reply:
        """The normal answer."""
        url, headers = urlsplit(self.path), self.requested.headers
        call = Call(unquote(self.path), dict(parse_qsl(url.query)), headers, is_empty)
        for pattern, route in ROUTES.items():
            if match := re.fullmatch(pattern, url.path):
                return conditional(route(self.server, call, *match.groups()), headers)
        return MISSING

    def begin(self, reply: Reply, framing: dict[str, str] | None = None, due: float | None = None) -> None:
        """Sends the head. `framing`: instead of the Content-Length."""
        self.requested.status, self.requested.due = reply.status, len(reply.body) if due is None else due
        framing = {"Content-Length": str(len(reply.body))} if framing is None else framing
        self.send_response_only(reply.status)
        head = {"Server": "stand-in", "Date": self.date_time_string(), "Content-Type": reply.type}
        for name, value in (head | reply.headers | framing).items():
            self.send_header(name, value)  # heeds Connection: close
        self.end_headers()
        reply.on_sent()

    def write(self, data: bytes) -> None:
        """Sends some of the body. It is logged before: who has read it may look at the log at once."""
        if self.command == "HEAD":
            return
        self.requested.sent += len(data)
        try:
            self.wfile.write(data)
        except OSError:
            self.requested.sent -= len(data)
            raise

    def log_message(self, *_) -> None:
        """Keep quiet."""


# What a fault makes of the normal answer: another one, or, if it has dealt with the client itself, none.


def status(handler, reply, code: int, body=b"", headers=None, retry_after: int | None = None, is_date=False) -> Reply:
    """`retry_after`: seconds, told as a date if `is_date`."""
    headers = headers or {}
    if retry_after is not None:
        date = formatdate(time.time() + retry_after, usegmt=True)
        headers |= {"Retry-After": date if is_date else str(retry_after)}
    return Reply(body, "text/html", code, headers)


def reset(handler: Handler, reply: Reply, at: int | None = None) -> None:
    """Before the head, or after so many bytes of the body."""
    handler.close_connection = True
    if at is not None:
        handler.begin(reply)
        handler.write(reply.body[:at])
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()
    handler.connection.close()


def truncate(handler: Handler, reply: Reply, at: int, length: bool = True) -> None:
    """`length`: with the true Content-Length; else nothing tells the client that it has a part."""
    handler.begin(reply, None if length else {"Connection": "close"})
    handler.write(reply.body[:at])
    handler.close_connection = True


def chunked(handler: Handler, reply: Reply, at: int | None = None) -> None:
    """Whole, or cut."""
    handler.begin(reply, {"Transfer-Encoding": "chunked"})
    part = reply.body[:at]
    handler.wfile.write(b"%x\r\n" % len(part))
    handler.write(part)
    handler.wfile.write(b"\r\n" if at is not None else b"\r\n0\r\n\r\n")
    handler.close_connection = at is not None


def drip(handler: Handler, reply: Reply, seconds: float = 0.1) -> None:
    """A byte each so many seconds."""
    handler.begin(reply)
    for byte in reply.body:
        handler.write(bytes([byte]))
        if handler.server.stopping.wait(seconds):
            break


def silence(handler: Handler, reply: Reply) -> None:
    handler.close_connection = True
    handler.server.stopping.wait()


def endless(handler: Handler, reply: Reply) -> None:
    handler.begin(reply, {"Connection": "close"}, due=math.inf)
    while not handler.server.stopping.is_set():
        handler.write(bytes(10_000))


FAULTS: dict[str, Callable[..., Reply | None]] = {
    "headers": lambda handler, reply, more: replace(reply, headers=reply.headers | more),
    "redirect": lambda handler, reply, to=None, code=302: Reply(b"", "", code, {"Location": to or handler.path}),
    "html200": lambda handler, reply: LOGIN,
    "cloudflare": lambda handler, reply: CHALLENGE,
    "too_deep": lambda handler, reply: TOO_DEEP,
    "abuse": lambda handler, reply: ABUSE,
    "empty": lambda handler, reply: handler.reply(is_empty=True),
    "wrong_type": lambda handler, reply, type="application/octet-stream": replace(reply, type=type),
    "wrong_bytes": lambda handler, reply: Reply(bytes(len(reply.body)), "image/jpeg"),
    "other_bytes": lambda handler, reply: as_file(gradient(10**6)),  # a good picture, but not the one promised
    "nested_html": lambda handler, reply, tags=2_000_000: as_page("<div>" * tags),
    "bomb": lambda handler, reply, megabytes=2048: replace(
        reply, body=gzip.compress(bytes(2**24)) * (megabytes // 16), headers={"Content-Encoding": "gzip"}
    ),
}
FAULTS |= {function.__name__: function for function in (status, reset, truncate, chunked, drip, silence, endless)}


class InjectedFailure:
    """What goes wrong with the next `times` requests whose path and query `pattern` is in, or matches."""

    def __init__(self, pattern: str, kind: str, times: float = 1, **details: Any) -> None:
        inspect.signature(FAULTS[kind]).bind(None, None, **details)  # a wrong name fails in the test, not in a thread
        self.pattern, self.kind, self.times, self.details = pattern, kind, times, details

    def hits(self, path: str) -> bool:
        return self.times > 0 and (self.pattern in path or re.search(self.pattern, path) is not None)


@dataclass
class ReceivedRequest:
    """One request, and what became of it."""

    time: float  # monotonic, when it came
    method: str
    path: str  # as it was sent, with the query
    headers: dict[str, str]  # with names in lower case
    status: int | None = None  # None: no answer
    sent: int = 0  # bytes of the body
    due: float | None = None  # so many would have been all

    @property
    def whole(self) -> bool:
        return self.due is not None and self.sent >= self.due


class FakeSite(ThreadingHTTPServer):
    """The sites; while it is entered, they answer. What may be set before or meanwhile is in __init__."""

    request_queue_size = 128

    def __init__(self, posts: int = 60, pictures: Callable[[int], bytes] = gradient, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.picture = pictures
        self.posts: list[Post] = []  # newest first
        self.log: list[ReceivedRequest] = []
        self.faults: list[InjectedFailure] = []
        self.robots, self.robots_status = ROBOTS, 200
        self.empty_body = False  # Safebooru's answer when it has no posts
        self.too_deep = 20_000
        self.needs_key = False  # on Gelbooru
        self.login = ("tester", "secret")  # the account that Danbooru knows
        self.bearer, self.cse_key = "x-test-bearer-token", "cse-test-key"  # what X and Google know
        self.tweets = {"tester_art": 250, "second_art": 12, "quiet_art": 0}  # more: new ones on top
        self.billed: set[tuple[str, str]] = set()  # ("post" or "user", id): what X has shown, paid once
        self.stopping = threading.Event()
        self._lock, self._connections = threading.Lock(), set()
        self.add_posts(posts)

    def add_posts(self, count: int) -> None:
        """New ones on top."""
        known = len(self.posts)
        self.posts = [*(Post(n, self.picture) for n in reversed(range(known, known + count))), *self.posts]

    @property
    def posts_read(self) -> int:
        return sum(kind == "post" for kind, _ in self.billed)

    @property
    def users_read(self) -> int:
        return sum(kind == "user" for kind, _ in self.billed)

    def failure(self, path: str) -> InjectedFailure | None:
        """The one that is due now."""
        with self._lock:
            failure = next((failure for failure in self.faults if failure.hits(path)), None)
            if failure:
                failure.times -= 1
            return failure

    def __enter__(self) -> "FakeSite":
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        """Cuts off who is still connected, as a host that goes down does."""
        self.stopping.set()
        self.shutdown()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request, client_address) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that goes is no error
            super().handle_error(request, client_address)


def keeps_apart(times: list[float], seconds: float) -> bool:
    """Whether requests came no faster than one in so many seconds: one may be late by a little, and the next not."""
    pairs = zip(times, times[4:], strict=False)
    return all(later - earlier > 4 * seconds - 0.2 for earlier, later in pairs) and len(times) > 4


from tests.support import fake_getchu, fake_search, fake_x  # noqa: E402, F401  # they add to ROUTES and FAULTS
