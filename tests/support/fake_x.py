"""X's API v2, as far as an account's pictures go, below site.url + "/x"; part of stand_in.

The n-th tweet of an account, from 0, is a row of KINDS by n % 10. site.billed holds what was paid for: each post and
user once, as X bills what is read again within a day. Names of what may be asked are checked as X does.
"""

import io
import math
import re
import time
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from PIL import Image

from tests.support.fake_site import FAULTS, MISSING, ROUTES, Call, FakeSite, Reply, as_file, as_json, saved

# name: (id, what is odd about it); how many tweets there are says site.tweets
USERS = {
    "tester_art": ("100200300", ""),
    "second_art": ("100200301", ""),
    "quiet_art": ("100200302", ""),
    "locked_art": ("100200303", "protected"),
    "banned_art": ("100200304", "suspended"),
}
KINDS: tuple[tuple[str, ...], ...] = (
    ("photo",),
    ("photo",) * 4,
    (),
    ("video",),
    ("photo", "photo"),
    ("animated_gif",),
    ("photo", "video"),
    ("retweet",),
    ("withheld",),
    ("reply", "photo"),
)
PREFIXES = {"photo": "3", "withheld": "3", "video": "13", "animated_gif": "16"}
RECENT = 120  # so many of an account's newest tweets are of the last seven days
SIZES = {"orig": 4096, "4096x4096": 4096, "large": 2048, "medium": 1200, "small": 680, "thumb": 150}
FIELDS = {
    "tweet.fields": "id text edit_history_tweet_ids attachments author_id created_at lang possibly_sensitive "
    "public_metrics referenced_tweets source entities",
    "user.fields": "id name username protected public_metrics created_at description url verified",
    "media.fields": "media_key type url width height alt_text preview_image_url variants duration_ms public_metrics",
    "expansions": "attachments.media_keys author_id referenced_tweets.id",
    "exclude": "retweets replies",
}
HIDES = {"retweets": "retweet", "replies": "reply"}  # what `exclude` says: the kind
LISTING = "max_results since_id until_id start_time end_time tweet.fields user.fields media.fields expansions".split()
TYPE = "https://api.x.com/2/problems/"


class Tweet(NamedTuple):
    name: str
    n: int

    @property
    def id(self) -> int:
        return 1_900_000_000_000_000_000 + self.n * 1_000_000 + int(USERS[self.name][0]) % 1000 * 1000

    kinds = property(lambda tweet: KINDS[tweet.n % 10])

    @property
    def created_at(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(1_790_000_000 + self.n * 3600))

    @property
    def media(self) -> dict[str, tuple[str, int]]:
        """By media key: the kind, and the number of its picture."""
        first = int(USERS[self.name][0]) % 1000 * 10_000 + self.n * 4
        kinds = [kind for kind in self.kinds if kind in PREFIXES]
        return {f"{PREFIXES[kind]}_{self.id + 1 + k}": (kind, first + k) for k, kind in enumerate(kinds)}


def tweets_of(site: FakeSite, name: str) -> list[Tweet]:
    """Newest first."""
    return [Tweet(name, n) for n in reversed(range(site.tweets.get(name, 0)))]


def original(site: FakeSite, number: int) -> bytes:
    """A JPEG, whatever it was: the site makes its own."""
    data = site.picture(number)
    return data if data[:2] == b"\xff\xd8" else saved(Image.open(io.BytesIO(data)).convert("RGB"), "JPEG")


def media_file(site: FakeSite, call: Call, number: str, extension: str | None) -> Reply:
    """Of every tenth picture from the fifth on, the host no longer has the largest sizes."""
    size = call.requested.get("name", "medium")
    is_gone = int(number) % 10 == 4 and SIZES.get(size) == 4096
    if (extension or call.requested.get("format")) != "jpg" or size not in SIZES or is_gone:
        return MISSING
    data = original(site, int(number))
    if size != "orig":
        image = Image.open(io.BytesIO(data))
        image.thumbnail((SIZES[size],) * 2)
        data = saved(image, "JPEG")
    return as_file(data)


