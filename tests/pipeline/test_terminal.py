"""Text from outside on its way to a terminal: control characters are escaped, keys are hidden."""

import base64
import html
import io
import json
import logging
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest

from pipeline import redaction, terminal
from pipeline.funnel import funnel_row
from pipeline.web.client import _hide_keys
from pipeline.web.http import Outgoing
from pipeline.web.messages import HttpResponse
from tests.support.run_luigi import ROOT, error_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07.png", r"\x1b]0;owned\x07.png"),
        ("a\x9b31m\x7f", r"a\x9b31m\x7f"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("gpj\u202e.exe \u2066x\u2069", r"gpj\u202e.exe \u2066x\u2069"),
        ("\udcff.png", r"\udcff.png"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
        ("髪 — é 👩‍🎨", "髪 — é 👩‍🎨"),
    ],
)
def test_control_characters_are_escaped_and_letters_are_not(text, shown):
    assert terminal.visible(text) == shown
    assert funnel_row("images", "folder", "x", "unreadable", text)["detail"] == shown


@pytest.fixture
def log(monkeypatch):
    """(logger, what a handler of it wrote), with records as the commands make them."""
    monkeypatch.setattr(logging, "_logRecordFactory", terminal._Record)
    logger, written = logging.getLogger("test-terminal"), io.StringIO()
    handler = logging.StreamHandler(written)
    logger.addHandler(handler)
    yield logger, written
    logger.removeHandler(handler)


def test_arguments_of_a_log_line_add_no_line_to_it(log):
    logger, written = log
    logger.warning("%s: %s", "a\nerror: all is lost", ValueError("\x1b[2J"))
    assert written.getvalue() == "a\\nerror: all is lost: \\x1b[2J\n"


def test_a_summary_of_several_lines_stays_so_and_a_traceback_is_escaped(log):
    logger, written = log
    logger.warning("one\ntwo \x1b[2J")
    try:
        raise ValueError("\x1b[31mred")
    except ValueError:
        logger.exception("it failed")
    assert written.getvalue().startswith("one\ntwo \\x1b[2J\nit failed\nTraceback (most recent call last):\n")
    assert written.getvalue().endswith("ValueError: \\x1b[31mred\n")
    assert "\x1b" not in written.getvalue()


PROGRAMS = {
    "print": "print(text); print(text, file=sys.stderr)",
    "a warning": "import warnings; warnings.warn(text)",
    "a traceback": "raise ValueError(text)",
    "a traceback of a thread": "import threading; t = threading.Thread(target=int, args=(text,)); t.start(); t.join()",
    "the end": "sys.exit(text)",
    "the usage": "import argparse; argparse.ArgumentParser(prog=text).parse_args(['-x'])",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_whatever_a_program_prints_is_escaped(program):
    start = "import sys; from pipeline import terminal; terminal.escape_output(); text = 'a\\x1b[2J\\x9b'"
    code = f"{start}; {PROGRAMS[program]}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert not {"\x1b", "\x9b"} & set(done.stdout + done.stderr)
    assert "a\\x1b[2J" in done.stderr


def test_an_error_line_shows_what_a_name_hides(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "\x1b[31mred\nerror: fake.png").write_bytes(b"no picture")
    last = error_line(tmp_path, "BuildFaceDataset", "--source", "folder", "--path", "in")
    assert "\\x1b[31mred\\nerror: fake.png" in last


# ---- keys

KEY, LOGIN = 'a/b+C%d"e<f>&~$1{2}', "somebody"


@pytest.mark.parametrize(
    "spelled",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY),
        quote_plus(KEY),
        quote(KEY, safe="").lower(),
        quote(quote(KEY, safe="")),
        json.dumps(KEY)[1:-1],
        json.dumps(KEY)[1:-1].replace("/", "\\/"),
        json.dumps(json.dumps(KEY))[3:-3],
        "".join(f"\\u{ord(each):04X}" for each in KEY),
        html.escape(KEY),
        "".join(f"&#{ord(each)};" for each in KEY),
        "".join(f"&#x{ord(each):X};" for each in KEY),
        "".join(f"%{ord(each):02x}" for each in KEY),
        KEY.upper(),
        base64.b64encode(f"{LOGIN}:{KEY}".encode()).decode(),
        base64.urlsafe_b64encode(f"{LOGIN}:{KEY}".encode()).decode(),
    ],
)
def test_a_key_is_hidden_in_every_spelling_before_anybody_shortens_it(spelled):
    outgoing = Outgoing(login=(LOGIN, KEY))
    assert spelled.rstrip("=") not in outgoing.hide(f"no such key: {spelled}!")
    url, padding = f"https://site.example/?echo={spelled}", "x" * 280
    answer = HttpResponse(url, 403, {"x-echo": f"bASIC {spelled}"}, f"{padding}{spelled}{padding}".encode())
    reported = _hide_keys(answer, outgoing.keys)
    assert reported.url.startswith("https://site.example/?echo=…")
    assert reported.headers["x-echo"].startswith("bASIC …")
    assert reported.body.replace(b"=", b"") == f"{padding}…{padding}".encode()


def test_what_a_site_may_say_itself_stays_in_its_answers():
    outgoing = Outgoing(parameters=(("login", "hatsune_miku"), ("user_id", "1234567"), ("api_key", "0123456789abcdef")))
    answer = HttpResponse("https://site.example/", 200, {}, b'[{"id": 1234567, "tags": "hatsune_miku"}]')
    assert _hide_keys(answer, outgoing.keys) == answer
    assert outgoing.hide("hatsune_miku 1234567 0123456789ABCDEF") == "… … …"


@pytest.mark.parametrize("key", ["100%sure", "a%(x)s%%b", "${HOME}/key", "$&;<>[]^-\\1"])
def test_keys_are_remembered_and_hidden_in_all_that_is_printed(key, monkeypatch):
    monkeypatch.setattr(redaction, "_registered", set())
    redaction.register([key, "short"])
    assert terminal.visible(f"it was {quote(key)}, in short") == "it was …, in short"
