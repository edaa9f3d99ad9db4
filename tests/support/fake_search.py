"""Searches for pictures, part of stand_in: Google's below site.url + "/cse", Openverse's below "/openverse".

The i-th hit, from 1, is "/many/i.jpg". A query with "nothing" in it has no hits, one with "few" some.
"""

import hashlib
import io
import math
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from PIL import Image

from tests.support.fake_site import FAULTS, ROUTES, Call, FakeSite, Reply, as_json, type_of

FEW = 13


def hits(call: Call, all_of_them: int) -> int:
    """How many hits a query has."""
    text = call.requested.get("q", "")
    return 0 if "nothing" in text or call.is_empty else FEW if "few" in text else all_of_them


def host(call: Call) -> str:
    return f"http://{call.headers.get('host', '')}"


def sized(site: FakeSite, number: int) -> dict[str, Any]:
    width, height = Image.open(io.BytesIO(data := site.picture(number))).size
    return {"width": width, "height": height, "bytes": len(data), "type": type_of(data)}


# ---- Google

INVALID = "Request contains an invalid argument."
PER_PROJECT = "of service 'customsearch.googleapis.com' for consumer 'project_number:123'."
NOT_ENABLED = (
    "Custom Search API has not been used in project 123 before or it is disabled. Enable it by visiting "
    "https://console.developers.google.com/apis/api/customsearch.googleapis.com/overview?project=123 then retry."
)
ANONYMOUS = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
    "form of API consumer identity to call this API."
)


def google_error(code: int, message: str, reason: str, status: str, info: str = "") -> Reply:
    """`info`: the reason as newer answers give it."""
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
        "status": status,
    }
    if info:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        error["details"] = [{"@type": kind, "reason": info, "domain": "googleapis.com"}]
    return as_json({"error": error}, code)


def google_quota(limit: str) -> Reply:
    message = f"Quota exceeded for quota metric 'Queries' and limit '{limit}' {PER_PROJECT}"
    return google_error(429, message, "rateLimitExceeded", "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")


def google_item(site: FakeSite, call: Call, number: int) -> dict[str, Any]:
    """Of every sixth, Google does not know the kind of file."""
    about, page = sized(site, number), f"{host(call)}/gallery/page1.html"
    mime = "image/" if number % 6 == 0 else about["type"]
    item = {
        "kind": "customsearch#result",
        "title": f"Picture {number}",
        "htmlTitle": f"<b>Picture</b> {number}",
        "link": page,
        "displayLink": host(call).removeprefix("http://"),
        "snippet": f"Picture {number}",
        "htmlSnippet": f"<b>Picture</b> {number}",
    }
    if call.requested.get("searchType") != "image":
        return item
    image = {
        "contextLink": page,
        "height": about["height"],
        "width": about["width"],
        "byteSize": about["bytes"],
        "thumbnailLink": f"{host(call)}/many/{number}.jpg?thumbnail",
        "thumbnailHeight": 75,
        "thumbnailWidth": 75,
    }
    return item | {"link": f"{host(call)}/many/{number}.jpg", "mime": mime, "fileFormat": mime, "image": image}


def google(site: FakeSite, call: Call) -> Reply:
    """Of any number of hits it shows a hundred; where the next page would begin it says all the same."""
    requested = call.requested
    if "key" not in requested:
        return google_error(403, ANONYMOUS, "forbidden", "PERMISSION_DENIED")
    if requested["key"] != site.cse_key:
        message = "API key not valid. Please pass a valid API key."
        return google_error(400, message, "badRequest", "INVALID_ARGUMENT", "API_KEY_INVALID")
    num, start = requested.get("num", "10"), requested.get("start", "1")
    is_number = num.isdigit() and start.isdigit()
    if not (is_number and requested.get("q") and requested.get("cx") and 1 <= int(num) <= 10 and 1 <= int(start) <= 91):
        return google_error(400, INVALID, "badRequest", "INVALID_ARGUMENT")
    num, start, total = int(num), int(start), hits(call, 385_000)
    shown = range(start, min(start + num, total + 1, 101))

    def query(start: int) -> list[dict[str, Any]]:
        return [
            {
                "title": f"Google Custom Search - {requested['q']}",
                "totalResults": str(total),
                "searchTerms": requested["q"],
                "count": num,
                "startIndex": start,
                "inputEncoding": "utf8",
                "outputEncoding": "utf8",
                "safe": requested.get("safe", "off"),
                "cx": requested["cx"],
            }
            | ({"searchType": requested["searchType"]} if "searchType" in requested else {})
        ]

    queries = {"request": query(start)}
    queries |= {"previousPage": query(max(1, start - num))} if start > 1 else {}
    queries |= {"nextPage": query(start + num)} if start + num <= total else {}
    template = f"{host(call)}/customsearch/v1?q={{searchTerms}}&num={{count?}}&start={{startIndex?}}&alt=json"
    answer = {
        "kind": "customsearch#search",
        "url": {"type": "application/json", "template": template},
        "queries": queries,
        "context": {"title": "Pictures"},
        "searchInformation": {
            "searchTime": 0.43,
            "formattedSearchTime": "0.43",
            "totalResults": str(total),
            "formattedTotalResults": f"{total:,}",
        },
    }
    return as_json(answer | ({"items": [google_item(site, call, number) for number in shown]} if shown else {}))


# ---- Openverse: as its pages say and its answers of 2026 are quoted

