"""What is mutated: one function for each kind of input, which fills a folder and returns the command over it."""

import csv
import io
import json
import multiprocessing
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and NumPy are imported, here once for all forked commands

import cv2
import matplotlib.pyplot  # noqa: F401
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from pipeline.sources.drawn import draw
from tests.tools.fuzz import mutations
from tests.tools.fuzz.trials import Outcome, Trial

ROOT = Path(__file__).parents[3]
GOOD_PICTURES = 4
LISTINGS = ("post.json", "posts.json", "index.php")

cv2.setNumThreads(1)
torch.set_num_threads(1)


def run_command(arguments: list[str]) -> None:
    """Run `python -m workflows ARGUMENTS` in this process."""
    from workflows.__main__ import main  # not before: Luigi reads luigi.cfg of the folder where it is imported

    main(arguments)


@dataclass
class Good:
    """What mutants are made from: pictures in every format, a data root with a dataset and a run, a web server."""

    pictures: list[bytes]
    """PNGs, each with a face."""
    forms: dict[str, bytes]
    """Extension -> the same small picture in that format."""
    data: Path
    web: Path
    """Folder of what the server serves."""
    url: str

    @classmethod
    def make(cls, folder: Path) -> "Good":
        """Draw, build, train and serve. Raises CalledProcessError if a command fails."""
        folder.mkdir()
        for arguments in (
            ["BuildFaceDataset", "--name", "given", "--limit", "24", "--size", "64"],
            ["TrainDCGAN", "--preset", "tiny", "--steps", "4", "--dataset", "given", "--run", "r"],
        ):
            command = [sys.executable, "-m", "luigi", "--module", "workflows", *arguments]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        web = folder / "web"
        web.mkdir()
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": web, "listed": set()}))
        multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        pictures = [_encoded(draw(7, i)[0], "PNG") for i in range(GOOD_PICTURES)]
        return cls(pictures, _forms(draw(7, 9)[0].resize((96, 96))), folder / "data", web, url)

    def put(self, folder: Path) -> set[str]:
        """Write the good pictures into `folder`; return their names."""
        folder.mkdir(exist_ok=True)
        for number, data in enumerate(self.pictures):
            (folder / f"good{number}.png").write_bytes(data)
        return {f"good{number}.png" for number in range(len(self.pictures))}


class _Handler(BaseHTTPRequestHandler):
    """Serves /CASE/NAME from web/CASE/NAME; a listing once, and from then on the empty one in NAME.later."""

    web: Path
    listed: set[str]

    def do_GET(self) -> None:
        """Answer with a file or 404."""
        case, _, name = self.path.partition("?")[0].strip("/").partition("/")
        file = self.web / os.path.basename(case) / os.path.basename(name)
        is_listing = file.name in LISTINGS
        if is_listing and case in self.listed:
            file = file.with_suffix(".later")
        body = file.read_bytes() if os.path.isfile(file) else None  # which is False of a name that is too long
        if is_listing:
            self.listed.add(case)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "application/json" if is_listing else "image/png")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *arguments: object) -> None:
        """Write no line for each request."""


def _encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_, **options)
    return file.getvalue()


def _forms(picture: Image.Image) -> dict[str, bytes]:
    grey16 = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    return {
        "png": _encoded(picture, "PNG"),
        "rgba.png": _encoded(picture.convert("RGBA"), "PNG"),
        "p.png": _encoded(picture.quantize(16), "PNG", transparency=0),
        "16.png": _encoded(grey16, "PNG"),
        "jpg": _encoded(picture, "JPEG"),
        "progressive.jpg": _encoded(picture, "JPEG", progressive=True),
        "cmyk.jpg": _encoded(picture.convert("CMYK"), "JPEG"),
        "gif": _encoded(picture.quantize(16), "GIF"),
        "webp": _encoded(picture, "WEBP"),
        "lossless.webp": _encoded(picture, "WEBP", lossless=True),
        "bmp": _encoded(picture, "BMP"),
        "tif": _encoded(picture, "TIFF", compression="tiff_lzw"),
        "f.tif": _encoded(picture.convert("F"), "TIFF"),
        "ppm": _encoded(picture, "PPM"),
        "tga": _encoded(picture.convert("RGBA"), "TGA"),
        "apng.png": _encoded(picture, "PNG", save_all=True, append_images=[picture.rotate(90)]),
    }


def _no_mutant_lost(names: set[str], good: set[str]) -> Callable[[Outcome], list[str]]:
    def check(outcome: Outcome) -> list[str]:
        kept = outcome.ids()
        lost = names - kept - outcome.dropped()
        missing = [f"{len(lost)} inputs have no row: {sorted(lost)[:3]}"] if lost else []
        return missing + ([f"good ones are not in: {sorted(good - kept)}"] if good - kept else [])

    return check


