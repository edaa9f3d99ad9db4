"""Settings of web sources in luigi.cfg: a section per source, named after it, and [web] for all of them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from luigi.configuration import get_config

from pipeline import redaction
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.crawl.crawl import Crawl
    from pipeline.store import Store

SETTINGS = ("base_url", "file_base_url", "rate", "ratings", "files", "pages", "connections", "strict_hash")
WEB_SETTINGS = ("contact", "file_seconds", "file_megabytes", "page_seconds", "backoff")
FILES = ("original", "sample")
_BOOLEANS = ("false", "true")


def build_crawl(source: str, query: str, path: Path | None, store: "Store", *, needs_site: bool = True) -> "Crawl":
    """Return the Crawl of a query to a web source, with the settings of luigi.cfg and the block list. Raise UserError.

    needs_site: whether the site itself is requested, and not only hosts of files."""
    from pipeline import blocklist
    from pipeline.crawl.crawl import Crawl
    from pipeline.sources.registry import SOURCES
    from pipeline.sources.web_source import Query, WebSource
    from pipeline.web.http import user_agent

    site = SOURCES[source]
    assert isinstance(site, WebSource), f"{source} is not on the web"
    user = ["user_id"] if "login" in site.keys else []
    money = ["max_cost_usd"] if site.max_cost_usd is not None else []
    section = _Section(source, (*SETTINGS, *site.keys, *user, *site.options, *money))
    base_url = section.url("base_url", site.base_url)
    if site.page_size and not base_url and needs_site:
        raise UserError(f"[{source}] of luigi.cfg", "no base_url", "the address of a site", "set base_url")
    policy = _policy(section, site.rate, section.text("user_id") if user else "")
    keys = {name: section.key(name) for name in site.keys if section.text(name)}
    return Crawl(
        source=source,
        site=site,
        query=Query(
            text=query,
            base_url=base_url,
            file_base_url=section.url("file_base_url", site.file_base_url),
            ratings=tuple(re.findall(r"[^,\s]+", section.text("ratings"))) or site.ratings,
            files=section.one_of("files", FILES),
            keys=keys,
            path=path,
            pages=int(section.number("pages", 1000, least=1)),
            agent=user_agent(policy.about),
            options={name: section.option(name, default) for name, default in site.options.items()},
        ),
        policy=policy,
        store=store,
        connections=int(section.number("connections", 2, least=1, most=64)),
        is_strict=section.one_of("strict_hash", _BOOLEANS) == "true",
        max_cost_usd=section.number("max_cost_usd", site.max_cost_usd or 0, least=0) if money else float("inf"),
        blocked=blocklist.read(store.root),
    )


def _policy(section: "_Section", rate: float, user_id: str):
    from pipeline.web.client import CrawlPolicy

    web = _Section("web", WEB_SETTINGS)
    contact = web.text("contact")
    if not re.fullmatch(r"[ -~]{0,200}", contact) or set("()") & set(contact):
        raise web.wrong("contact", "plain letters without brackets")
    about = ["dataset builder"] + ([f"contact: {contact}"] if contact else [])
    if user_id:  # Danbooru asks programs to name their user
        if not user_id.isdigit():
            raise section.wrong("user_id", "a number")
        about.append(f"user #{user_id}")
    named = (section.text(name) for name in ("base_url", "file_base_url"))
    return CrawlPolicy(
        rate=section.number("rate", rate, least=0),
        about="; ".join(about),
        local_hosts=frozenset(urlsplit(url).netloc for url in named if url),
        backoff=web.number("backoff", CrawlPolicy.backoff, least=0),
        page_seconds=web.number("page_seconds", CrawlPolicy.page_seconds, least=1),
        file_seconds=web.number("file_seconds", CrawlPolicy.file_seconds, least=1),
        file_bytes=int(web.number("file_megabytes", CrawlPolicy.file_bytes / 1e6, least=0.001) * 1e6),
    )


class _Section:
    """One section of luigi.cfg. Unknown options and invalid values raise UserError."""

    def __init__(self, name: str, options: tuple[str, ...]):
        self.name = name
        config = get_config()
        self._values = {key: config.get(name, key, "", raw=True) for key in options}  # a key may hold % and ${…}
        known = set(config[name]) - set(config.defaults()) if config.has_section(name) else set()
        for key in sorted(known - set(options)):
            raise UserError(f"[{name}] of luigi.cfg", f"{key} is no setting", " ".join(options), "correct it")

    def text(self, key: str) -> str:
        """Return the option as it is; empty if it is not set."""
        return self._values[key].strip()

    def key(self, name: str) -> str:
        """Return one of the user's keys, which no output may contain, not even an error."""
        redaction.register([self.text(name)])
        if not re.fullmatch("[!-~]+", self.text(name)):
            found = f"{name} has blanks, or characters that no key has"
            raise UserError(f"[{self.name}] of luigi.cfg", found, "the key as the site gave it", "copy it again")
        return self.text(name)

    def option(self, name: str, default: str) -> str:
        """Return a source's own option: true or false if its default is one of them."""
        if default in _BOOLEANS:
            return self.one_of(name, (default, *(choice for choice in _BOOLEANS if choice != default)))
        return self.text(name) or default

    def url(self, key: str, default: str) -> str:
        """Return an http(s) address without a slash at its end."""
        from pipeline.urls import absolute_url

        url = self.text(key) or default
        if "@" in url:
            where, found = f"[{self.name}] of luigi.cfg", f"{key} holds a name or a password"
            raise UserError(where, found, "an address without them", "leave them out")
        if url and (absolute_url(url) is None or set("?#") & set(url)):
            raise self.wrong(key, "an http or https address")
        return url.rstrip("/")

    def number(self, key: str, default: float, *, least: float, most: float = 1e12) -> float:
        """Return the option as a number from `least` to `most`."""
        text = self.text(key)
        try:
            value = float(text) if text else default
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise self.wrong(key, f"a number, {least:g} or more")
        return value

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        """Return the option, which is one of `choices`; the first if it is not set."""
        text = self.text(key) or choices[0]
        if text not in choices:
            raise self.wrong(key, " or ".join(choices))
        return text

    def wrong(self, key: str, expected: str) -> UserError:
        """Return the error of an option with a value that is not expected."""
        return UserError(f"[{self.name}] of luigi.cfg", f"{key} = {self.text(key)[:100]}", expected, "correct it")
