"""Every site that gallery-dl supports: the program is run, if it is installed, and its list is parsed. Never imported.

https://github.com/mikf/gallery-dl · `gallery-dl --dump-json URL` prints a list of messages and fetches no file:

[2, {…}] a post; [3, url, {…}] a file of it; [6, url, {…}] an address for another run; [-1, {…}] how it failed

Files are fetched by our own client, which obeys robots.txt and opt-outs. The listing is requested by gallery-dl, which
ignores robots.txt: its requests are spaced out, and carry our user agent instead of a browser's. The user's own
configuration of gallery-dl applies, with their logins. What only its downloaders can fetch (films, files behind a
login) is left out.

`ratings` lists unsafe ratings, in the site's words, that are allowed; files without a rating always are.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, Any, NamedTuple

from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import normal_tags, number_odd_posts, parse_bounded_json, parse_md5, skip_odd_post
from pipeline.sources.search import non_picture_type
from pipeline.sources.sidecars import find_tags, provenance
from pipeline.sources.web_source import Cursor, Page, Query, RemoteImage
from pipeline.terminal import sanitize_line
from pipeline.urls import absolute_url

VERSION = 2
OPTIONS = {"program": "gallery-dl"}
MAX_BYTES = 64 << 20  # of gallery-dl's output
TIMEOUT_S = 3600.0  # longest time of one run
GRACE_S = 10.0  # after SIGINT, in which it prints what it has
MIN_FILES, MAX_FILES = 20, 5000  # files that one run lists
POLL_S = 0.1
PAUSE_S = (1.0, 2.0)  # between two of its requests, at random; longer where it makes longer ones of itself

# Settings that override its configuration: no browser's identity, no false address of ours, no further URLs, and
# messages in the form that is parsed here.
FORCED_SETTINGS = (
    "browser=",
    "geo-bypass=null",
    "input-files=null",
    "server.enabled=false",
    "output.jsonl=false",
    "output.private=false",
    "output.num-to-str=false",
)

FILE, QUEUE, ERROR = 3, 6, -1  # of messages
UNSUPPORTED = 64  # its exit status for a URL that it does not know
ID_KEYS = ("id", "post_id", "tweet_id", "gallery_id", "media_id", "shortcode")
PAGE_KEYS = ("post_url", "page_url", "webpage_url", "permalink")
HASH_KEYS = ("md5", "hash")
NSFW_KEYS = ("nsfw", "is_nsfw", "is_mature", "sensitive")
# Ratings that are skipped unless `ratings` lists them: sites' own words, and `nsfw` for sites with a mark instead.
UNSAFE = set("e x q explicit questionable adult mature nsfw r18 r-18 r-18g ecchi erotica pornographic".split())
UNSAFE_ON = {"newgrounds": {"m", "a"}}  # there, `e` means everyone
_INSTALL = "install it (pip install gallery-dl), or say where it is: program in [gallery_dl] of luigi.cfg"
_LOGIN = "give gallery-dl your login, in its own configuration"
_CURES = {
    "AuthRequired": _LOGIN,
    "AuthorizationError": _LOGIN,
    "AuthenticationError": _LOGIN,
    "NotFoundError": "look at the address in --query",
    "ChallengeError": "the site wants no programs now: ask it, or try later",
}
_UNKNOWN_URL = "gallery-dl --list-extractors lists the sites it supports; --source web_page reads any page"


class RunResult(NamedTuple):
    """The result of a run."""

    printed: bytes
    last_line: str
    code: int
    cut: str
    """Why it was stopped; empty if it was not."""


def first_cursor(query: Query) -> Cursor:
    """Return the cursor of the first page. `after`: how many files have been listed."""
    _url(query)
    return {"after": 0}


def request(query: Query, cursor: Cursor) -> None:
    """Return None: gallery-dl sends the requests."""


def parse(query: Query, cursor: Cursor, answer: None) -> Page:
    """Return the files after the cursor. Each run begins at the site's first page again, so it lists at least as many
    as all runs before it."""
    after = cursor["after"]
    count = min(max(query.wanted or MAX_FILES, after, MIN_FILES), MAX_FILES)
    span = f"{after + 1}-{after + count}"
    pause = f"extractor.sleep-request={_pause(query)}"
    run = _run(query, "--dump-json", "--no-input", "--no-colors", "--range", span, "--option", pause)
    messages = _messages(run)
    listed = [message for message in messages if isinstance(message, list) and message[:1] == [FILE]]
    others = [message[1] for message in messages if _is_message(message, QUEUE, 3)]
    problem, cure = _problem(run, [message[1] for message in messages if _is_message(message, ERROR, 2)])
    if not listed and not after and (problem or others):
        some = " ".join(_hide_queries(url) for url in others[:3])
        found = f"listed nothing: {problem}" if problem else f"no pictures but {len(others):,} other addresses: {some}"
        where, cure = _hide_queries(_url(query)), cure or "give one of them as --query"
        raise UserError(where, f"gallery-dl {found}", "a page with pictures", cure)
    offers = _parse_files(query, listed)
    # A page that is not followed: it may lead to thousands of others, each of them a run.
    offers += [Skipped(sanitize_line(url), "not_a_picture", "a page of its own: give it as --query") for url in others]
    if problem:
        return Page(offers, None, f"gallery-dl listed {after + len(listed):,} files, then: {problem}")
    return Page(offers, {"after": after + len(listed)} if len(listed) >= count else None)


def _url(query: Query) -> str:
    """Return the URL of the query. Raise UserError for anything but a web address: gallery-dl has schemes of its own
    (`recursive:`, `oauth:`), and a dash would begin an option."""
    text = query.text.strip()
    if not re.match("https?://", text, re.IGNORECASE) or re.search(r"[\s\0]", text) or not absolute_url(text):
        found = f"{sanitize_line(text, 100) or 'nothing'} is no URL"
        raise UserError("--query", found, "the page's URL, with https://", "correct it")
    return text


def _pause(query: Query) -> str:
    """Return the seconds between two requests: the option replaces its own pauses, so longer ones are kept."""
    printed = _run(query, "--extractor-info").printed
    own = re.search(rb"Request interval \(default\):\s+\[?(\d+\.?\d*)(?:,\s*(\d+\.?\d*))?", printed)
    low, high = max(PAUSE_S, (float(own[1]), float(own[2] or own[1]))) if own else PAUSE_S
    return f"{low}-{high}"


def _run(query: Query, *words: str) -> RunResult:
    """Return the result of a run. Raise UserError if the program, which is on PATH or beside this Python, where pip
    installs it, cannot be run or prints too much."""
    name = os.path.expanduser(query.options.get("program") or OPTIONS["program"])
    path = shutil.which(name) or shutil.which(name, path=os.path.dirname(sys.executable))
    if path is None:
        raise UserError(sanitize_line(name), "there is no such program", "gallery-dl", _INSTALL)
    options = [word for setting in (*FORCED_SETTINGS, f"user-agent={query.agent}") for word in ("--option", setting)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        command = [path, *words, *options, "--", _url(query)]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        except OSError as error:
            raise UserError(path, error.strerror or str(error), "a program that runs", _INSTALL) from error
        try:
            cut = _wait_bounded(process, (out, err))
        finally:  # also after Ctrl-C
            process.kill()
            code = process.wait()
        out.seek(0)
        err.seek(max(os.fstat(err.fileno()).st_size - 10_000, 0))
        printed, lines = out.read(MAX_BYTES + 1), err.read(10_000).decode("utf-8", "replace").strip().splitlines()
    if len(printed) > MAX_BYTES:
        found, cure = f"more than {MAX_BYTES:,} bytes of messages", "ask for less of the site"
        raise UserError(path, found, "a shorter list", cure)
    return RunResult(printed, _hide_queries(lines[-1]) if lines else "", code, cut)


def _wait_bounded(process: subprocess.Popen, files: tuple[IO[bytes], ...]) -> str:
    """Wait for the process; stop it if it runs too long or prints too much. Return why, or an empty text."""
    due, cut = time.monotonic() + TIMEOUT_S, ""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(POLL_S)
            return cut
        if any(os.fstat(file.fileno()).st_size > MAX_BYTES for file in files):
            return f"it was stopped after {MAX_BYTES:,} bytes"
        if cut and time.monotonic() > due:
            return cut
        if not cut and time.monotonic() > due:
            due, cut = time.monotonic() + GRACE_S, f"it was stopped after {TIMEOUT_S:,.0f} s"
            process.send_signal(signal.SIGINT)  # as by Ctrl-C: then it prints what it has


def _hide_queries(text: object) -> str:
    """Return the text with the queries of its URLs hidden, as they may hold the user's keys."""
    return re.sub(r"\?[^\s'\"]*", "?…", sanitize_line(text))