def _good_are_in(names: set[str]) -> Callable[[Outcome], list[str]]:
    def check(outcome: Outcome) -> list[str]:
        kept = {source_id.rpartition("!")[2].rpartition("/")[2] for source_id in outcome.ids()}
        return [f"good ones are not in: {sorted(names - kept)}"] if names - kept else []

    return check


def _build(source: str, path: str, *more: str) -> list[str]:
    return ["BuildFaceDataset", "--name", "f", "--source", source, "--path", path, "--jobs", "1", *more]


def pictures(place: Path, random: Random, good: Good) -> Trial:
    """Fill a folder with 60 mutated pictures of all formats."""
    names = good.put(place / "in")
    mutants = set()
    for number in range(60):
        extension = random.choice(list(good.forms))
        name = f"{number:02}.{extension}"
        (place / "in" / name).write_bytes(mutations.damage_bytes(good.forms[extension], random))
        mutants.add(name)
    return Trial(place, _build("folder", "in"), 60, _no_mutant_lost(mutants, names), must_succeed=True)


def archives(place: Path, random: Random, good: Good) -> Trial:
    """Write one mutated archive, or a good one that holds twelve mutated archives."""
    if random.random() < 0.6:
        extension, data = _archive(random, good, len(good.pictures))
        (place / f"a.{extension}").write_bytes(mutations.damage_bytes(data, random))
        return Trial(place, _build("archive", f"a.{extension}"), 1)
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        for number, data in enumerate(good.pictures):
            archive.writestr(f"good{number}.png", data)
        for number in range(12):
            extension, data = _archive(random, good, 1)
            archive.writestr(f"inner{number}.{extension}", mutations.damage_bytes(data, random))
    names = {f"good{number}.png" for number in range(len(good.pictures))}
    return Trial(place, _build("archive", "a.zip"), 12, _good_are_in(names), must_succeed=True)


