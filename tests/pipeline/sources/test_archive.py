import bz2
import gzip
import io
import lzma
import re
import tarfile
import time
import tracemalloc
import warnings
import zipfile
import zlib
from datetime import datetime, timezone
from pathlib import Path
from struct import pack

import pytest

from pipeline.errors import UserError
from pipeline.sources import archive, folder
from pipeline.sources.archive import zip_members
from pipeline.sources.base import LocalQuery, Post, Skipped

PNG = b"\x89PNG\r\n\x1a\n and so on"


def zipped(members: dict[str, bytes], **options) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as package:
        for name, data in members.items():
            package.writestr(zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6)), data, options.get("compression"))
    return file.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as package:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_577_934_246
            package.addfile(info, io.BytesIO(data))
    return file.getvalue()


def stored_rar(members: dict[str, bytes]) -> bytes:
    """A RAR 4 archive of stored members: no free tool makes one, and reading one takes no tool."""

    def block(kind: int, flags: int, fields: bytes, data: bytes = b"") -> bytes:
        header = pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return pack("<H", zlib.crc32(header) & 0xFFFF) + header + data

    made = b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6))
    for name, data in members.items():
        when = (2020 - 1980) << 25 | 1 << 21 | 2 << 16 | 3 << 11 | 4 << 5 | 3
        fields = pack("<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), when, 20, 0x30, len(name), 0o100644)
        made += block(0x74, 0x8000, fields + name.encode(), data)
    return made + block(0x7B, 0x4000, b"")


def offers(tmp_path: Path, data: bytes, name: str = "dump") -> list[Post | Skipped]:
    path = tmp_path / name
    path.write_bytes(data)
    request = LocalQuery(path=path)
    return list(archive.posts(request, archive.snapshot(request)))


def drops(found: list) -> list[tuple[str, str]]:
    return [(offer.source_id, offer.reason) for offer in found if isinstance(offer, Skipped)]


def ids(found: list) -> list[str]:
    return [offer.source_id for offer in found if isinstance(offer, Post)]


MAKERS = {
    "zip": zipped,
    "deflated zip": lambda members: zipped(members, compression=zipfile.ZIP_DEFLATED),
    "tar": lambda members: tarred(members, "w"),
    "tar.gz": tarred,
    "tar.xz": lambda members: tarred(members, "w:xz"),
    "tar.bz2": lambda members: tarred(members, "w:bz2"),
    "rar": stored_rar,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_kind_is_read_by_its_content_with_its_sidecars(kind, tmp_path):
    members = {
        "yuno/a.png": PNG,
        "b.jpg": b"other",
        "yuno/a.png.json": b'{"artist": "A"}',
        "note.txt": b"",
        "b.txt": b"smile, hat",
        ".DS_Store": b"",
        "unnamed": PNG,
    }
    found = offers(tmp_path, MAKERS[kind](members), "named.wrongly")
    assert ids(found) == ["named.wrongly!yuno/a.png", "named.wrongly!b.jpg", "named.wrongly!unnamed"]
    assert drops(found) == []
    assert found[0].read() == PNG
    assert (found[0].artist, found[0].tags, found[1].tags) == ("A", ("yuno",), ("smile", "hat"))
    assert found[0].fetched_at == datetime(2020, 1, 2, 3, 4, 6, tzinfo=timezone.utc)
    assert len({post.fingerprint for post in found}) == 3


HOSTILE = ["../up.png", "/etc/up.png", "a/../../up.png", "..\\up.png", "C:\\up.png", "\\\\host\\up.png"]


@pytest.mark.parametrize("maker", [zipped, tarred])
def test_names_that_leave_the_archive_are_refused(maker, tmp_path):
    found = offers(tmp_path, maker({**dict.fromkeys(HOSTILE, PNG), "fine.png": PNG}))
    assert ids(found) == ["dump!fine.png"]
    assert [reason for _, reason in drops(found)] == ["unsafe_name"] * len(HOSTILE)


def test_links_and_devices_in_a_tar_are_refused(tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as package:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("dev.png", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            package.addfile(info)
    assert drops(offers(tmp_path, file.getvalue())) == [
        ("dump!link.png", "unsafe_name"),
        ("dump!hard.png", "unsafe_name"),
        ("dump!dev.png", "unsafe_name"),
    ]


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("link.png")
    info.external_attr = 0o120777 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        package.writestr(info, "/etc/passwd")
    assert drops(offers(tmp_path, file.getvalue())) == [("dump!link.png", "unsafe_name")]


def test_an_encrypted_member_is_a_drop(tmp_path):
    data = bytearray(zipped({"a.png": PNG, "b.png": PNG}))
    data[data.index(b"PK\1\2") + 8] |= 1
    found = offers(tmp_path, bytes(data))
    assert (ids(found), drops(found)) == (["dump!b.png"], [("dump!a.png", "encrypted")])


def test_one_level_of_archives_within_is_read_and_no_more(tmp_path):
    inner = zipped({"c.png": PNG, "deeper.tar.gz": tarred({"d.png": PNG})})
    found = offers(tmp_path, zipped({"a.png": PNG, "inner.zip": inner, "inner.tgz": tarred({"e.png": PNG})}))
    assert ids(found) == ["dump!a.png", "dump!inner.zip!c.png", "dump!inner.tgz!e.png"]
    assert drops(found) == [("dump!inner.zip!deeper.tar.gz", "nested_too_deep")]


def test_a_second_member_of_the_same_name_is_reported_apart(tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        package.writestr("a.png", PNG)
        package.NameToInfo.clear()  # so that zipfile does not see, and warn, that the name is there
        package.writestr("a.png", b"other")
    found = offers(tmp_path, file.getvalue())
    assert ids(found) == ["dump!a.png", "dump!a.png#2"]
    assert [post.read() for post in found] == [PNG, b"other"]


def test_japanese_names_without_the_utf8_flag_are_read_as_such(tmp_path):
    data = zipped({"XXXX.png": PNG}).replace(b"XXXX", "画像".encode("cp932"))
    assert ids(offers(tmp_path, data)) == ["dump!画像.png"]
    assert ids(offers(tmp_path, zipped({"画像.png": PNG}))) == ["dump!画像.png"]


def test_a_truncated_tar_keeps_what_was_read_so_far(tmp_path):
    import random

    random.seed(0)
    data = tarred({f"{i}.png": random.randbytes(50_000) for i in range(6)})
    found = offers(tmp_path, data[: len(data) // 2])
    assert ids(found) == ["dump!0.png", "dump!1.png"]
    assert {reason for _, reason in drops(found)} == {"archive_damaged"}


def test_a_damaged_member_of_a_zip_is_a_drop_and_the_others_are_in(tmp_path):
    data = bytearray(zipped({"a.png": PNG, "b.png": PNG}))
    data[data.index(b"so on")] ^= 1
    found = offers(tmp_path, bytes(data))
    assert (ids(found), drops(found)) == (["dump!b.png"], [("dump!a.png", "archive_damaged")])


@pytest.mark.parametrize("kind", ["zip", "rar"])
def test_an_archive_cut_short_is_a_drop(kind, tmp_path):
    data = MAKERS[kind]({"a.png": PNG * 100})
    found = offers(tmp_path, data[: len(data) // 2])
    assert ids(found) == []
    assert {reason for _, reason in drops(found)} == {"archive_damaged"}


def test_random_damage_never_raises(tmp_path):
    import random

    random.seed(1)
    for make in MAKERS.values():
        whole = make({f"{i}.png": PNG * 20 for i in range(4)} | {"x.json": b"{}"})
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(random.randrange(1, 12)):
                data[random.randrange(8, len(data))] = random.randrange(256)
            for offer in offers(tmp_path, bytes(data)):
                assert isinstance(offer, (Post, Skipped))


def test_bombs_are_stopped_while_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "RATIO_FROM", 1 << 20)
    zeros = bytes(3 << 20)
    zip_bomb = zipped({"a.png": PNG, "bomb.png": zeros, "c.png": PNG}, compression=zipfile.ZIP_DEFLATED)
    found = offers(tmp_path, zip_bomb)
    assert ids(found) == ["dump!a.png"]
    assert drops(found)[0] == ("dump!bomb.png", "archive_bomb")
    found = offers(tmp_path, tarred({"a.png": PNG, "bomb.bin": zeros, "c.png": PNG}))
    assert ids(found) == ["dump!a.png"]
    assert drops(found) == [("dump", "archive_bomb")]


def test_archives_within_share_the_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "RATIO_FROM", 8 << 20)
    inner = zipped({"zeros.png": PNG + bytes(1 << 20)}, compression=zipfile.ZIP_DEFLATED)
    found = offers(tmp_path, zipped({f"{i}.zip": inner for i in range(30)}))
    assert 4 <= len(ids(found)) <= 8
    assert "archive_bomb" in {reason for _, reason in drops(found)}


@pytest.mark.full
@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_header_of_any_size_is_not_read(format_, tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=format_) as package:
        for name in ("a.png", "x" * (300 << 20) + "/é.png"):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            package.addfile(info, io.BytesIO(PNG))
    packed = file.getvalue()
    assert len(packed) < 2 << 20
    tracemalloc.start()
    try:
        found = offers(tmp_path, packed)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (ids(found), drops(found)) == (["dump!a.png"], [("dump", "archive_bomb")])
    assert peak < 32 << 20


def test_names_with_colons_and_number_signs_are_names(tmp_path):
    found = offers(tmp_path, zipped({"Re:Zero/rem.png": PNG, "artist: title.png": PNG, "C:/x.png": PNG}))
    assert ids(found) == ["dump!Re:Zero/rem.png", "dump!artist: title.png"]
    assert drops(found) == [("dump!C:/x.png", "unsafe_name")]


def test_ids_never_collide(tmp_path):
    file = io.BytesIO(
        zipped({"a.png#2": PNG, "a.png": PNG, "inner.zip!c.png": PNG, "inner.zip": zipped({"c.png": PNG})})
    )
    with zipfile.ZipFile(file, "a") as package, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package.writestr("a.png", PNG)
    found = ids(offers(tmp_path, file.getvalue()))
    assert len(found) == len(set(found)) == 5


def test_a_damaged_sidecar_is_a_drop_and_its_picture_is_in(tmp_path):
    data = bytearray(zipped({"a.png": PNG, "a.png.json": b'{"artist": "someone"}'}))
    at = data.index(b"someone")
    data[at] ^= 1
    found = offers(tmp_path, bytes(data))
    assert (ids(found), drops(found)) == (["dump!a.png"], [("dump!a.png.json", "bad_sidecar")])


def test_a_member_that_is_too_large_is_a_drop_whatever_it_declares(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1000)
    found = offers(tmp_path, zipped({"big.png": bytes(2000), "a.png": PNG}))
    assert (ids(found), drops(found)) == (["dump!a.png"], [("dump!big.png", "archive_bomb")])


def test_too_many_members_end_it(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    found = offers(tmp_path, zipped({f"{i}.png": PNG for i in range(9)}))
    assert (len(ids(found)), drops(found)) == (3, [("dump", "archive_bomb")])


@pytest.mark.full
def test_a_large_archive_is_a_stream(tmp_path):
    path = tmp_path / "many.zip"
    path.write_bytes(zipped({f"{i}.png": PNG for i in range(20_000)}))
    request = LocalQuery(path=path)
    posts = archive.posts(request, archive.snapshot(request))
    assert next(posts).source_id == "many.zip!0.png"
    assert sum(1 for _ in posts) == 19_999


def test_the_snapshot_says_nothing_of_where_it_is(tmp_path):
    import os

    snapshots = []
    for name in "xy":
        (tmp_path / name).mkdir()
        path = tmp_path / name / "d.zip"
        path.write_bytes(zipped({"a.png": PNG}))
        os.utime(path, ns=(0, 10**18))
        snapshots.append(archive.snapshot(LocalQuery(path=path)))
    assert snapshots[0] == snapshots[1]


@pytest.mark.parametrize(
    ("data", "words"), [(None, "no such"), (b"", "empty"), (b"plain text", "no zip"), ("dir", "folder")]
)
def test_what_is_no_archive_is_reported(data, words, tmp_path):
    path = tmp_path / "x"
    if data == "dir":
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=words):
        archive.snapshot(LocalQuery(path=path))


def raw_zip(members: list[tuple[bytes, bytes]], *, method: int = 0, flag: int = 0) -> bytes:
    """A zip of stored members whose names, method and flags are as they are given."""
    made = directory = b""
    for name, data in members:
        fields = pack("<HHHHIIIH", flag, method, 0, 0x5821, zlib.crc32(data), len(data), len(data), len(name))
        directory += b"PK\1\2" + pack("<HH", 0x0314, 20) + fields + bytes(12) + pack("<I", len(made)) + name
        made += b"PK\3\4" + pack("<H", 20) + fields + bytes(2) + name + data
    end = pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(made), 0)
    return made + directory + b"PK\5\6" + end


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_members_of_any_size_are_read_from_a_tar(mode, tmp_path):
    members = {f"{size}.png": PNG + bytes(size) for size in (0, 300 << 10, 3 << 20)}
    found = offers(tmp_path, tarred(members, mode))
    assert [post.read() for post in found] == list(members.values())


@pytest.mark.parametrize("written", ["夕焼け/空.png", "Ünï/a.png", "класс/б.png", "日本.png"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_names_without_the_flag_are_read_in_the_packers_encoding(written, encoding, tmp_path):
    try:
        name = written.encode(encoding)
    except UnicodeEncodeError:
        pytest.skip("the encoding has no such letters")
    assert ids(offers(tmp_path, raw_zip([(name, PNG)]))) == [f"dump!{written}"]


@pytest.mark.parametrize("name", [b"miku\\1.png", b"a\\b\\1.png", b"a/b\\1.png"])
def test_backslashes_part_folders_and_sidecars_are_found(name, tmp_path):
    stem = name[:-4]
    found = offers(tmp_path, raw_zip([(name, PNG), (stem + b".txt", b"1girl"), (b"x\\", b"")]))
    assert ids(found) == ["dump!" + name.decode().replace("\\", "/")]
    assert {"1girl", name.decode().replace("\\", "/").split("/")[-2]} <= set(found[0].tags)


@pytest.mark.parametrize(
    ("method", "word"), [(9, "Deflate64"), (93, "Zstandard"), (98, "PPMd"), (99, "AES"), (77, "77")]
)
def test_a_packing_that_is_not_read_is_named_with_the_cure(method, word, tmp_path):
    (drop,) = offers(tmp_path, raw_zip([(b"a.png", PNG)], method=method))
    assert (drop.reason, word in drop.detail, "unpack it" in drop.detail) == ("other_packing", True, True)


@pytest.mark.parametrize("magic", archive.OTHER_ARCHIVES)
def test_other_archives_are_named_with_the_cure(magic, tmp_path):
    kind = archive.OTHER_ARCHIVES[magic]
    (drop,) = offers(tmp_path, zipped({"inner.bin": magic + bytes(600)}))
    assert (drop.reason, kind in drop.detail) == ("other_packing", True)
    with pytest.raises(UserError, match=re.escape(kind)):
        offers(tmp_path, magic + bytes(600), "other")


def old_tar(name: bytes, data: bytes) -> bytes:
    """A tar of Unix's seventh edition: no magic."""
    head = bytearray(512)
    head[: len(name)], head[100:108], head[124:136], head[136:148] = (
        name,
        b"0000644\0",
        b"%011o\0" % len(data),
        b"0" * 12,
    )
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + data + bytes(-len(data) % 512 + 1024)


@pytest.mark.parametrize("length", [1, 512, 5000])
def test_a_tar_without_its_magic_is_known_by_its_checksum(length, tmp_path):
    data = PNG + bytes(length)
    (post,) = offers(tmp_path, old_tar(b"a.png", data))
    assert post.read() == data
    damaged = bytearray(old_tar(b"a.png", data))
    damaged[3] ^= 1
    with pytest.raises(UserError, match="no zip, tar or rar"):
        offers(tmp_path, bytes(damaged), "damaged")


@pytest.mark.parametrize(
    "headers",
    [
        {"size": "-1536"},
        {"size": "-1"},
        {"size": "-99999999999"},
        {"size": "9" * 30},
        {"size": "x"},
        {"mtime": "nan"},
        {"mtime": "-1e400"},
        {"path": ""},
        {"GNU.sparse.map": "0,-5"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    ],
)
def test_an_odd_header_of_a_tar_ends_soon_and_what_came_before_is_in(headers, tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as package:
        for name in ("a.png", "odd.png", "b.png"):
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            info.pax_headers = headers if name == "odd.png" else {}
            package.addfile(info, io.BytesIO(PNG))
    assert ids(offers(tmp_path, file.getvalue()))[0] == "dump!a.png"


@pytest.mark.parametrize("name", [b"", b"\0.png", b"a/", b" ", b"a/\0"])
def test_a_member_without_a_name_is_a_row_or_a_folder(name, tmp_path):
    found = offers(tmp_path, raw_zip([(b"a.png", PNG), (name, PNG)]))
    assert ids(found) == ["dump!a.png"]
    assert {reason for _, reason in drops(found)} <= {"unsafe_name", "archive_damaged"}


@pytest.mark.parametrize("name", ["a/" * 32_000 + "x.png", "a" * 5000 + ".png", "/".join(["b"] * 100)])
@pytest.mark.parametrize("maker", [zipped, tarred])
def test_very_deep_and_long_names_are_refused_at_once(name, maker, tmp_path):
    found = offers(tmp_path, maker({"a.png": PNG, name: PNG}))
    assert (ids(found), [reason for _, reason in drops(found)]) == (["dump!a.png"], ["unsafe_name"])


def test_members_of_one_name_are_distinguished_in_linear_time():
    taken: dict[str, int] = {}
    ids_ = [folder.make_unique("a", taken) for _ in range(50_000)]  # with a search from #2 each time: minutes
    assert ids_[:3] + ids_[-1:] == ["a", "a#2", "a#3", "a#50000"]
    assert len(set(ids_)) == 50_000


@pytest.mark.parametrize("stated", [None, 1, 65_535])
def test_members_of_a_zip_are_counted_before_they_are_read(stated, tmp_path, monkeypatch):
    monkeypatch.setattr(zip_members, "MAX_LISTED", 100)
    packed = bytearray(raw_zip([(b"%d.png" % number, b"") for number in range(150)]))
    if stated is not None:
        packed[-14:-10] = pack("<HH", stated, stated)
    for data in (bytes(packed), zipped({"inner.zip": bytes(packed)})):
        assert [reason for _, reason in drops(offers(tmp_path, data))] == ["archive_bomb"]
    assert len(offers(tmp_path, raw_zip([(b"%d.png" % number, PNG) for number in range(100)]))) == 100


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_of_the_current_folder_is_read(mode, tmp_path):
    found = offers(tmp_path, tarred({"./a.png": PNG, "./b/c.png": PNG, "./b/c.txt": b"1girl"}, mode))
    assert ids(found) == ["dump!a.png", "dump!b/c.png"]
    assert "1girl" in found[1].tags


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("__MACOSX/sub/._a.png", "__MACOSX"),
        ("pics/@eaDir/a.png/THUMB.jpg", "pics/@eaDir"),
        ("pics/.b.png", "pics/.b.png"),
        (".DS_Store", None),
        ("desktop.ini", None),
    ],
)
def test_what_systems_leave_in_an_archive_is_one_row(tmp_path, name, row):
    found = offers(tmp_path, zipped({"a.png": PNG, name: PNG, f"{name}.txt": b""}))
    assert drops(found) == ([(f"dump!{row}", "system_file")] if row else [])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("b.txt", b"1girl", "1 of no picture's name: b.txt"),
        ("a.json", b"[7]", "1 say nothing that is used: a.json"),
        ("metadata.csv", b"name\na.png\n", "no column is called file_name"),
    ],
)
def test_what_an_archive_holds_and_nobody_used_is_reported(tmp_path, name, text, words):
    (drop,) = [offer for offer in offers(tmp_path, zipped({"a.png": PNG, name: text})) if isinstance(offer, Skipped)]
    assert (drop.reason, words in drop.detail) == ("bad_sidecar", True)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tars_that_follow_each_other_are_one(mode, tmp_path):
    first, second = (io.BytesIO() for _ in range(2))
    for file, name in ((first, "a.png"), (second, "b.png")):
        file.write(tarred({name: PNG + bytes(9000)}, "w"))
    both = first.getvalue() + second.getvalue()
    packed = {"w": bytes, "w:gz": gzip.compress, "w:bz2": bz2.compress, "w:xz": lzma.compress}[mode](both)
    assert ids(offers(tmp_path, packed)) == ["dump!a.png", "dump!b.png"]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("damage", [b"\xff" * 512, b"garbage " * 64])
def test_a_damaged_header_of_a_tar_is_a_row(mode, damage, tmp_path):
    plain = tarred({"a.png": PNG, "b.png": PNG}, "w")
    plain = plain[:1024] + damage + plain[1536:]
    found = offers(tmp_path, gzip.compress(plain) if mode == "w:gz" else plain)
    assert (ids(found), [reason for _, reason in drops(found)]) == (["dump!a.png"], ["archive_damaged"])


@pytest.mark.parametrize("name", ["x.7z", "sub/x.tar.zst", "X.LZH", "x.cab"])
def test_an_archive_within_that_is_not_read_is_a_row(name, tmp_path):
    found = offers(tmp_path, zipped({"a.png": PNG, name: b"x"}))
    assert (ids(found), drops(found)) == (["dump!a.png"], [(f"dump!{name}", "other_packing")])


def pax_tar(headers: bytes, kind: bytes = b"x", members: int = 3) -> bytes:
    """A tar whose members each have an extended header of these bytes."""
    made = b""
    for number in range(members):
        for name, type_, data in (("h", kind, headers), (f"{number}.png", b"0", PNG)):
            info = tarfile.TarInfo(name)
            info.type, info.size = type_, len(data)
            made += info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return made + bytes(1024)


@pytest.mark.parametrize("name", ["a" * 20_000 + ".png", "a/" * 9000 + "b.png"])
def test_a_member_behind_a_header_that_is_too_long_is_found(name, tmp_path):
    assert "dump!c.png" in ids(offers(tmp_path, tarred({"a.png": PNG, name: PNG, "c.png": PNG})))


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        (b"1" * (256 << 10), b"x"),
        (b"1" * 30_000, b"x"),
        (b"9" * 4000 + b" a=b\n", b"g"),
        (b"".join(b"%d k%d=v\n" % (len(str(n)) + 7, n) for n in range(4000)), b"g"),
        (b"2 " * 4000 + b"=", b"x"),
        (b"2 " * 4000 + b"=", b"g"),
        (b"1" * 5000, b"x"),
        (b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n22 GNU.sparse.name=a.p\n", b"x"),
        (b"\0" * 5000, b"L"),
    ],
)
def test_headers_that_cost_time_end_soon(headers, kind, tmp_path):
    begun = time.process_time()
    offers(tmp_path, pax_tar(headers, kind, members=30))
    assert time.process_time() - begun < 5


def odd_entry(position: int, value: bytes, *, name: bytes = b"b.png", extra: bytes = b"") -> bytes:
    """A zip of three pictures, of which the second's entry in the directory has these bytes at `position`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for each in ("a.png", "b.png", "c.png"):
            info = zipfile.ZipInfo(each)
            info.extra = extra if each == "b.png" else b""
            package.writestr(info, PNG)
    data = bytearray(file.getvalue())
    at = data.rindex(b"PK\1\2", 0, data.rindex(b"PK\1\2"))
    data[at + position : at + position + len(value)] = value
    return bytes(data.replace(b"b.png", name))


@pytest.mark.parametrize(
    "data",
    [
        odd_entry(6, b"\xff"),
        odd_entry(8, b"\0\x08", name=b"\xff\xfe.pn"),
        odd_entry(0, b"PK\1\2", extra=b"\1\0\xff\xff"),
        odd_entry(0, b"PK\1\2", extra=b"\1\0\0\0" * 5000),
        odd_entry(0, b"PK\1\2", extra=b"\1\0\x08\0"),
    ],
)
def test_one_odd_entry_of_a_zip_costs_no_other(data, tmp_path):
    found = ids(offers(tmp_path, data))
    assert {"dump!a.png", "dump!c.png"} <= set(found)


def test_many_small_tars_in_a_packed_file_are_unpacked_once(tmp_path):
    begun = time.process_time()
    packed = gzip.compress(b"".join(tarred({f"{number}.png": PNG}, "w")[:1536] for number in range(4000)))
    assert len(ids(offers(tmp_path, packed))) == 4000
    assert time.process_time() - begun < 15  # unpacked anew for each: minutes


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_long_extended_header_costs_no_member_wherever_it_is(place, mode, tmp_path):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as package:
        for number in range(3):
            info = tarfile.TarInfo(f"{number}.png")
            info.size, info.pax_headers = len(PNG), {"SCHILY.xattr.a": "x" * 100_000} if number == place else {}
            package.addfile(info, io.BytesIO(PNG))
    assert len(ids(offers(tmp_path, file.getvalue()))) == 3


def test_an_xz_that_wants_gigabytes_is_damaged(tmp_path):
    packed = bytearray(lzma.compress(tarred({"a.png": PNG}, "w")))
    packed[16] = 0x26  # the dictionary: 2 GiB
    packed[20:24] = pack("<I", zlib.crc32(packed[12:20]))
    assert [reason for _, reason in drops(offers(tmp_path, bytes(packed)))] == ["archive_damaged"]


@pytest.mark.parametrize("maker", [stored_rar, zipped])
def test_the_members_of_a_listing_are_counted_while_it_is_read(maker, tmp_path, monkeypatch):
    for module in (archive, zip_members):
        monkeypatch.setattr(module, "MAX_LISTED", 10)
    assert len(ids(offers(tmp_path, maker({f"{number}.png": PNG for number in range(10)})))) == 10
    found = offers(tmp_path, maker({f"{number}.png": PNG for number in range(11)}))
    assert (ids(found), [reason for _, reason in drops(found)]) == ([], ["archive_bomb"])


@pytest.mark.parametrize("extra", [b"\1\0\0\0" * 16_000, b"\1\0\0\0" * 1025, b"\1\0\xff\xff" * 16_000])
def test_extra_fields_are_not_taken_apart_in_quadratic_time(extra, tmp_path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for number in range(200):
            info = zipfile.ZipInfo(f"{number}.png")
            info.extra = extra
            package.writestr(info, PNG)
    begun = time.process_time()
    assert len(ids(offers(tmp_path, file.getvalue()))) == 200
    assert time.process_time() - begun < 5
