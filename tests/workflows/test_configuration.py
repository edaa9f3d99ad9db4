"""luigi.cfg as people and tools damage it: one clear line each, and no key in it."""

import os
import subprocess
import sys

import pytest
from luigi.configuration import LuigiConfigParser, get_config

from pipeline.errors import UserError
from pipeline.sources.registry import SOURCES
from pipeline.sources.web_source import WebSource
from pipeline.store import Store
from pipeline.web.http import IDENTIFIERS
from tests.support.run_luigi import ROOT, error_line, last_line
from workflows.cli import configuration
from workflows.cli.site_config import build_crawl
from workflows.face_dataset import assets_folder

KEY = "SuperSecretKey0123456789"
DAMAGED = {
    "no section": (f"api_key = {KEY}\n", "line 1 is in no section"),
    "no option": (f"[gelbooru]\nuser_id = 1\n{KEY}\n", "line 3 is no option"),
    "a section twice": (f"[gelbooru]\napi_key = {KEY}\n[gelbooru]\n", r"line 3: a second section \[gelbooru\]"),
    "an option twice": (f"[gelbooru]\napi_key = {KEY}\napi_key = {KEY}\n", r"line 3: api_key in \[gelbooru\]"),
    "a mark": (b"\xef\xbb\xbf[web]\n", "byte order mark"),
    "UTF-16": ("[web]\n".encode("utf-16"), "byte order mark"),
    "Latin-1": (b"[web]\ncontact = J\xf6rg\n", "line 2 is no"),
    "a folder": (None, "directory"),
    "no boolean": ("[core]\nautoload_range = perhaps\n", "autoload_range"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_reported_by_its_line(name, tmp_path):
    text, words = DAMAGED[name]
    path = tmp_path / "luigi.cfg"
    path.mkdir() if text is None else path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=words) as error:
        configuration.check_file(path)
    assert KEY not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "\n", "[web]\r\ncontact = a@b.org\r\n", "[a]\nb = 100%\n", "[a]\n\tb: c\n# d\n"])
def test_what_luigi_can_read_passes(text, tmp_path):
    (tmp_path / "luigi.cfg").write_text(text)
    configuration.check_file(tmp_path / "luigi.cfg")
    configuration.check_file(tmp_path / "none.cfg")


def test_python_m_workflows_tells_it_in_one_line(tmp_path):
    (tmp_path / "luigi.cfg").write_text(f"[gelbooru]\n{KEY}\n")
    command = [sys.executable, "-m", "workflows", "BuildFaceDataset"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert last_line(done).startswith("error: luigi.cfg: line 2 is no option")
    assert KEY not in done.stderr


@pytest.fixture
def config(monkeypatch):
    """config(text) -> Luigi's configuration, with that text for a file."""

    def read(text: str) -> LuigiConfigParser:
        parser = LuigiConfigParser()
        parser.read_string(text)
        monkeypatch.setattr(LuigiConfigParser, "_instance", parser)
        return get_config()

    return read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[resources]\nx = 5%", r"\[resources\] x: its value cannot be expanded"),
        ("[resources]\nx = many", r"\[resources\] x: 'many' given; a whole number"),
        ("[core]\nlog_level = NOISY", r"\[core\] log_level: 'NOISY' given; one of CRITICAL DEBUG"),
        ("[core]\nno-lock = perhaps", r"\[core\] no_lock: 'perhaps' given; true or false"),
        ("[core]\nworkers = two", r"\[core\] workers: 'two' given; a whole number"),
        ("[core]\nworkers = 0", r"\[core\] workers: fewer than one"),
        ("[core]\ndefault-scheduler-port = x", r"\[core\] default_scheduler_port: 'x' given; a whole number"),
        ("[core]\nno_configure_logging = x", r"\[core\] no_configure_logging"),
        ("[retcode]\ntask_failed = x", r"\[retcode\] task_failed: 'x' given; a whole number"),
        ("[BuildFaceDataset]\nrefresh = maybe", r"\[BuildFaceDataset\] refresh: 'maybe' given; true or false"),
        ("[ScrapeImages]\nlimit = 1e3", r"\[ScrapeImages\] limit: '1e3' given; a whole number"),
        (f"[core]\nfoo = {KEY}%", r"\[core\] foo: its value cannot be expanded"),
        (f"[retcode]\nnot_run = %({KEY}", r"\[retcode\] not_run: its value cannot be expanded"),
        (
            f"[DEFAULT]\napi_key = {KEY}${{NO_SUCH_VARIABLE}}\n[core]",
            r"\[DEFAULT\] api_key: its value cannot be expanded",
        ),
    ],
)
def test_a_value_that_luigi_cannot_use_is_reported_by_section_and_option(config, text, words):
    config(text)
    with pytest.raises(UserError, match=words) as error:
        configuration.check_values()
    assert KEY not in str(error.value)


def test_values_that_are_right_pass(config):
    config("[core]\nlog_level = INFO\nworkers = 2\n[retcode]\ntask_failed = 30\n[gelbooru]\napi_key = 100%\n[x]\ny=$")
    configuration.check_values()


@pytest.mark.parametrize("key", [f"{KEY}%", f"{KEY}%(x)s", f"{KEY}${{HOME}}", f"${KEY}%%", f"{KEY};#"])
def test_a_key_is_used_as_it_is(config, tmp_path, key):
    config(f"[gelbooru]\napi_key = {key}\nuser_id = 5\n")
    assert build_crawl("gelbooru", "solo", None, Store(tmp_path)).query.keys == {"api_key": key, "user_id": "5"}


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{KEY}@site.example",
        f"http://{KEY}@[::1",
        "http://[::1",
        "http://x:99999999",
        "file:///etc/passwd",
        "http://x\n  rate = 0",
        "http://a b",
        "site.example",
        "http://site.example/?a=b",
    ],
)
def test_an_address_that_is_none_is_reported_without_its_password(config, tmp_path, url):
    config("")["gelbooru"] = {"base_url": url}
    with pytest.raises(UserError, match=r"\[gelbooru\] of luigi.cfg: base_url") as error:
        build_crawl("gelbooru", "solo", None, Store(tmp_path))
    assert KEY not in str(error.value)


def test_all_keys_of_all_sources_are_known_as_keys():
    keys = {key for site in SOURCES.values() if isinstance(site, WebSource) for key in site.keys}
    assert keys - IDENTIFIERS == set(configuration.KEYS)


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--query", "-comic"), "given as --query=-comic"),
        (("--path", "--x"), "given as --path=--x"),
        (("--size",), "given as --size=-VALUE"),
        (("--logging-conf-file", "nosuch"), "nosuch: there is no such file"),
        (("--logging-conf-file", "empty.cfg"), "empty.cfg: no configuration of logging"),
    ],
)
def test_a_slip_on_the_command_line_comes_with_its_cure(tmp_path, arguments, words):
    (tmp_path / "empty.cfg").write_text("[x]\n")
    assert words in error_line(tmp_path, "BuildFaceDataset", *arguments)


@pytest.mark.parametrize("folder", ["/tmp/100%q", "/tmp/${NO_SUCH}", "%(x)s"])
def test_the_folder_of_assets_is_taken_as_it_is(folder, config):
    config(f"[assets]\nfolder = {folder}\n")
    assert str(assets_folder()) == folder
