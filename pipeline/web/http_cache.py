"""Stored answers, which are sent again only if they have changed (conditional GET)."""

import contextlib
import hashlib
import json
import os
import re
import threading
from pathlib import Path
from typing import cast

from pipeline.store import remove
from pipeline.stored import parse_json
from pipeline.web.messages import HttpRequest, HttpResponse
from pipeline.web.partial_file import VALIDATORS

_CONDITION_HEADERS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
_HEAD_SHAPE = [str, int, {str: str}]
_ONE_LINE = re.compile("[!-~][ -~]*")  # of ASCII; a header that was sent twice is two lines


class CachedResponse:
    """The stored answer to one request, in `folder`. Its name is a hash, which shows no secret."""

    def __init__(self, folder: Path, request: HttpRequest):
        request_key = json.dumps([request.url, request.secrets, request.login, request.bearer, request.cookie])
        self._file = folder / hashlib.sha256(request_key.encode()).hexdigest()[:32]
        self.answer: HttpResponse | None = None
        with contextlib.suppress(OSError, ValueError):  # none, or damaged: then it is asked for anew
            if self._file.is_file():
                head, _, data = self._file.read_bytes().partition(b"\n")
                url, status, headers = cast("tuple[str, int, dict[str, str]]", parse_json(head, _HEAD_SHAPE))
                self.answer = HttpResponse(url, status, headers, data)

    def condition_headers(self) -> dict[str, str]:
        """Return the headers with which the host need not send the answer again."""
        return _conditions(self.answer) if self.answer else {}

    def store(self, answer: HttpResponse) -> HttpResponse:
        """Store an answer that can be revalidated, and return it."""
        if answer.status == 200 and _conditions(answer):
            fresh = self._file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            fresh.write_bytes(json.dumps(answer[:-1]).encode() + b"\n" + answer.body)
            if not self._file.is_file():
                remove(self._file)
            os.replace(fresh, self._file)
        return answer


def _conditions(answer: HttpResponse) -> dict[str, str]:
    validators = {name: answer.headers.get(name, "") for name in VALIDATORS}
    return {_CONDITION_HEADERS[name]: value for name, value in validators.items() if _ONE_LINE.fullmatch(value)}