def _archive(random: Random, good: Good, count: int) -> tuple[str, bytes]:
    """Return (extension, bytes) of an archive of `count` pictures in folders, and a sidecar."""
    members = [(f"class{n}/p{n}.png", good.pictures[n]) for n in range(count)] + [
        ("class0/p0.txt", b"1girl, blue_hair")
    ]
    file = io.BytesIO()
    extension = random.choice(("zip", "tar", "tar.gz", "tar.bz2", "tar.xz"))
    if extension == "zip":
        with zipfile.ZipFile(file, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, data in members:
                archive.writestr(name, data)
    else:
        form = random.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
        with tarfile.open(fileobj=file, mode=f"w:{extension[4:]}", format=form) as archive:
            for name, data in members:
                info = tarfile.TarInfo(name if form == tarfile.USTAR_FORMAT else "long/" * 30 + name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return extension, file.getvalue()


GALLERY_DL = {
    "category": "danbooru",
    "id": 7,
    "tags": "1girl blue_hair",
    "tags_artist": ["someone"],
    "rating": "s",
    "file_url": "https://example.org/a.png",
    "source": "https://example.org/",
    "created_at": "2024-01-01",
}
WAIFUC = {"url": "https://example.org/a.png", "tags": {"1girl": 0.9, "blue_hair": 0.8}, "group_id": "g"}


def sidecars(place: Path, random: Random, good: Good) -> Trial:
    """Fill a folder with 30 pictures, a mutated sidecar beside each, and a mutated table."""
    names = good.put(place / "in")
    mutants = set()
    for number in range(30):
        name = f"{number:02}.png"
        _encoded_to(place / "in" / name, number)
        extension = random.choice((".png.json", "_meta.json", ".json", ".txt", ".caption", ".png.txt"))
        beside = place / "in" / (f".{number:02}{extension}" if extension[0] == "_" else f"{number:02}{extension}")
        beside.write_bytes(_sidecar(random, extension))
        mutants.add(name)
    table = random.choice(("csv", "jsonl", "parquet"))
    (place / "in" / f"metadata.{table}").write_bytes(
        mutations.damage_bytes(_table(table, "file_name", sorted(names)), random)
    )
    return Trial(place, _build("folder", "in"), 31, _no_mutant_lost(mutants, names), must_succeed=True)


def _encoded_to(path: Path, number: int) -> None:
    path.write_bytes(_encoded(Image.new("RGB", (32, 32), (number * 7, 255 - number, 90)), "PNG"))


def _sidecar(random: Random, extension: str) -> bytes:
    if extension.endswith(".json"):
        value = WAIFUC if extension == "_meta.json" else GALLERY_DL
        if random.random() < 0.7:
            return mutations.dump(mutations.damage_json(value, random))
        return mutations.damage_bytes(mutations.dump(value), random)
    text = random.choice(
        ("1girl, blue_hair, solo", "1girl\nblue_hair\n", "a girl with blue hair.", "rating:safe, 1girl")
    )
    if random.random() < 0.7:
        return mutations.damage_text(text, random).encode("utf-8", "surrogatepass")
    return mutations.damage_bytes(text.encode(), random)


def _table(form: str, key: str, values: list[str]) -> bytes:
    rows = [{key: value, "text": "1girl, blue hair", "artist": "someone"} for value in values]
    file = io.BytesIO()
    if form == "parquet":
        pd.DataFrame(rows).to_parquet(file)
    elif form == "jsonl":
        file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        file.write(text.getvalue().encode())
    return file.getvalue()


def _only_local(make: Callable[[], bytes], url: str) -> bytes:
    """Return the first of make()'s results that names no other host than the server's."""
    for _ in range(1000):
        data = make()
        hosts = re.findall(rb"[:/\\]{2,}([^/\s\"'<>\\,]*)", data)
        if all(host in (b"", url.removeprefix("http://").encode()) for host in hosts):
            return data
    raise RuntimeError("no mutant without another host in 1,000")


def _web_case(place: Path, good: Good, source: str) -> str:
    """Put the good pictures on the server, and its address into luigi.cfg; return the address."""
    good.put(good.web / place.name)
    base = f"{good.url}/{place.name}"
    (place / "luigi.cfg").write_text(f"[web]\nbackoff = 0.01\n[{source}]\nrate = 0\nbase_url = {base}\n")
    return base


def lists(place: Path, random: Random, good: Good) -> Trial:
    """Write a list of URLs with twelve mutated lines behind the good ones, or with mutated bytes."""
    base = _web_case(place, good, "urls")
    names = [f"good{number}.png" for number in range(len(good.pictures))]
    urls = [f"{base}/{name}" for name in names]
    if random.random() < 0.4:
        form = random.choice(("csv", "jsonl", "parquet"))
        table = _table(form, "url", urls)
        data = (
            _only_local(lambda: mutations.damage_bytes(table, random), good.url)
            if form != "parquet"
            else (mutations.damage_bytes(_table(form, "file_name", names), random))
        )  # packed, a host could not be looked for
        (place / f"list.{form}").write_bytes(data)
        return Trial(place, _build("urls", f"list.{form}"), 1)

    def line() -> bytes:
        return mutations.damage_text(random.choice(urls), random).encode("utf-8", "surrogatepass")

    lines = [url.encode() for url in urls] + [_only_local(line, good.url) for _ in range(12)]
    (place / "list.txt").write_bytes(b"\n".join(lines))
    return Trial(place, _build("urls", "list.txt"), 12)


def answers(place: Path, random: Random, good: Good) -> Trial:
    """Serve a listing of a booru with fifteen mutated posts behind the good ones, or with mutated bytes."""
    source, listing, rating = random.choice(
        (("danbooru", "posts.json", "g"), ("gelbooru", "index.php", "general"), ("moebooru", "post.json", "s"))
    )
    base = _web_case(place, good, source)
    posts = [
        {
            "id": 100 - n,
            "rating": rating,
            "file_ext": "png",
            "file_url": f"{base}/good{n}.png",
            "tags": "1girl solo",
            "tag_string": "1girl solo",
            "tag_string_artist": "someone",
            "score": 3,
            "width": 256,
            "height": 256,
        }
        for n in range(len(good.pictures))
    ]
    is_bytes = random.random() < 0.3

    def answer(shown: list) -> object:
        return {"@attributes": {"count": 19}, "post": shown} if source == "gelbooru" else shown

    def body() -> bytes:
        if is_bytes:
            return mutations.damage_bytes(mutations.dump(answer(posts)), random)
        fresh = [random.choice(posts) | {"id": 90 - n} for n in range(15)]
        return mutations.dump(answer(posts + [mutations.damage_json(post, random) for post in fresh]))

    (good.web / place.name / listing).write_bytes(_only_local(body, good.url))
    (good.web / place.name / listing).with_suffix(".later").write_bytes(mutations.dump(answer([])))
    arguments = [
        "BuildFaceDataset",
        "--name",
        "f",
        "--source",
        source,
        "--query",
        "solo",
        "--limit",
        "30",
        "--jobs",
        "1",
    ]

    def check(outcome: Outcome) -> list[str]:
        missing = {str(post["id"]) for post in posts} - outcome.ids() - outcome.duplicates()
        return [f"good posts are not in: {sorted(missing)}"] if missing else []

    if is_bytes:
        return Trial(place, arguments, 1)
    return Trial(place, arguments, 15, check, must_succeed=True)


def manifests(place: Path, random: Random, good: Good) -> Trial:
    """Mutate a manifest: as a recipe that is rebuilt or lies in recipes/, or as a dataset that is used."""
    shutil.copytree(good.data, place / "data", symlinks=True)
    given = (place / "data" / "datasets" / "given").resolve()
    path = given / "manifest.parquet"
    data = mutations.damage_bytes(path.read_bytes(), random) if random.random() < 0.5 else _odd_table(path, random)
    use = random.choice((0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4))  # 4, training, takes longest
    if use == 0:
        (place / "r.parquet").write_bytes(data)
        return Trial(place, ["RebuildFaceDataset", "--manifest", "r.parquet", "--name", "f", "--jobs", "1"], 1)
    if use == 1:
        (place / "data" / "recipes").mkdir()
        (place / "data" / "recipes" / "r.parquet").write_bytes(data)
        return Trial(place, ["Takedown", "--artist", "someone"], 1, must_succeed=True)
    path.unlink()
    path.write_bytes(data)
    if use == 2:
        return Trial(place, ["ExportRecipe", "--name", "given"], 1)
    if use == 3:
        return Trial(place, ["TagHairColor", "--dataset", "given", "--hair-tagger", "color", "--jobs", "1"], 1)
    return Trial(place, ["TrainDCGAN", "--preset", "tiny", "--dataset", "given", "--run", "new", "--steps", "1"], 1)


def _odd_table(path: Path, random: Random) -> bytes:
    """Return the manifest with one thing wrong in a column, in a row, or in its metadata."""
    table = pq.read_table(path, partitioning=None).slice(0, 6)
    name = random.choice(table.column_names)
    index, edit, file = table.schema.get_field_index(name), random.randrange(6), io.BytesIO()
    if edit == 0:
        table = table.remove_column(index)
    elif edit == 1:
        table = table.append_column(name, table[name])
    elif edit == 2:
        column = random.choice(([None], [1.5], [["x"]], [{"a": 1}], [b"\xff"], ["x" * 100_000]))
        table = table.set_column(index, name, pa.array(column * len(table)))
    elif edit == 3:
        texts = [field.name for field in table.schema if field.type == pa.string()]
        name = random.choice(texts)
        text = random.choice([value for value in mutations.ODD_TEXTS if value != "\ud800"])
        values = [text, *table[name].to_pylist()[1:]]
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, pa.string()))
    elif edit == 4:
        table = table.slice(0, 0)
    else:
        build = {"settings": {"query": "character"}, "images": 3, "versions": {}, "before": []}
        meta = {b"build": mutations.dump(mutations.damage_json(build, random)), b"dataset": b"0" * 64, b"version": b"1"}
        table = table.replace_schema_metadata(meta)
    pq.write_table(table, file)
    return file.getvalue()


