"""Tables in CSV, JSON Lines and Parquet, row by row and within bounds of memory."""

import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any

MAX_TABLE_BYTES = 200 << 20
MAX_ROW = 1 << 18  # characters of a table's row
MAX_BATCH = 32 << 20  # bytes that are taken from a Parquet file at a time
MAX_COLUMNS = 10_000  # of a Parquet file, nested ones counted

# What parsers raise: Arrow's and JSON's errors are ValueErrors, a date out of range an OverflowError.
DAMAGE = (ValueError, ArithmeticError, RecursionError, csv.Error, OSError, NotImplementedError)


def csv_rows(data: bytes, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its last line, cells) of each row. Raise csv.Error, and ValueError for a row of more than
    MAX_ROW characters."""
    file = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := file.readline(MAX_ROW + 1):
            size += len(line)
            if size > MAX_ROW:
                raise ValueError(f"a row of more than {MAX_ROW:,} characters")
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    try:
        for cells in reader:
            size = 0
            yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def row_of(header: Iterable[str], cells: Iterable) -> dict:
    """Return a row as name -> cell. If several columns have the same name, the first non-empty cell is kept."""
    row: dict = {}
    for name, cell in zip(header, cells, strict=False):
        if row.get(name) in (None, ""):
            row[name] = cell
    return row


def jsonl_rows(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (line number, value) of each line that is not empty: a mapping with its keys in lower case, another value,
    or a ValueError, which names the line, in place of one that cannot be read."""
    for number, line in enumerate(io.BytesIO(data), 1):
        value: Any = None
        try:
            if len(line) > MAX_ROW:
                raise ValueError(f"more than {MAX_ROW:,} bytes")
            if not (text := line.decode("utf-8-sig" if number == 1 else "utf-8").strip()):
                continue
            value = json.loads(text)
        except UnicodeDecodeError:
            value = ValueError(f"line {number}: no UTF-8")
        except (ValueError, RecursionError) as error:
            value = ValueError(f"line {number}: {error}")
        yield number, row_of(map(str.lower, value), value.values()) if isinstance(value, dict) else value


def parquet_rows(data: bytes, wanted: Collection[str]) -> Iterator[dict]:
    """Yield each row as lower-case column name -> value, with the wanted columns that exist. Raise ValueError,
    OSError."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data), thrift_container_size_limit=MAX_COLUMNS)
    groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
    columns = [name for name in dict.fromkeys(file.schema_arrow.names) if name.lower() in wanted]
    size = sum(group.total_byte_size for group in groups)
    if size <= MAX_TABLE_BYTES:
        # No cell is larger than its row group, so `count` rows fit, even if all repeat one entry of a dictionary.
        count = max(4, min(1024, MAX_BATCH // max(1, *(group.total_byte_size for group in groups), 1)))
        size = 0  # measured from here on: the stated size may be wrong
        for batch in file.iter_batches(count, columns=columns):
            size += batch.nbytes + 1000 * len(batch)  # a dict's own room
            if size > MAX_TABLE_BYTES:
                break
            names = [name.lower() for name in batch.schema.names]
            yield from (row_of(names, row) for row in zip(*(each.to_pylist() for each in batch.columns), strict=True))
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"more than {MAX_TABLE_BYTES:,} bytes when unpacked")