def _messages(run: RunResult) -> list:
    """Return the messages that were printed. Raise UserError if the output is something else."""
    messages = None
    with contextlib.suppress(ValueError, RecursionError):
        messages = parse_bounded_json(run.printed) if run.printed.strip() else []
    if not isinstance(messages, list) and not run.cut:
        start = sanitize_line(run.printed[:60].decode("utf-8", "replace"))
        found = f"it printed {start!r}" + (f", and reported: {run.last_line}" if run.last_line else "")
        raise UserError("gallery-dl", found, "the messages of gallery-dl --dump-json", "update it; look at program")
    return messages if isinstance(messages, list) else []


def _is_message(message: Any, kind: int, length: int) -> bool:
    """Return whether it is a complete message of that kind: its last part is an object."""
    return isinstance(message, list) and len(message) == length and message[0] == kind and isinstance(message[-1], dict)


def _problem(run: RunResult, failures: list[dict]) -> tuple[str, str]:
    """Return (why the listing broke off, what to do about it), both empty if it did not."""
    for fields in failures:
        cure = _CURES.get(str(fields.get("error")), "try again later, or run gallery-dl by hand to see more")
        error, message = fields.get("error") or "an error", fields.get("message") or "no reason given"
        return _hide_queries(f"{error}: {message}"), cure
    if run.cut:
        return run.cut, "ask for less of the site"
    cure = _UNKNOWN_URL if run.code == UNSUPPORTED else "run gallery-dl by hand to see more"
    return (f"it exited {run.code}: {run.last_line or 'no reason given'}", cure) if run.code else ("", "")