def runs(place: Path, random: Random, good: Good) -> Trial:
    """Mutate one file of a run that is used, or trained on."""
    shutil.copytree(good.data, place / "data", symlinks=True)
    run = place / "data" / "runs" / "r"
    is_trained_on = random.random() < 0.2
    names = (
        ("config.json", "metrics.jsonl", "last.pt", "model.safetensors")
        if is_trained_on
        else ("config.json", "model.safetensors")
    )
    path = run / random.choice(names)
    data = path.read_bytes()
    path.unlink()
    if path.suffix == ".json" and random.random() < 0.6:
        path.write_bytes(mutations.dump(mutations.damage_json(json.loads(data), random)))
    elif path.suffix == ".safetensors" and random.random() < 0.6:
        path.write_bytes(_odd_safetensors(data, random))
    else:
        path.write_bytes(mutations.damage_bytes(data, random))
    if is_trained_on:
        train = ["TrainDCGAN", "--preset", "tiny", "--dataset", "given", "--run", "r", "--steps", "6"]
        return Trial(place, train, 1)
    return Trial(place, ["GenerateFaces", "--run", "r", "--count", "1"], 1)


def _odd_safetensors(data: bytes, random: Random) -> bytes:
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    about = header["__metadata__"].get("about")
    if about and random.random() < 0.5:
        header["__metadata__"]["about"] = mutations.dump(mutations.damage_json(json.loads(about), random)).decode()
    else:
        header = mutations.damage_json(header, random)
    packed = mutations.dump(header)
    return struct.pack("<Q", len(packed)) + packed + data[8 + length :]


KINDS: dict[str, Callable[[Path, Random, Good], Trial]] = {
    "pictures": pictures,
    "archives": archives,
    "sidecars": sidecars,
    "lists": lists,
    "answers": answers,
    "manifests": manifests,
    "runs": runs,
}
