"""Tags and names as people, sites and tools write them, in one spelling: `long_hair`."""

import contextlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from posixpath import dirname

MAX_TAGS = 500  # of one picture
MAX_TEXT = 2000  # characters
MAX_DEPTH = 4  # of lists and mappings of tags
ARTIST_NAMESPACES = ("artist", "creator", "mangaka", "illustrator")  # before a colon in a tag


def artist_of_tag(tag: str) -> str | None:
    """Return the name in `creator:somebody`; None for other tags."""
    namespace, _, name = tag.partition(":")
    return name.lstrip("_") or None if namespace.lower() in ARTIST_NAMESPACES else None


def strings_in(value: object, depth: int) -> Iterator[str]:
    """Yield the strings of a value, of lists and of lists that are written as text."""
    if isinstance(value, str):
        items = list_items(value)
        yield from [value] if items is None else items
    elif isinstance(value, (list, tuple)) and depth:
        for item in value:
            yield from strings_in(item, depth - 1)


def parse_tags(value: object, depth: int) -> Iterator[str]:
    """Yield the tags of a value: besides what `split_tags` reads, lists as text, lists of mappings with a name,
    mappings of lists, and a tag or a caption on each line."""
    if isinstance(value, str):
        items = list_items(value)
        yield from _tags_of_text(value) if items is None else filter(None, map(normal_tag, items))
    elif isinstance(value, dict) and depth:
        of_kinds = [item for item in value.values() if isinstance(item, (list, dict))]
        if of_kinds:
            for item in of_kinds:
                yield from parse_tags(item, depth - 1)
        else:  # each with its score
            yield from split_tags(value)
    elif isinstance(value, (list, tuple)) and depth:
        for item in value:
            name = item.get("name", item.get("tag")) if isinstance(item, dict) else item
            if isinstance(name, str):
                yield from _tags_of_line(name, is_one=True)
            else:
                yield from parse_tags(name, depth - 1)


def _tags_of_text(text: str) -> Iterator[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines:
        yield from _tags_of_line(line, is_one=len(lines) > 1)


def _tags_of_line(line: str, *, is_one: bool) -> Iterable[str]:
    """Return the tags of a line. `is_one`: whether one without commas is one tag, blanks and all, not several."""
    parts = _parted(line)
    if not parts and not is_prose(line):
        is_one = is_one and not ("_" in line and len(line.split()) > 1)
        return filter(None, [normal_tag(line)] if is_one else split_tags(line))
    tags = (_words(part) if is_prose(part) else [normal_tag(part)] for part in parts or [line])
    return filter(None, chain.from_iterable(tags))


_MARKS = (re.compile("[,，、]"), re.compile(r"(?<=\w);(?=\s|$)"))
_MAY_BE_PARTED = re.compile("[,，、;]")


def _parted(line: str) -> list[str]:
    """Return the parts of a line with commas, or with semicolons that are not part of a smiley; none without."""
    if not _MAY_BE_PARTED.search(line):
        return []
    return next((parts for mark in _MARKS if len(parts := mark.split(line)) > 1), [])


_MIN_PROSE = 4  # words
_OF_SENTENCES = frozenset("a an the is are was were he she they his her their this that".split())


def is_prose(line: str) -> bool:
    """Return whether a line is probably a sentence and not a tag: only sentences have articles."""
    if len(line.split()) < _MIN_PROSE:  # so are most tags: no part of it has more words
        return False
    part = max(_parted(line) or [line], key=lambda part: len(part.split()))
    words = part.lower().split()
    is_long = len(words) >= _MIN_PROSE and "_" not in line
    return is_long and (line.rstrip().endswith(".") or not _OF_SENTENCES.isdisjoint(words))


def _words(line: str) -> Iterator[str]:
    words = (normal_tag(word.strip(".!?\"'()")) for word in line.split())
    yield from (word for word in words if word and word not in _OF_SENTENCES)


_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)


# Each alternative begins with another character, so that no text takes more than a few looks at each of its own.
_QUOTED_LIST = re.compile(rf"""(?:[\s,:.()\de+-]|{_QUOTED.pattern})*""", re.DOTALL)
_LIST = re.compile(r"([\[{(])(.*)[\])}]", re.DOTALL)
_ARRAY = re.compile(r"(?:np\.)?array\((.*?)(?:,\s*dtype=[\w.<>']{1,20})?\)", re.DOTALL)


def list_items(text: str) -> list[str] | None:
    """Return the items of a list that is written as text: as JSON, as Python or NumPy prints it, or without quotes;
    None if the text is no list."""
    text = text.strip()
    if text[:5].lower() in ("nan", "none", "null"):
        return []
    if not text.endswith(("]", "}", ")")):
        return None
    if array := _ARRAY.fullmatch(text):
        text = array[1].strip()
    inner = _LIST.fullmatch(text)
    if inner is None:
        return None
    with contextlib.suppress(ValueError, RecursionError):  # not JSON: Python's form, or a plain list
        return list(islice(_leaves(json.loads(text), MAX_DEPTH), 10 * MAX_TAGS))
    if _QUOTED_LIST.fullmatch(inner[2]):
        return [re.sub(r"\\(.)", r"\1", first or second) for first, second in _QUOTED.findall(inner[2])]
    is_plain = inner[1] == "[" and not re.search(r"[\[\]'\"]", inner[2])
    return [part.strip() for part in inner[2].split(",")] if is_plain else None


def _leaves(value: object, depth: int) -> Iterator[str]:
    """Yield the strings of a JSON list, and the keys of a mapping with scores."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and not any(isinstance(item, (list, dict)) for item in value.values()):
        yield from [str(value["name"])] if isinstance(value.get("name"), str) else value
    elif isinstance(value, (list, dict)) and depth:
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item, depth - 1)


def one_line(value) -> str | None:
    """Return one line of text from a string, a list of strings, or a mapping with a name; None without text."""
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, list):
        value = ", ".join(item for item in value if isinstance(item, str))
    if not isinstance(value, str):
        return None
    return encodable(" ".join(value.split()))[:MAX_TEXT] or None


def split_tags(value) -> list[str]:
    """Return lower_case_tags from a list, a mapping from tag to score, or a string, which is split at commas if it has
    any and at blanks if not."""
    if isinstance(value, str):
        value = value.split(",") if "," in value else value.split()
    if not isinstance(value, (list, tuple, dict)):
        return []
    tags = (normal_tag(tag) for tag in value if isinstance(tag, str))
    return [tag for tag in tags if tag]


_ESCAPED = re.compile(r"\\([()])")


def normal_tag(tag: str) -> str:
    r"""Return a tag in one spelling: `Long Hair ` -> `long_hair`; kohya's `saber \(fate\)` -> `saber_(fate)`."""
    plain = _ESCAPED.sub(r"\1", tag) if "\\" in tag else tag
    return sys.intern(encodable("_".join(plain.lower().split()))[:200])


def encodable(text: str) -> str:
    """Return the text without lone surrogates, which JSON and file names can hold and a manifest cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


_SPLIT_FOLDERS = {"train", "val", "valid", "validation", "test", "images", "data"}


def folder_tags(path: str) -> list[str]:
    """Return the names of class folders as tags: `yuno` of `yuno/001.png`, and of kohya's `10_yuno/001.png`; names of
    splits are no classes."""
    names = [re.sub(r"^\d+_", "", name) for name in dirname(path).split("/") if name]
    tags = (normal_tag(name) for name in names if name.lower() not in _SPLIT_FOLDERS)
    return [tag for tag in tags if tag]
