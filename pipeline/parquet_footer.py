"""Sizes of a Parquet file's column chunks and pages, as its metadata states them.

PyArrow gives those of chunks too, but certain damaged footers make `RowGroupMetaData.column` end the process by an
uncaught C++ exception. It trusts the sizes of pages without comparing them with the footer. The format:
https://github.com/apache/parquet-format, parquet.thrift, in Thrift's compact protocol.
"""

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

MAX_DEPTH = 16
PAGE_HEADER_BYTES = (256, 1 << 16)  # that are read of a page's header; more if they do not hold it

# Numbers of fields in parquet.thrift.
_FILE_ROW_GROUPS, _GROUP_COLUMNS, _CHUNK_METADATA = 4, 1, 3
_COLUMN_PATH, _COLUMN_VALUES, _COLUMN_UNCOMPRESSED, _COLUMN_COMPRESSED = 3, 5, 6, 7
_COLUMN_DATA_PAGES, _COLUMN_DICTIONARY_PAGE = 9, 11
_PAGE_UNCOMPRESSED, _PAGE_COMPRESSED = 2, 3


class Chunk(NamedTuple):
    """A column of a row group, as the footer describes it."""

    path: str
    values: int
    unpacked: int  # bytes
    start: int  # byte of the file at which its pages begin
    length: int  # bytes of its pages, as they are packed


def chunks(footer: bytes) -> Iterator[Chunk]:
    """Yield each column chunk. Raise ValueError unless the footer is one."""
    try:
        fields, _ = _value(footer, 0, _STRUCT, 0)
        for group in fields[_FILE_ROW_GROUPS]:
            for chunk in group[_GROUP_COLUMNS]:
                column = chunk[_CHUNK_METADATA]
                path = b".".join(column[_COLUMN_PATH]).decode()
                values, unpacked = int(column[_COLUMN_VALUES]), int(column[_COLUMN_UNCOMPRESSED])
                starts = (int(column.get(name) or 0) for name in (_COLUMN_DATA_PAGES, _COLUMN_DICTIONARY_PAGE))
                start = min(filter(None, starts), default=0)
                yield Chunk(path, values, unpacked, start, int(column[_COLUMN_COMPRESSED]))
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ValueError(f"its footer is damaged ({type(error).__name__})") from error


def unpacked_bytes(file: BinaryIO, chunk: Chunk) -> int:
    """Return how many bytes the pages of a chunk unpack to, by their headers. Raise ValueError if one is damaged."""
    at, total = chunk.start, 0
    while at < chunk.start + chunk.length:
        for limit in PAGE_HEADER_BYTES:
            file.seek(at)
            try:
                header, size = _value(file.read(limit), 0, _STRUCT, 0)
                unpacked, packed = int(header[_PAGE_UNCOMPRESSED]), int(header[_PAGE_COMPRESSED])
                break
            except (IndexError, KeyError, TypeError, struct.error) as error:
                failure = error
        else:
            raise ValueError(f"a page's header is damaged ({type(failure).__name__})")
        if min(unpacked, packed) < 0:
            raise ValueError("a page's header is damaged (a size)")
        total, at = total + unpacked, at + size + packed
    return total


# Kinds of values in the compact protocol.
_TRUE, _FALSE, _BYTE, _INTS, _DOUBLE, _BINARY, _LISTS, _STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at`, and where the next value begins. Raise ValueError if it is too long."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("its footer is damaged (a number)")


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """Return the value of that kind at `at`, structs as {number of the field: value}, and where the next begins."""
    if depth > MAX_DEPTH:
        raise ValueError("its footer is damaged (depth)")
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind == _BYTE:
        return data[at], at + 1
    if kind in _INTS:
        value, at = _varint(data, at)
        return (value >> 1) ^ -(value & 1), at
    if kind == _DOUBLE:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == _BINARY:
        size, at = _varint(data, at)
        if at + size > len(data):
            raise IndexError
        return data[at : at + size], at + size
    if kind in _LISTS:
        head, at = data[at], at + 1
        count, at = _varint(data, at) if head >> 4 == 15 else (head >> 4, at)
        items = []
        for _ in range(min(count, len(data))):  # each has a byte at least
            is_boolean = head & 15 in (_TRUE, _FALSE)  # which within a struct has none
            item, at = _value(data, at, _BYTE if is_boolean else head & 15, depth + 1)
            items.append(item)
        return items, at
    if kind == _STRUCT:
        fields, number = {}, 0
        while head := data[at]:
            at += 1
            if head >> 4:
                number += head >> 4
            else:
                jump, at = _varint(data, at)
                number = (jump >> 1) ^ -(jump & 1)
            fields[number], at = _value(data, at, head & 15, depth + 1)
        return fields, at + 1
    raise ValueError("its footer is damaged (a kind)")
