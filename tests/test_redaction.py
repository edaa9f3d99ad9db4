"""Keys are found in every spelling, in time that grows with the text."""

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
import requests

from pipeline import redaction
from pipeline.redaction import HIDDEN, hide, hide_in_bytes


def parse_json_body(key: str, times: int = 1) -> str:
    for _ in range(times):
        key = json.dumps(key)[1:-1]
    return key


SPELLINGS = {
    "as it is": str,
    "percent-encoded": quote,
    "percent-encoded, + for a blank": quote_plus,
    "percent-encoded twice": lambda key: quote(quote_plus(key)),
    "JSON": parse_json_body,
    "JSON, letters as they are": lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
    "JSON twice": lambda key: parse_json_body(key, 2),
    "JSON three times": lambda key: parse_json_body(key, 3),
}


@pytest.mark.parametrize("key", ["pass word secret", "pässwörd-key", 'a\\b/c"d key', "秘密の鍵です。", "k😀e😀y+😀"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_hidden_in_every_spelling(key, spelling):
    text = f"key={SPELLINGS[spelling](key)}&page=2"
    assert hide(text, [key]) == f"key={HIDDEN}&page=2"
    assert hide_in_bytes(text.encode(), [key]) == f"key={HIDDEN}&page=2".encode()


@pytest.mark.parametrize(("login", "password"), [("somebody", "plain-key"), ("jörg", "pässwörd-key"), ("a", "ÿþ¿-÷÷")])
def test_basic_credentials_are_hidden_as_requests_sends_them_and_in_utf_8(login, password):
    request = requests.Request("GET", "https://a.test/", auth=(login, password)).prepare()
    sent = request.headers["Authorization"].removeprefix("Basic ")
    in_utf_8 = base64.b64encode(f"{login}:{password}".encode()).decode()
    for text in (sent, in_utf_8):
        assert hide(text, redaction.basic_credentials(login, password)).rstrip("=") == HIDDEN


@pytest.mark.parametrize("unit", ["\\", "\\" * 7 + "/", "%", "%25", "&#0", "\\u00", "+%2b", "abcdefgh1"])
def test_time_grows_with_the_text_alone(unit):
    data = (unit * (1 << 20))[: 1 << 20].encode()
    for key in ("abcdefgh12", "+ + + + x", "pässwörd-key"):
        start = time.process_time()
        assert hide_in_bytes(data, [key]) == data
        assert time.process_time() - start < 2
