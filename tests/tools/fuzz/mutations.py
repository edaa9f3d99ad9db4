"""Random damage to bytes, text and JSON values; everything follows from the generator that is passed in."""

import copy
import json
from random import Random

ODD_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
ODD_VALUES = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    10**400,
    1e308,
    -0.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "x" * 5000,
    "é",
    "日本",
    "\u202egnp",
    "\x1b]0;owned\x07\x1b[2J",
    "a\0b",
    "a\nb",
    "\ud800",
    "../../x",
    "/etc/passwd",
    "<img src=x onerror=alert(1)>",
    "`x` [y](javascript:z) ![](z)",
    "| a | b |",
    "%s%n{0}${HOME}",
    "file:///etc/passwd",
    [],
    {},
    [[]],
    [None],
    ["a", 1, None],
    {"a": {"b": []}},
    [["x"] * 50] * 50,
)
ODD_TEXTS = (
    *(value for value in ODD_VALUES if isinstance(value, str)),
    "\ufeff",
    "\r",
    "\t",
    ",",
    '"',
    "'",
    "[" * 3000,
    "{" * 3000,
    "9" * 5000,
    "-1e999999",
    "nan",
    "null",
    "a," * 3000,
)


def damage_bytes(data: bytes, random: Random, times: int | None = None) -> bytes:
    """Return `data` after one to four random edits: bits, integers, ranges cut, doubled, moved or overwritten."""
    edited = bytearray(data)
    for _ in range(times or random.choice((1, 1, 2, 4))):
        if not edited:
            return bytes(random.randbytes(random.randrange(64)))
        start = random.randrange(len(edited))
        stop = min(len(edited), start + random.choice((1, 2, 4, 16, 256, len(edited))))
        edit = random.randrange(8)
        if edit == 0:
            edited[start] ^= 1 << random.randrange(8)
        elif edit == 1:
            width, order = random.choice((1, 2, 4)), random.choice(("big", "little"))
            edited[start : start + width] = (random.choice(ODD_INTEGERS) % 256**width).to_bytes(width, order)
        elif edit == 2:
            del edited[start:stop]
        elif edit == 3:
            edited[start:start] = edited[start:stop] * random.choice((1, 2, 50))
        elif edit == 4:
            edited[start:stop] = random.randbytes(stop - start)
        elif edit == 5:
            edited[start:stop] = bytes(stop - start)
        elif edit == 6:
            moved = bytes(edited[start:stop])
            del edited[start:stop]
            place = random.randrange(len(edited) + 1)
            edited[place:place] = moved
        else:
            del edited[start:]
        del edited[1 << 22 :]
    return bytes(edited)


def damage_text(text: str, random: Random) -> str:
    """Return `text` with one to three odd strings put in, or in the place of a piece of it."""
    for _ in range(random.choice((1, 1, 2, 3))):
        start = random.randrange(len(text) + 1)
        stop = min(len(text), start + random.choice((0, 0, 1, 5, 40)))
        text = text[:start] + random.choice(ODD_TEXTS) + text[stop:]
    return text


def damage_json(value: object, random: Random) -> object:
    """Return a copy of `value` in which one to three nodes are odd values, missing, renamed or nested."""
    value = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 2, 3))):
        holders = [node for node in _nodes(value) if isinstance(node, (dict, list)) and node]
        if not holders:
            return random.choice(ODD_VALUES)
        holder = random.choice(holders)
        key = random.choice(list(holder)) if isinstance(holder, dict) else random.randrange(len(holder))
        edit = random.randrange(5)
        if edit == 0:
            del holder[key]
        elif edit == 1:
            holder[key] = [holder[key]]
        elif edit == 2 and isinstance(holder, dict):
            holder[str(random.choice(ODD_TEXTS))[:100]] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(random.choice(ODD_VALUES))
    return value


def _nodes(value: object) -> list:
    """Return every dict and list within `value`, itself first; at most 1,000."""
    found = [value]
    for node in found:
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        found += [child for child in children if isinstance(child, (dict, list))]
        if len(found) > 1000:
            break
    return found


def dump(value: object) -> bytes:
    """Return `value` as JSON, with nan, infinities and lone surrogates as Python writes them."""
    return json.dumps(value).encode()