def headed(site: FakeSite, reply: Reply, remaining: int | None = None, reset: float = 900) -> Reply:
    """With what stands on every answer but a 401."""
    limits = {
        "x-rate-limit-limit": "10000",
        "x-rate-limit-remaining": str(10_000 - len(site.log) if remaining is None else remaining),
        "x-rate-limit-reset": str(math.ceil(time.time() + reset)),
    }
    return replace(reply, headers=reply.headers | limits | {"x-access-level": "read", "api-version": "2.167"})


def invalid(site: FakeSite, name: str, value: str, words: str = "is not valid", subject: str = "") -> Reply:
    message = subject or f"The `{name}` query parameter value [{value}]"
    errors = [{"parameters": {name: [value]}, "message": f"{message} {words}"}]
    detail = "One or more parameters to your request was invalid."
    body = {"errors": errors, "title": "Invalid Request", "detail": detail, "type": f"{TYPE}invalid-request"}
    return headed(site, as_json(body, 400))


def no_user(site: FakeSite, parameter: str, value: str, is_suspended: bool = False) -> Reply:
    """The status is 200 all the same."""
    found = "User has been suspended" if is_suspended else f"Could not find user with {parameter}"
    error = {
        "value": value,
        "detail": f"{found}: [{value}].",
        "title": "Forbidden" if is_suspended else "Not Found Error",
        "resource_type": "user",
        "parameter": parameter,
        "resource_id": value,
        "type": f"{TYPE}resource-not-found",
    }
    return headed(site, as_json({"errors": [error]}))


