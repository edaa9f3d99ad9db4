"""The folder of the page, and its server."""

import configparser
import json
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from models.data.dataset import UserError
from models.page import MODELS, folder, npm, server
from tests.support.run_luigi import ROOT

FACE = [{"name": "z", "kind": "normal", "shape": ["n", 16]}]
PICTURE = {"name": "picture", "kind": "picture", "shape": ["n", 3, 64, 64]}


@pytest.fixture(autouse=True)
def packages(tmp_path, monkeypatch) -> Path:
    """Files in place of the packages that npm installs."""
    place = tmp_path / "node_modules"
    for name in folder.RUNTIME.values():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    monkeypatch.setattr(npm, "install", lambda pinned: place)
    return place


def export(place: Path, name: str, content: bytes = b"network", **more: object) -> Path:
    """Write what ExportONNX does of a run, and its card; return the folder."""
    made = place / name / "onnx"
    made.mkdir(parents=True, exist_ok=True)
    network = {"file": "generator.onnx", "inputs": FACE, "outputs": [PICTURE], **more}
    (made / "generator.onnx").write_bytes(content)
    (made / "generator.golden.bin").write_bytes(bytes(8))
    (made / "model.json").write_text(json.dumps({"networks": {"generator": network}, "weights": content.hex()}))
    (made.parent / "README.md").write_text(f"# {name}")
    return made


def files_of(page: Path) -> dict[str, bytes]:
    return {str(path.relative_to(page)): path.read_bytes() for path in page.rglob("*") if path.is_file()}


def test_the_same_exports_give_the_same_bytes_and_nothing_stale_is_left(tmp_path):
    shipped, page = export(tmp_path, "shipped"), tmp_path / "page"
    runs = {name: export(tmp_path, name) for name in ("a", "b")}
    folder.write_page(page, shipped, runs)
    first = files_of(page)
    assert {"index.html", "runtime/ort.mjs", "licenses/gifenc.txt", "licenses/onnxruntime-web.txt"} <= first.keys()
    assert {"shipped/model.json", "runs/a/generator.onnx", "runs/b/README.md"} <= first.keys()
    assert not any("golden" in name for name in first)
    assert str(tmp_path) not in first[MODELS].decode()
    listed = json.loads(first[MODELS])
    assert listed["models"] == [{"name": "a", "tab": "generate"}, {"name": "b", "tab": "generate"}]
    digest = folder.digest_of(shipped, runs)
    assert (listed["digest"], folder.is_whole(page, digest)) == (digest, True)

    folder.write_page(tmp_path / "again", shipped, runs)
    assert files_of(tmp_path / "again") == first

    (page / "stale.js").write_text("")
    runs = {"a": export(tmp_path, "a", b"other")}
    assert not folder.is_whole(page, folder.digest_of(shipped, runs))
    folder.write_page(page, shipped, runs)
    assert files_of(page).keys() == {name for name in first if not name.startswith("runs/b/")}
    assert files_of(page)["runs/a/generator.onnx"] == b"other"
    assert folder.is_whole(page, folder.digest_of(shipped, runs))
    (page / "runs/a/generator.onnx").unlink()
    assert not folder.is_whole(page, folder.digest_of(shipped, runs))
    folder.write_page(page, shipped, runs)
    (runs["a"].parent / "README.md").write_text("# evaluated")
    assert not folder.is_whole(page, folder.digest_of(shipped, runs))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_failure_leaves_the_page_as_it_was(tmp_path, packages):
    shipped, page = export(tmp_path, "shipped"), tmp_path / "page"
    folder.write_page(page, shipped, {})
    before = files_of(page)
    (packages / "gifenc/LICENSE.md").unlink()
    with pytest.raises(FileNotFoundError):
        folder.write_page(page, shipped, {"a": export(tmp_path, "a")})
    assert files_of(page) == before


@pytest.mark.parametrize(
    ("inputs", "output", "tab"),
    [
        (["uniform"], ("picture", 4), "generate"),
        (["normal", "weights"], ("picture", 4), "generate"),
        (["picture"], ("picture", 4), "convert"),
        (["picture", "numbers"], ("picture", 4), "convert"),
        (["levels"], ("levels", 4), "upscale"),
        (["picture"], ("picture", 5), None),
        (["picture", "share", "picture"], ("picture", 4), None),
    ],
)
def test_the_tab_that_uses_a_run(inputs, output, tab):
    network = {
        "inputs": [{"kind": kind} for kind in inputs],
        "outputs": [{"kind": output[0], "shape": ["n"] * output[1]}],
    }
    assert folder.tab_of({"networks": {"main": network, "other": {}}}) == tab


def test_the_server_sends_types_and_headers_and_lists_nothing(tmp_path):
    page = tmp_path / "page"
    folder.write_page(page, export(tmp_path, "shipped"), {})
    (tmp_path / "secret.txt").write_text("secret")
    types = {"": "text/html", "main.js": "text/javascript", "runtime/ort.mjs": "text/javascript"}
    types |= {"runtime/ort-wasm-simd-threaded.wasm": "application/wasm", "models.json": "application/json"}
    with server.open_server(page, "127.0.0.1", 0) as opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{opened.server_address[1]}"
        for name, kind in types.items():
            with urllib.request.urlopen(f"{address}/{name}") as answer:
                headers = answer.headers
            assert headers.get_content_type() == kind
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        for name in ("runtime/", "../secret.txt", "%2e%2e/secret.txt", "nothing"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{address}/{name}")
        opened.shutdown()


NPM = """#!/bin/sh
[ "$1" = ci ] && [ -f package-lock.json ] || exit 9
{}
"""


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """Return a function: with a script in place of npm, install the packages of a lock file."""
    monkeypatch.undo()  # npm.install itself
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("{}")

    def install(script: str) -> Path:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/npm").write_text(NPM.format(script))
        (tmp_path / "bin/npm").chmod(0o755)
        return npm.install(tmp_path)

    return install


def test_packages_are_installed_once_and_a_failure_installs_nothing(pinned, tmp_path):
    with pytest.raises(UserError, match=r"^npm ci .* failed: EINTEGRITY bad sum; .*; check the network") as error:
        pinned("mkdir node_modules; echo 'EINTEGRITY\nbad sum' >&2; exit 1")
    assert "\n" not in str(error.value)
    place = pinned("mkdir node_modules; echo 1 > node_modules/one")
    assert (place / "one").read_text() == "1\n"
    assert pinned("exit 1") == place
    (tmp_path / "package-lock.json").write_text('{"other": 1}')
    assert pinned("mkdir node_modules") != place


def test_without_npm(pinned, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^npm: is not installed; .*; install Node\.js 18 or later"):
        npm.install(tmp_path)


def test_the_program_is_installed_with_all_files_of_the_page():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = re.split(r",\s*", setup["options.package_data"]["models.page"])
    installed = {path for pattern in patterns for path in folder.PINNED.glob(pattern) if path.is_file()}
    others = {path for path in folder.PINNED.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert installed == {path for path in others if path.suffix != ".py"}


def test_packages_are_pinned_by_their_sums_and_may_come_from_any_registry():
    packages = json.loads((folder.PINNED / "package-lock.json").read_text())["packages"]
    wanted = json.loads((folder.PINNED / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(
        row["integrity"].startswith("sha512-") and "resolved" not in row for name, row in packages.items() if name
    )
