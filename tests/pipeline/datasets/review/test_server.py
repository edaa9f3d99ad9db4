"""The server of the review: what it refuses, and what it writes."""

import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import threading
from pathlib import Path

import pytest

from pipeline.datasets import corrections
from pipeline.datasets.review.review import open_review
from pipeline.datasets.review.server import MAX_BODY_BYTES, Server
from pipeline.errors import UserError
from tests.support.review_dataset import write_dataset


@contextlib.contextmanager
def serving(root: Path, name: str = "d"):
    with open_review(root, name) as review, Server(review) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def root(tmp_path) -> Path:
    write_dataset(tmp_path / "data", "d", 3)
    return tmp_path / "data"


@pytest.fixture
def server(root):
    with serving(root) as server:
        yield server


def ask(server, path: str, body=None, method: str | None = None, **headers: str | None) -> tuple[int, bytes, dict]:
    """Send a request as the page would, but for the headers given; None leaves a header out."""
    connection = http.client.HTTPConnection(server.host, timeout=10)
    ours = {"Host": server.host, "Sec-Fetch-Site": "same-origin"}
    if body is not None:
        ours |= {"Origin": f"http://{server.host}", "Content-Type": "application/json"}
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        ours["Content-Length"] = str(len(body))
    connection.putrequest(
        method or ("GET" if body is None else "POST"), path, skip_host=True, skip_accept_encoding=True
    )
    for name, value in (ours | {name.replace("_", "-"): value for name, value in headers.items()}).items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    return response.status, response.read(), dict(response.getheaders())


def first(server) -> str:
    return next(iter(server.review.catalog.rows))


def test_the_page_its_files_and_its_pictures_are_there(server):
    base, item = f"/{server.token}/", first(server)
    for path, kind in {
        "": "text/html; charset=utf-8",
        "main.js": "text/javascript; charset=utf-8",
        "style.css": "text/css; charset=utf-8",
        "items": "application/json",
        f"details/{item}": "application/json",
        f"thumbnails/{item}": "image/jpeg",
        f"pictures/{item}": "image/jpeg",
    }.items():
        status, body, headers = ask(server, base + path)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert len(body) > 50
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "localhost:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": None},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
    ids=str,
)
def test_another_host_or_origin_is_refused(server, headers):
    port = server.server_address[1]
    headers = {name: value and value.format(port=port) for name, value in headers.items()}
    assert ask(server, f"/{server.token}/items", **headers)[0] == 403
    assert ask(server, f"/{server.token}/corrections", {first(server): "drop"}, **headers)[0] == 403
    assert not server.review.file.exists()


def test_a_link_elsewhere_opens_the_page_but_sends_nothing(server):
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Dest": "document"}
    assert ask(server, f"/{server.token}/", **link)[0] == 200
    assert ask(server, f"/{server.token}/corrections", {first(server): "drop"}, **link)[0] == 403
    assert ask(server, f"/{server.token}/corrections", {first(server): "drop"}, Origin=None)[0] == 403


@pytest.mark.parametrize(
    "path", ["/", "/items", "//items", "/{wrong}/", "/{wrong}/items", "*", "http://{host}/{token}/"]
)
def test_without_the_token_nothing_is_there(server, path):
    path = path.format(wrong=server.token[:-1] + "~", token=server.token, host=server.host)
    assert ask(server, path)[0] == 403
    assert ask(server, path, {first(server): "drop"})[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "../catalog.py",
        "..%2fcatalog.py",
        "static/main.js",
        "/etc/passwd",
        "thumbnails/../../../../etc/passwd",
        "thumbnails/%2e%2e%2fmanifest.parquet",
        "pictures/" + "0" * 64,
        "details/",
        "server.py",
        "items/",
        "\\..\\server.py",
        "thumbnails/{item}/",
    ],
)
def test_paths_lead_nowhere_else(server, path):
    status, body, _ = ask(server, f"/{server.token}/{path.format(item=first(server))}")
    assert (status, body) == (404, b"nothing is there")


def test_links_and_ids_of_a_hostile_manifest_lead_nowhere_else(tmp_path):
    write_dataset(tmp_path / "data", "d", 1, image_id="../../secret")
    (crop,) = (tmp_path / "data/datasets/d/faces").glob("*/*.png")
    for secret in ("secret.png", "data/secret.png"):
        shutil.copy(crop, tmp_path / secret)
    crop.unlink()
    crop.symlink_to(tmp_path / "secret.png")
    with serving(tmp_path / "data") as server:
        for kind in ("thumbnails", "pictures"):
            status, body, _ = ask(server, f"/{server.token}/{kind}/{first(server)}")
            assert status == 500
            assert b"leads out" in body or b"no original" in body


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"{", {}),
        (400, [], {}),
        (400, {"nobody": "drop"}, {}),
        (400, {"{item}": "delete"}, {}),
        (400, {"{item}": 1}, {}),
        (400, {"{item}": "drop", "../x": "drop"}, {}),
        (415, {"{item}": "drop"}, {"Content_Type": "text/plain"}),
        (415, {"{item}": "drop"}, {"Content_Length": "-1"}),
        (415, {"{item}": "drop"}, {"Content_Length": None}),
        (413, {"{item}": "drop"}, {"Content_Length": str(MAX_BODY_BYTES + 1)}),
    ],
)
def test_what_is_no_correction_is_refused_and_writes_nothing(server, status, body, headers):
    if isinstance(body, dict):
        body = {key.format(item=first(server)): value for key, value in body.items()}
    assert ask(server, f"/{server.token}/corrections", body, **headers)[0] == status
    assert not server.review.file.exists()


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "HEAD"])
def test_other_methods_are_refused(server, method):
    status, _, headers = ask(server, f"/{server.token}/corrections", method=method)
    assert status == 501
    assert not any(name.startswith("Access-Control") for name in headers)