def refusal(site: FakeSite, call: Call, known: tuple[str, ...], least: int = 1) -> Reply | None:
    """What is wrong with a request, if anything is."""
    if call.headers.get("authorization") != f"Bearer {site.bearer}":
        return as_json({"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}, 401)
    for name, value in call.requested.items():
        if name not in known:
            return invalid(site, name, value, f"is not one of [{','.join(known)}]", f"The query parameter [{name}]")
        names = FIELDS[name].split() if name in FIELDS else value.split(",")
        if not set(value.split(",")) <= set(names):
            return invalid(site, name, value, f"is not one of [{','.join(names)}]")
        if name.endswith(("_id", "max_results")) and not value.isdigit():
            return invalid(site, name, value)
    most = call.requested.get("max_results", "10")
    return None if least <= int(most) <= 100 else invalid(site, "max_results", most, f"is not between {least} and 100")


def requested_fields(call: Call, name: str, always: str) -> set[str]:
    return {*always.split(), *call.requested.get(name, "").split(",")}


def user_item(call: Call, name: str) -> dict[str, Any]:
    item = {"id": USERS[name][0], "name": name.title(), "username": name, "protected": USERS[name][1] == "protected"}
    wanted = requested_fields(call, "user.fields", "id name username")
    return {field: value for field, value in item.items() if field in wanted}


def tweet_item(call: Call, tweet: Tweet) -> dict[str, Any]:
    item = {
        "id": str(tweet.id),
        "text": f"Tweet {tweet.n} #drawing https://t.co/x{tweet.n}",
        "lang": "ja",
        "edit_history_tweet_ids": [str(tweet.id)],
        "author_id": USERS[tweet.name][0],
        "created_at": tweet.created_at,
        "possibly_sensitive": tweet.n % 7 == 1,
    }
    item |= {"attachments": {"media_keys": list(tweet.media)}} if tweet.media else {}
    item |= {"referenced_tweets": [{"type": "retweeted", "id": "1"}]} if "retweet" in tweet.kinds else {}
    wanted = requested_fields(call, "tweet.fields", "id text edit_history_tweet_ids")
    wanted |= {name.partition(".")[0] for name in call.requested.get("expansions", "").split(",")}
    return {field: value for field, value in item.items() if field in wanted}


def media_item(site: FakeSite, call: Call, key: str, kind: str, number: int) -> dict[str, Any]:
    """Photos have a `url`; the others a picture to be shown before they play, and what plays."""
    width, height = Image.open(io.BytesIO(original(site, number))).size
    item: dict[str, Any] = {"media_key": key, "type": kind, "width": width, "height": height}
    name, base = f"Gdfc{number:07d}XAAA", f"http://{call.headers.get('host', '')}/x"
    variants = [
        {"content_type": "application/x-mpegURL", "url": f"{base}/video/{name}/pl/a.m3u8"},
        {"bit_rate": 2176000, "content_type": "video/mp4", "url": f"{base}/video/{name}/b.mp4?tag=16"},
    ]
    item |= {
        "photo": {"url": f"{base}/media/{name}.jpg", "alt_text": f"Picture {number}"},
        "video": {
            "preview_image_url": f"{base}/amplify_video_thumb/{key[3:]}/img/{name}.jpg",
            "variants": variants,
            "duration_ms": 12_000,
        },
        "animated_gif": {
            "preview_image_url": f"{base}/tweet_video_thumb/{name}.jpg",
            "variants": [variants[1] | {"bit_rate": 0}],
        },
    }[kind]
    wanted = requested_fields(call, "media.fields", "media_key type")
    return {field: value for field, value in item.items() if field in wanted}


def user(site: FakeSite, call: Call, name: str) -> Reply:
    wrong = refusal(site, call, ("user.fields", "tweet.fields", "expansions"))
    if wrong:
        return wrong
    if not re.fullmatch("[A-Za-z0-9_]{1,15}", name):
        return invalid(site, "username", name, "does not match ^[A-Za-z0-9_]{1,15}$")
    odd = USERS.get(name, ("", "missing"))[1]
    if odd in ("missing", "suspended"):
        return no_user(site, "username", name, odd == "suspended")
    item = user_item(call, name)
    return replace(headed(site, as_json({"data": item})), on_sent=lambda: site.billed.add(("user", item["id"])))


def page(site: FakeSite, call: Call, tweets: list[Tweet], is_hidden, token: str) -> Reply:
    """`is_hidden`: tells tweets that are counted on a page and not shown. The second page of every walk is empty, and
    not the last."""
    match = re.fullmatch(r"7140([ef])(\d+)zpart", call.requested.get(token, "7140f0zpart"))
    if not match:
        return invalid(site, token, call.requested[token])
    since, until = int(call.requested.get("since_id", 0)), int(call.requested.get("until_id", 2**63))
    first, last = call.requested.get("start_time", ""), call.requested.get("end_time", "9")
    tweets = [each for each in tweets if since < each.id < until and first <= each.created_at < last]
    start, is_empty = int(match[2]), match[1] == "e"
    stop = start if is_empty else start + int(call.requested.get("max_results", 10))
    shown = [] if call.is_empty else [each for each in tweets[start:stop] if not is_hidden(each)]
    items = [tweet_item(call, each) for each in shown]
    media = [(key, *what) for each in shown for key, what in each.media.items() if what[0] != "withheld"]
    includes = {
        "author_id": ("users", [user_item(call, name) for name in dict.fromkeys(each.name for each in shown)]),
        "attachments.media_keys": ("media", [media_item(site, call, *each) for each in media]),
    }
    includes = dict(includes[name] for name in call.requested.get("expansions", "").split(",") if name in includes)
    includes = {name: found for name, found in includes.items() if found}
    answer = ({"data": items} if items else {}) | ({"includes": includes} if includes else {})
    answer["meta"] = {"result_count": len(items)}
    if items:
        answer["meta"] |= {"newest_id": items[0]["id"], "oldest_id": items[-1]["id"]}
    if stop < len(tweets):
        answer["meta"]["next_token"] = f"7140{'f' if start or is_empty else 'e'}{stop}zpart"
    read = [("post", item["id"]) for item in items] + [("user", item["id"]) for item in includes.get("users", [])]
    return replace(headed(site, as_json(answer)), on_sent=lambda: site.billed.update(read))


def timeline(site: FakeSite, call: Call, user_id: str) -> Reply:
    wrong = refusal(site, call, (*LISTING, "exclude", "pagination_token"), least=5)
    names = {number: name for name, (number, odd) in USERS.items() if odd != "suspended"}
    if wrong or user_id not in names:
        return wrong or no_user(site, "id", user_id)
    hidden = {HIDES.get(word) for word in call.requested.get("exclude", "").split(",")}
    tweets = [] if USERS[names[user_id]][1] else tweets_of(site, names[user_id])[:3200]
    return page(site, call, tweets, lambda tweet: not hidden.isdisjoint(tweet.kinds), "pagination_token")


WORDS = {
    "has:images": {"photo"},
    "has:videos": {"video"},
    "has:media": {"photo", "video", "animated_gif"},
    "is:retweet": {"retweet"},
    "is:reply": {"reply"},
}


def says(tweet: Tweet, word: str) -> bool:
    """Whether a word of a search is true of a tweet."""
    if word.startswith("-"):
        return not says(tweet, word[1:])
    kinds = WORDS.get(word)
    return not kinds.isdisjoint(tweet.kinds) if kinds else word in (f"from:{tweet.name}", "#drawing")


def search(site: FakeSite, call: Call) -> Reply:
    wrong = refusal(site, call, (*LISTING, "query", "next_token", "sort_order"), least=10)
    if wrong or not call.requested.get("query"):
        return wrong or invalid(site, "query", "", "can not be empty")
    recent = [tweet for name in site.tweets for tweet in tweets_of(site, name)[:RECENT]]
    found = [tweet for tweet in recent if all(says(tweet, word) for word in call.requested["query"].split())]
    found.sort(key=lambda tweet: -tweet.id)
    return page(site, call, found, lambda tweet: False, "next_token")


ROUTES |= {
    r"/x/2/users/by/username/([^/]+)": user,
    r"/x/2/users/(\d+)/tweets": timeline,
    r"/x/2/tweets/search/recent": search,
    r"/x/(?:media|tweet_video_thumb|amplify_video_thumb/\d+/img)/Gdfc(\d{7})XAAA(?:\.(\w+))?": media_file,
}


# ---- faults: problems instead of an answer

PROBLEMS = {
    "x_usage_cap": (
        429,
        {
            "account_id": 123,
            "product_name": "standard-basic",
            "title": "UsageCapExceeded",
            "period": "Monthly",
            "scope": "Product",
            "detail": "Usage cap exceeded: Monthly product cap",
            "type": "https://api.twitter.com/2/problems/usage-capped",
        },
    ),
    "x_payment": (
        402,
        {"title": "Payment Required", "status": 402, "detail": "credits depleted", "type": f"{TYPE}credits-depleted"},
    ),
    "x_forbidden": (
        403,
        {
            "title": "Client Forbidden",
            "reason": "client-not-enrolled",
            "client_id": "12345",
            "detail": "When authenticating requests, you must use keys of an App that is attached to a Project.",
            "required_enrollment": "Appropriate Level of API Access",
            "registration_url": "https://developer.x.com/",
            "type": f"{TYPE}client-forbidden",
        },
    ),
    "x_unavailable": (
        503,
        {"title": "Service Unavailable", "detail": "Service Unavailable", "type": "about:blank", "status": 503},
    ),
}


def problem(status: int, body: dict, handler, reply) -> Reply:
    return headed(handler.server, as_json(body, status))


def rate_limited(handler, reply, seconds: float = 900) -> Reply:
    """It says when to come back, and not by Retry-After."""
    body = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
    return headed(handler.server, as_json(body, 429), 0, seconds)


FAULTS |= {kind: partial(problem, *answer) for kind, answer in PROBLEMS.items()}
FAULTS["x_rate_limited"] = rate_limited
