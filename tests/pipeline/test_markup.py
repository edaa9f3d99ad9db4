"""Text from elsewhere on a card, rendered."""

import re

import markdown  # of tensorboard
import pytest

from pipeline.datasets.card import card
from pipeline.datasets.kinds import FACE_KIND
from pipeline.funnel import FUNNEL
from pipeline.markup import MAX_LENGTH, code, escape_markdown, table_rows
from tests.pipeline.test_manifest import row, table

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "`x` <script>alert(1)</script>",
    "</td></table><b>",
    "<!-- hidden",
    "&lt;b&gt;",
    "[free](javascript:alert(1))",
    "![](http://a.example/p.png)",
    "[x]: http://a.example",
    "[^1]",
    "<http://a.example>",
    "a | b | c",
    "a\n# heading",
    "---\ntitle: x",
    "- item",
    "12. item",
    "**b** _i_ ~~s~~",
    "{: onclick=alert(1) }",
    "``` a",
    "a\\",
    "\\` \\|",
    "$$x$$",
    "x]]](",
    "`",
    "\u2028<b>",
]
OURS = re.compile(r'</?(table|thead|tbody|tr|th|td|code|p)( style="[^"]*")?>')


@pytest.mark.parametrize("show", [escape_markdown, code])
@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_shown_and_does_nothing(text, show):
    rows = table_rows([(show(text), show("plain")), (show("plain"), show(text))])
    page = markdown.markdown(f"| a | b |\n|---|---|\n{rows}\n\n{show(text)}\n", extensions=["extra"])
    assert "<" not in OURS.sub("", page)
    assert page.count("<td") == 4
    assert page.count("plain") == 2


@pytest.mark.parametrize("text", ["http://a.example/x", "www.a.example", "a@b.example", "a.example"])
def test_an_address_is_left_no_form_that_renderers_link(text):
    assert not re.search(r"://|www\.|@|\.[a-z]", escape_markdown(text))
    assert code(text) == f"`{text}`"


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\u202eb", "a\x00b", "a\u2066b", "a\udcffb"])
def test_control_characters_and_turns_of_direction_are_shown_as_none(text):
    for show in (escape_markdown, code):
        assert show(text).encode().decode().isprintable()
        assert "\ufffd" in show(text)


def test_long_text_is_cut_and_plain_text_is_left_as_it_is():
    assert len(code("x" * 10_000_000)) <= MAX_LENGTH + 2
    assert escape_markdown("CC BY-SA 4.0 (日本語)") == "CC BY-SA 4.0 (日本語)"
    assert code(1.5) == "`1.5`"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_field_of_a_card_is_markup(text):
    faces = table(row(license=text, group="i1"))
    funnel = FUNNEL.empty_table()
    page = card(FACE_KIND, faces, funnel, 1, {text: text, "query": text})
    plain = card(FACE_KIND, table(row(license="plain", group="i1")), funnel, 1, {"plain": "plain", "query": "plain"})
    pages = [markdown.markdown(each.split("---\n", 2)[2], extensions=["extra"]) for each in (page, plain)]
    tags = [re.findall("<[^>]*>?", re.sub("</?code>", "", each)) for each in pages]
    assert tags[0] == tags[1]


def test_a_card_has_no_row_for_each_of_thousands_of_licences():
    faces = table(*(row(face_id=str(number), license=f"licence {number}") for number in range(1000)))
    assert "| 800 others | 800 |" in card(FACE_KIND, faces, FUNNEL.empty_table(), 1, {})