def test_it_listens_on_this_machine_alone(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert len(server.token) >= 32


def test_corrections_are_written_with_the_place_of_the_face_and_taken_back(root, server):
    a, b, c = server.review.catalog.rows
    path = f"/{server.token}/corrections"
    for changes in ({a: "drop", b: "hair_color=none"}, {c: "keep"}, {b: None}):
        assert ask(server, path, changes)[0] == 200
    found = corrections.read(root, "d")
    assert {key: each.what for key, each in found.items()} == {a: "drop", c: "keep"}
    assert found[a].box == (64, 48, 192, 176)
    assert json.loads(ask(server, f"/{server.token}/items")[1])["corrections"] == {a: "drop", c: "keep"}


def test_lines_written_by_hand_meanwhile_stay_and_damaged_ones_are_reported(root, server):
    a, b, _ = server.review.catalog.rows
    server.review.file.parent.mkdir()
    server.review.file.write_text(f"{'0' * 64},drop\n{b},drop")
    assert ask(server, f"/{server.token}/corrections", {a: "keep"})[0] == 200
    assert [each.what for each in corrections.read(root, "d").values()] == ["drop", "drop", "keep"]
    server.review.file.write_text("what?\n")
    status, body, _ = ask(server, f"/{server.token}/corrections", {a: "drop"})
    assert status == 500
    assert b"line 1" in body
    assert server.review.file.read_text() == "what?\n"


def test_a_face_that_was_dropped_before_is_shown_and_can_be_kept(root):
    (root / "corrections").mkdir()
    gone = "0" * 64
    image_id = next((root / "images").glob("*/*.png")).stem
    (root / "corrections/d.csv").write_text(f"{gone},drop,{image_id},300 300 310 310\n")
    with serving(root) as server:
        assert json.loads(ask(server, f"/{server.token}/items")[1])["corrections"] == {gone: "drop"}
        for kind in ("thumbnails", "pictures", "details"):
            assert ask(server, f"/{server.token}/{kind}/{gone}")[0] == 200
        assert ask(server, f"/{server.token}/corrections", {gone: "keep"})[0] == 200
    assert corrections.read(root, "d")[gone].what == "keep"


def test_a_correction_of_a_face_that_was_cut_anew_replaces_the_old_line(root):
    (root / "corrections").mkdir()
    old, (there, *_) = "0" * 64, write_dataset(root, "d", 3)
    with open_review(root, "d") as review:
        image_id = review.catalog.rows[there]["image_id"]
    (root / "corrections/d.csv").write_text(f"{old},drop,{image_id},66 50 190 174\n")
    with open_review(root, "d") as review:
        assert review.catalog.what == {there: "drop"}
        review.correct({there: "keep"})
    assert [*corrections.read(root, "d")] == [there]


def test_one_review_at_a_time(root, server):
    with pytest.raises(UserError, match="another process reviews it"), open_review(root, "d"):
        pass
    with pytest.raises(UserError, match=f"--port {server.server_address[1]}: Address already in use"):
        Server(server.review, server.server_address[1])


def test_done_is_answered_before_it_ends(server):
    assert ask(server, f"/{server.token}/done", {})[0] == 200
    assert server.done.wait(5)


def test_a_client_that_hangs_up_is_no_error(server, capfd):
    with socket.create_connection(server.server_address) as connection:
        connection.sendall(f"POST /{server.token}/corrections HTTP/1.1\r\nHost: {server.host}\r\n".encode())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert ask(server, f"/{server.token}/items")[0] == 200
    assert capfd.readouterr().err == ""


def _serve(root: Path, pipe) -> None:
    with open_review(root, "d") as review, Server(review) as server:
        pipe.send((server.host, server.token))
        server.serve_forever()


class _Address:
    def __init__(self, host: str, token: str):
        self.host, self.token = host, token


@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.full)])
def test_killed_at_any_moment_each_acknowledged_correction_is_in_the_file(root, kills):
    ids = write_dataset(root, "d", 40)
    dice, state = random.Random(kills), {}
    for _ in range(kills):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(root, theirs), daemon=True)
        process.start()
        address, pending, last = _Address(*ours.recv()), {}, dice.randrange(10)
        with contextlib.suppress(OSError, http.client.HTTPException):
            for number in itertools.count():
                if number == last:
                    threading.Timer(dice.uniform(0, 0.02), os.kill, (process.pid, signal.SIGKILL)).start()
                pending = {dice.choice(ids): dice.choice(["keep", "drop", "hair_color=red", None])}
                assert ask(address, f"/{address.token}/corrections", pending)[0] == 200
                state |= pending
        process.join()
        found = {key: each.what for key, each in corrections.read(root, "d").items()}
        expected = [{key: what for key, what in each.items() if what} for each in (state, state | pending)]
        assert found in expected
        state = dict(found)