LICENSES = ("by", "by-sa", "cc0", "pdm", "by-nc", "by-nc-nd")  # by the number of a hit
ALL_LICENSES = {*LICENSES, "by-nd", "by-nc-sa", "sampling+", "nc-sampling+"}
PLACES = {"cc0": "publicdomain/zero/1.0/", "pdm": "publicdomain/mark/1.0/"}  # the others: licenses/NAME/4.0/
DEPTH = 240  # hits that anybody is shown
LIMITS = {
    "anonymous": ("anon", 20, ("20/min", "200/day")),
    "authenticated": ("oauth2_client_credentials", 50, ("100/min", "10000/day")),
}


def openverse_item(call: Call, about: dict[str, Any], number: int) -> dict[str, Any]:
    """What may be null is so for some."""
    license, version = LICENSES[number % 6], "4.0" if LICENSES[number % 6] not in PLACES else "1.0"
    url = f"https://creativecommons.org/{PLACES.get(license, f'licenses/{license}/4.0/')}"
    title, creator = f"Picture {number}", f"Creator {number % 5}"
    identifier = UUID(hashlib.md5(str(number).encode()).hexdigest(), version=4)
    detail, is_measured = f"{host(call)}/openverse/v1/images/{identifier}/", number % 3 == 0
    item = {
        "id": str(identifier),
        "title": title,
        "indexed_on": "2024-05-06T07:08:09Z",
        "foreign_landing_url": f"{host(call)}/gallery/page1.html?{urlencode({'picture': number})}",
        "url": f"{host(call)}/many/{number}.jpg",
        "creator": creator,
        "creator_url": "https://creator.example/",
        "license": license,
        "license_version": version,
        "license_url": url,
        "provider": "flickr",
        "source": "flickr",
        "category": "illustration",
        "filesize": about["bytes"] if is_measured else None,
        "filetype": about["type"].partition("/")[2].replace("jpeg", "jpg") if is_measured else None,
        "tags": [
            {"name": "anime", "accuracy": None, "unstable__provider": "flickr"},
            {"name": "Blue Hair", "accuracy": 0.93, "unstable__provider": "rekognition"},
        ],
        "attribution": f'"{title}" by {creator} is licensed under {license.upper()} {version}. See {url}.',
        "fields_matched": ["title"],
        "mature": number % 10 == 9,
        "height": about["height"],
        "width": about["width"],
        "thumbnail": f"{detail}thumb/",
        "detail_url": detail,
        "related_url": f"{detail}related/",
        "unstable__sensitivity": ["user_reported_sensitive"] if number % 10 == 9 else [],
    }
    empty = {5: ("height", "width"), 4: ("title",), 3: ("creator", "creator_url", "category")}.get(number % 7, ())
    return item | dict.fromkeys(empty)


def openverse(site: FakeSite, call: Call) -> Reply:
    requested = call.requested
    who = "authenticated" if call.headers.get("authorization", "").startswith("Bearer ") else "anonymous"
    scope, largest, (burst, sustained) = LIMITS[who]
    limits = {
        f"X-RateLimit-Limit-{scope}_burst": burst,
        f"X-RateLimit-Available-{scope}_burst": "19",
        f"X-RateLimit-Limit-{scope}_sustained": sustained,
        f"X-RateLimit-Available-{scope}_sustained": "199",
    }

    def refused(status: int, detail: object) -> Reply:
        return replace(as_json({"detail": detail}, status), headers=limits)

    for name in ("page", "page_size"):
        if not re.fullmatch("[1-9][0-9]*", requested.get(name, "1")):
            return refused(400, {name: ["Ensure this value is greater than or equal to 1."]})
    page, size = int(requested.get("page", 1)), int(requested.get("page_size", 20))
    licenses = requested.get("license", ",".join(LICENSES)).lower().split(",")
    unknown = next((license for license in licenses if license not in ALL_LICENSES), None)
    if unknown is not None:
        return refused(400, {"license": [f"License '{unknown}' does not exist."]})
    if size > largest:
        return refused(401, f"page_size may not exceed {largest} for {who} requests")
    if page * size > DEPTH:
        return refused(401, f"pagination depth may not exceed {DEPTH} for {who} requests")
    is_mature = requested.get("mature", "false").lower() in ("true", "1")
    numbers = [
        number
        for number in range(1, hits(call, 1000) + 1)
        if LICENSES[number % 6] in licenses and (is_mature or number % 10 != 9)
    ][:DEPTH]
    shown = numbers[(page - 1) * size : page * size]
    if page > 1 and not shown and not call.is_empty:
        return refused(404, "Invalid page.")
    answer = {
        "result_count": len(numbers),
        "page_count": math.ceil(len(numbers) / size),
        "page_size": size,
        "page": page,
        "results": [openverse_item(call, sized(site, number), number) for number in shown],
    }
    odd = set(requested.get("source", "flickr").split(",")) - {"flickr"}
    if odd:
        message = f"Sources list contains one or more invalid sources and they will be ignored: {sorted(odd)}"
        answer["warnings"] = [{"code": "partially invalid source parameter", "message": message}]
    return replace(as_json(answer), headers=limits)


def throttled(handler, reply, seconds: int = 2) -> Reply:
    detail = f"Request was throttled. Expected available in {seconds} seconds."
    return replace(as_json({"detail": detail}, 429), headers={"Retry-After": str(seconds)})


ROUTES |= {r"/cse/customsearch/v1": google, r"/openverse/v1/images/": openverse}
FAULTS |= {
    "cse_daily": lambda handler, reply: google_quota("Queries per day"),
    "cse_minute": lambda handler, reply: google_quota("Queries per minute per user"),
    "cse_forbidden": lambda handler, reply: google_error(
        403, NOT_ENABLED, "accessNotConfigured", "PERMISSION_DENIED", "SERVICE_DISABLED"
    ),
    "openverse_throttled": throttled,
}