def _parse_files(query: Query, listed: list) -> list[RemoteImage | Skipped]:
    """Return an offer for each file. Where a site numbers posts but not their files, the first file has the post's id,
    others their URL."""
    offers: dict[str | int, RemoteImage | Skipped] = {}
    for message in listed:
        if not _is_message(message, FILE, 3):
            offers[len(offers)] = skip_odd_post(message)
            continue
        _, url, values = message
        name = _source_id(values)
        name = sanitize_line(url, 500) if not name or name in offers else name
        offers[name] = _parse_file(query, name, url, values)
    return number_odd_posts(list(offers.values()))


def _source_id(values: dict) -> str:
    number = next((text for key in ID_KEYS if (text := _id_text(values.get(key)))), "")
    place = _id_text(values.get("num"))
    return "/".join(part for part in (_id_text(values.get("category")), number, place) if part) if number else ""


def _id_text(value: object) -> str:
    """Return a name or a number as text; empty for any other value."""
    is_one = isinstance(value, (str, int)) and not isinstance(value, bool)
    return sanitize_line(value, 200) if is_one else ""


def _parse_file(query: Query, name: str, url: object, values: dict) -> RemoteImage | Skipped:
    address = absolute_url(url)
    if address is None:  # ytdl: and text: are for gallery-dl's own downloaders
        return Skipped(name, "bad_url", sanitize_line(url, 100) or "no URL")
    if found := non_picture_type(values.get("extension"), address):
        return Skipped(name, "not_a_picture", found)
    fields = provenance(values, find_tags(values))
    mark = "nsfw" if any(str(values.get(key)).lower() in ("true", "nsfw", "1") for key in NSFW_KEYS) else ""
    rating = sanitize_line(fields.get("rating") or mark, 40)
    unsafe = UNSAFE_ON.get(str(values.get("category")), UNSAFE)
    if rating.lower() in unsafe - {each.lower() for each in query.ratings}:
        return Skipped(name, "rating", rating)
    pages = (absolute_url(values.get(key)) for key in PAGE_KEYS)
    hashes = (parse_md5(values.get(key)) for key in HASH_KEYS)
    tags = find_tags({key: value for key, value in values.items() if key.startswith("tag")})  # no captions or comments
    return RemoteImage(
        name,
        address,
        page_url=next(filter(None, pages), absolute_url(_url(query))),
        title=fields.get("title"),
        artist=fields.get("artist"),
        rating=rating or None,
        license=fields.get("license"),
        tags=tuple(dict.fromkeys(normal_tags(tags))),
        md5=next(filter(None, hashes), None),
    )
