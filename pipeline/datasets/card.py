"""The dataset card: README.md of a dataset, Markdown with the front matter that dataset hubs read."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from pipeline.datasets.kinds import Kind
from pipeline.funnel import REASONS
from pipeline.manifest import GENERATED_SOURCE, SPLITS
from pipeline.markup import code, escape_markdown, table_rows

MAX_ROWS = 200  # of a table that has a row for each text from elsewhere


def card(
    kind: Kind,
    table: pa.Table,
    funnel: pa.Table,
    originals: int,
    settings: dict[str, object],
    generators: Sequence[dict] = (),
) -> str:
    """Return the card. `originals` counts the pictures, or videos, that the build began with; `settings` are those of
    the build that change the result, without names and paths; `generators`: see `assemble.Build`."""
    pairs = zip(table[kind.original_column].to_pylist(), table["group"].to_pylist(), strict=True)
    groups = Counter(dict(pairs).values())
    joined = [size for size in groups.values() if size > 1]
    splits = Counter(table["split"].to_pylist())
    dropped = Counter(zip(funnel["stage"].to_pylist(), funnel["reason"].to_pylist(), strict=True))
    front = "\n".join(f"{key}: {value}" for key, value in kind.front.items())
    meanings = [escape_markdown((field.metadata or {}).get(b"meaning", b"").decode()) for field in kind.schema]
    types = [escape_markdown(str(field.type).replace(" not null", "")) for field in kind.schema]
    columns = table_rows(zip(map(code, kind.schema.names), types, meanings, strict=True))
    drops = table_rows(
        (
            escape_markdown(stage),
            escape_markdown(f"{reason}: {REASONS.get(reason, 'of another version')}"),
            f"{count:,}",
        )
        for (stage, reason), count in sorted(dropped.items())[:MAX_ROWS]
    )
    return f"""---
pretty_name: {kind.title}
{front}
configs:
- config_name: default
  data_files: [metadata.parquet, "{kind.folder}/**/*"]
---
# {kind.title}

{len(table):,} {kind.summary(table)} from {originals:,} {kind.original}s, collected and labelled by a program.

![contact sheet](contact_sheet.png)

## Dataset structure

`manifest.parquet` has one row per {kind.item}; `metadata.parquet` the same rows with `file_name`, for image-folder
loaders. Those put all rows into one split of their own: filter by the column `split`.

| column | type | meaning |
|---|---|---|
{columns}

| split | {kind.items} |
|---|---|
{table_rows((name, f"{splits[name]:,}") for name in SPLITS)}

Near-duplicates form a group, which lies in one split. Groups of more than one {kind.original}: {len(joined):,}
({sum(joined):,} {kind.original}s in all).

{kind.sections(table)}{_generated(kind, table, generators)}
## Dataset creation

| setting | value |
|---|---|
{table_rows((code(key), code(value)) for key, value in settings.items())}

Where every {kind.original} went (`funnel.parquet` has a row for each that was dropped):

| stage | reason | count |
|---|---|---|
{drops or "| | nothing was dropped | 0 |"}

## Licences and use

{_licenses(kind, table)}{kind.rights}
{kind.caution}
"""


def _generated(kind: Kind, table: pa.Table, generators: Sequence[dict]) -> str:
    """Return the section on what is generated, and by which runs; nothing if there is none."""
    if not generators:
        return ""
    rows = zip(table["source"].to_pylist(), table["source_id"].to_pylist(), strict=True)
    counts = Counter(source_id.rpartition("/")[0] for source, source_id in rows if source == GENERATED_SOURCE)
    runs = table_rows(
        (
            code(each["run"]),
            f"{counts[each['run']]:,}",
            f"{code(each['model'])}, {each['steps']:,} steps, weights {code(each['weights'][:16])}",
            f"{code(each['dataset'])}, manifest {code(each['manifest'][:16])}",
        )
        for each in generators
    )
    return f"""
## Generated {kind.items}

{counts.total():,} of {len(table):,} {kind.items} are made by a trained network. Their `source` is `generated`,
their `source_id` is run/seed, and their files are marked in XMP: `DigitalSourceType` is `trainedAlgorithmicMedia`.

| run | {kind.items} | model | learned from |
|---|---|---|---|
{runs}

What a run learned from may show in what it generates, also after it was taken down.
"""


def _licenses(kind: Kind, table: pa.Table) -> str:
    """Return a table of the licences that the sources state; nothing for a kind without that column."""
    if "license" not in table.column_names:
        return ""
    stated = Counter(text or "not stated" for text in table["license"].to_pylist())
    counts = dict(stated.most_common(MAX_ROWS))
    if others := len(table) - sum(counts.values()):
        counts[f"{len(stated) - MAX_ROWS:,} others"] = others
    rows = table_rows((escape_markdown(text), f"{count:,}") for text, count in sorted(counts.items()))
    return f"| licence, as the source states it | {kind.items} |\n|---|---|\n{rows}\n\n"
