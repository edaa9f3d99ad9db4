"""Hiding of keys: they are found in a text in any of their spellings, and replaced by HIDDEN."""

import base64
import functools
import html.entities
import re
from collections import defaultdict
from collections.abc import Iterable

HIDDEN = "…"
MIN_SECRET_LENGTH = 6  # characters; a shorter value cannot be distinguished from other text
_MAX_ESCAPES = 8  # backslashes before an escaped character; without a bound, a run of them takes quadratic time

_registered: set[str] = set()
_ENTITIES: dict[str, list[str]] = defaultdict(list)
for _name, _text in html.entities.html5.items():
    if _name.endswith(";"):
        _ENTITIES[_text].append(_name)


def register(secrets: Iterable[str]) -> None:
    """Add secrets that `hide` hides from now on, in any text."""
    _registered.update(secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH)


def basic_credentials(login: str, password: str) -> set[str]:
    """Return what HTTP's basic authentication makes of a login, in UTF-8 and in Latin-1, which requests sends, each in
    both alphabets of base64, without padding."""
    pairs = [f"{login}:{password}".encode(encoding, "replace") for encoding in ("utf-8", "latin-1")]
    alphabets = (base64.b64encode, base64.urlsafe_b64encode)
    return {encode(pair).decode().rstrip("=") for pair in pairs for encode in alphabets}


def hide(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without the secrets, and without those that are remembered."""
    pattern = _pattern(frozenset(secrets) | _registered)
    return pattern.sub(HIDDEN, text) if pattern else text


def hide_in_bytes(data: bytes, secrets: Iterable[str]) -> bytes:
    """Return the data, in an encoding that extends ASCII, without the secrets."""
    pattern = _bytes_pattern(frozenset(secrets))
    return pattern.sub(HIDDEN.encode(), data) if pattern else data


@functools.lru_cache(maxsize=16)
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    longest_first = sorted((secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH), key=len, reverse=True)
    if not longest_first:
        return None
    starts = re.escape("".join(sorted({secret[0] for secret in longest_first})))
    parts = (re.findall(r"\\*[^\\]|\\+", secret) for secret in longest_first)
    alternatives = "|".join("".join(map(_spellings, each)) for each in parts)
    return re.compile(rf"(?=[+%&\\{starts}])(?:{alternatives})", re.IGNORECASE)  # five times as fast as without a look


@functools.lru_cache(maxsize=16)
def _bytes_pattern(secrets: frozenset[str]) -> re.Pattern[bytes] | None:
    pattern = _pattern(secrets)
    return re.compile(pattern.pattern.encode("utf-8", "surrogatepass"), re.IGNORECASE) if pattern else None


@functools.cache
def _spellings(part: str) -> str:
    """Return a regular expression of a character and the backslashes before it, each as it is, percent-encoded, as a
    reference of HTML, or escaped as in JSON; also more than once."""
    character, backslashes = part[-1], len(part) - 1
    whole, escaped = "|".join(_encoded(character)), "|".join(_escaped(character))
    if not backslashes:
        return rf"(?:{whole}|\\{{1,{_MAX_ESCAPES}}}(?:{escaped}))"
    run = f"(?:{'|'.join(_encoded(chr(92)))}){{{backslashes},{_MAX_ESCAPES * (backslashes + 1)}}}"
    return f"{run}(?:{whole}|{escaped})"


def _encoded(character: str) -> list[str]:
    """Return regular expressions of a character as it is, percent-encoded, and as a reference of HTML."""
    code = ord(character)
    forms = {character.encode("utf-8", "surrogatepass"), character.encode("latin-1", "ignore")} - {b""}
    percent = ["".join(f"%(?:25)*{byte:02x}" for byte in form) for form in sorted(forms)]
    blank = _encoded("+") if character == " " else []
    names = [f"&{name}" for name in _ENTITIES.get(character, ())]
    return [re.escape(character), *percent, *blank, f"&#0*{code};?", f"&#x0*{code:x};?", *names]


def _escaped(character: str) -> list[str]:
    """Return regular expressions of what follows the first backslash of a character that is escaped as in JSON."""
    units = re.findall("....", character.encode("utf-16-be", "surrogatepass").hex())
    codes = [rf"\\{{1,{_MAX_ESCAPES}}}".join(f"u{unit}" for unit in units), f"x{ord(character):02x}"]
    return codes if character.isalnum() else [*codes, re.escape(character)]
