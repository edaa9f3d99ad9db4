"""What the engine of Getchu asks and how it reads pages: no sockets; the recorded layouts with made-up names."""

import contextlib
import json
import time

import pytest

from pipeline.errors import UserError
from pipeline.sources import getchu
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import BadAnswer
from pipeline.sources.web_source import Query
from pipeline.web.messages import HttpResponse, RetryLater

SITE = "https://www.getchu.com"
ADULT = {"confirm_age": "true", "genre": "pc_soft"}
CHILD = {"confirm_age": "false", "genre": "pc_soft"}
MONTH = Query("month=2015-04", SITE, options=ADULT)
ITEM = Query("id=1366941", SITE, options=ADULT)
ITEM_URL = SITE + "/item/1366941/?gc=gc"
HEADERS = {"content-type": "text/html; charset=EUC-JP"}


def answer(text, url=ITEM_URL, status=200, **headers) -> HttpResponse:
    body = text if isinstance(text, bytes) else text.encode("euc_jis_2004")
    return HttpResponse(url, status, HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}, body)


def months_items(text, query=MONTH, **cursor) -> list[str]:
    """The items that a month's page leads to."""
    at = getchu.first_cursor(query) | cursor
    following = getchu.parse(query, at, answer(text, getchu.request(query, at).url)).next
    return following["items"] if following and following["items"] else []


def offers(text, query=ITEM, **headers):
    return getchu.parse(query, getchu.first_cursor(query), answer(text, **headers)).offers


def walked(query, site, most=50):
    """(all offers, the URLs that were asked)."""
    cursor, found, urls = getchu.first_cursor(query), [], []
    for _ in range(most):
        cursor = json.loads(json.dumps(cursor))  # as a ledger gives it back
        ask = getchu.request(query, cursor)
        if ask:
            urls.append(ask.url)
        listing = getchu.parse(query, cursor, ask and site(ask.url))
        found += listing.offers
        cursor = listing.next
        if cursor is None:
            return found, urls
    raise AssertionError("the walk does not end")


# ---- What is asked


def test_a_month_is_requested_as_the_user_is_of_age():
    ask = getchu.request(MONTH, getchu.first_cursor(MONTH))
    assert ask.url == SITE + "/all/month_title.html?genre=pc_soft&gage=all&year=2015&month=04&gc=gc"
    assert (ask.cookie, ask.referer) == ("getchu_adalt_flag=getchu.com", SITE + "/")
    for options in (CHILD, {}):
        query = Query("month=2015-04", SITE, options=options)
        ask = getchu.request(query, getchu.first_cursor(query))
        assert ask.url == SITE + "/nall/month_title.html?genre=pc_soft&gage=normal&year=2015&month=04"
        assert (ask.cookie, ask.referer) == (None, SITE + "/")


def test_an_item_is_requested_at_its_own_address():
    query = Query("id=1366941, 0828812,1366941", SITE, options=CHILD)
    found, urls = walked(query, lambda url: answer("", url, 404))
    assert urls == [SITE + "/item/1366941/", SITE + "/item/828812/"]
    assert found == [Skipped("1366941", "gone", "HTTP 404"), Skipped("828812", "gone", "HTTP 404")]
    ask = getchu.request(ITEM, getchu.first_cursor(ITEM))
    assert (ask.url, ask.cookie) == (ITEM_URL, "getchu_adalt_flag=getchu.com")


def test_months_are_walked_in_order_with_their_items():
    def site(url):
        if "month_title" not in url:
            return answer(ITEM_2026, url)
        return answer(EMPTY_MONTH if "year=2014&month=12" in url else month_2015(), url)

    query = Query("month=2014-11..2015-01", SITE, options=ADULT)
    _, urls = walked(query, site)
    items = [f"{SITE}/item/{item}/?gc=gc" for item in ITEMS_2015]
    month = SITE + "/all/month_title.html?genre=pc_soft&gage=all&year={}&gc=gc"
    months = [month.format(text) for text in ("2014&month=11", "2014&month=12", "2015&month=01")]
    assert urls == [months[0], *items, *months[1:], *items]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "month=",
        "month=2015-4",
        "month=2015-13",
        "month=2015-00",
        "month=2015-05..2015-04",
        "month=1996-12",
        "month=2015-04..",
        "month=２０１５-04",
        "month=2015-04 ",
        "id=",
        "id=1,,2",
        "id=x",
        "id=0",
        "id=-1",
        "1366941",
        "id=" + "9" * 11,
        "month=9999-01",
        "tag",
        "\x1b[31m",
    ],
)
def test_other_queries_are_errors_with_what_is_expected(text):
    with pytest.raises(UserError, match=r"--query: .*month=2015-04.*id=1366941.*ids\.csv") as error:
        getchu.first_cursor(Query(text, SITE))
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confirm_age": "True"}, "confirm_age: 'True'; one of false true"),
        ({"confirm_age": ""}, "confirm_age: ''"),
        ({"genre": "games"}, "genre: 'games'; one of pc_soft dvd_game"),
    ],
)
def test_settings_are_not_guessed(options, words):
    with pytest.raises(UserError, match=words):
        getchu.first_cursor(Query("id=1", SITE, options=options))


# ---- Lists of items


def listed(tmp_path, data, name="ids.csv") -> Query:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return Query("", SITE, path=path, options=ADULT)


@pytest.mark.parametrize(
    "data",
    [
        "id\n11\n22\n",
        "11\n22\n",
        "\ufeffid\r\n11\r\n22\r\n11\r\n",
        '"ID","x"\n"11","a"\n" 22 ","b"\n',
        "\n\n 11 \n22",
        "id,gamename,sellday,links\n7,題,2015-04-24,11\n8,題,2015-05-29,22\n",  # ErogameScape's own id is another
        "id,comike\n7,11\n8,22\n",
        "name;links\na;11\nb;22\n",
        "name\tid\na\t11\nb\t22\n",
        "id\n11.0\n22.0\n",
        "links\nhttp://www.getchu.com/soft.phtml?id=11\n/item/22/?gc=gc\n",
        "a game,11\nanother,22\n",
    ],
)
def test_lists_as_people_have_them(tmp_path, data):
    query = listed(tmp_path, data)
    _, urls = walked(query, lambda url: answer("", url, 404))
    assert urls == [f"{SITE}/item/{item}/?gc=gc" for item in (11, 22)]


def test_bad_rows_are_reported_once_and_the_others_walked(tmp_path):
    query = listed(tmp_path, "id,name\n11,a\n,b\nx\x1b,c\n0,d\nhttps://evil.example/item/5/,e\n22,f\n")
    assert getchu.request(query, getchu.first_cursor(query)) is None
    found, urls = walked(query, lambda url: answer("", url, 404))
    assert [drop.source_id for drop in found] == ["line 3", "line 4", "line 5", "line 6", "11", "22"]
    assert {drop.reason for drop in found[:4]} == {"bad_url"}
    assert all(drop.detail.isprintable() for drop in found)
    assert len(urls) == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "an empty list"),
        ("id\n", "an empty list"),
        ("id\nx\ny\n", "line 2: no item but 'x'"),
        ("name,price\na,b\n", "line 1: neither names of columns nor items but 'name,price'"),
        (b"id\n11\n" + "題".encode("euc_jp"), "line 3: no UTF-8"),
        ("id\n" + "x" * 200_000, "field larger"),
        ("1\n" * 500_002, "more than .* rows"),
    ],
)
def test_lists_that_are_none(tmp_path, data, words):
    with pytest.raises(UserError, match=words):
        getchu.first_cursor(listed(tmp_path, data))


def test_a_list_that_is_no_file(tmp_path):
    for query in (Query("", SITE, path=tmp_path), Query("", SITE, path=tmp_path / "none")):
        with pytest.raises(UserError, match=r"directory|no such file"):
            getchu.first_cursor(query)
    with pytest.raises(UserError, match="'id=1' given"):
        getchu.first_cursor(Query("id=1", SITE, path=listed(tmp_path, "1").path))


def test_a_changed_list_is_another_listing(tmp_path):
    query = listed(tmp_path, "1\n2\n")
    before = getchu.first_cursor(query)
    assert len(json.dumps(before)) < 120
    assert getchu.first_cursor(listed(tmp_path, "1\n3\n")) != before
    with pytest.raises(UserError, match="changed since"):
        getchu.request(query, before)


def test_a_long_list_is_walked_in_short_time(tmp_path):
    query = listed(tmp_path, "id\n" + "\n".join(map(str, range(1, 100_000))))
    start, cursor = time.perf_counter(), getchu.first_cursor(query)
    for at in range(100):
        cursor = getchu.parse(query, cursor, answer("", getchu.request(query, cursor).url, 404)).next
        assert cursor["at"] == at + 1
    assert time.perf_counter() - start < 5


# ---- Months

FORM = (
    '<form action="/all/month_title.html" method="get"><select name="year"><option>2015</select></form>'
    '<a href="./month_title.html?genre=pc_soft&gage=&year=2015&month=03">前の月</a>'
)
META = '<meta http-equiv="Content-Type" content="text/html; charset=EUC-JP">'
SIDE = """<div class="content_side"><a href="/soft.phtml?id=900001" class="content_side_a_img"><img
src="/brandnew/900001/c900001package_100.jpg"></a><a href="/soft.phtml?id=900001">脇の題</a>
<a href="/soft.phtml?id=900002"><img src="http://www.getchu.com/brandnew/900002/c900002package_100.jpg"></A></div>"""
EMPTY_MONTH = f"<html><head>{META}<title>発売日一覧</title></head><body>{FORM}{SIDE}</body></html>"


def product_2015(item, href):
    return f"""<div style="float: left; width:210px; height:365px;"><TABLE border=0>\r
<TR><TD valign="middle" align="center"><A href="{href}" class="black">\r\n題{item}①　初回限定版</A><br>
<A href="{href}"  >\n<IMG src="http://www.getchu.com/brandnew/{item}/c{item}package_ss.jpg" border="0"></A><br>
会社♥<br><SPAN class=black>（定価￥5,184）</SPAN><BR></TD></TR><TR><TD><div class="cart_block">通販価格
<A HREF="https://order.zams.biz/comike/cart.phtml?gc=gc&article_id=77{item}">買う</A></div></TD></TR></TABLE></div>"""


HREFS_2015 = {
    "828812": "/soft.phtml?id=828812 ",
    "828813": "./soft.phtml?id=828813",
    "828814": "../soft.phtml?id=828814&amp;gc=gc",
    "828815": "http://www.getchu.com/soft.phtml?id=828815",
    "828816": "soft.phtml?id=828816#chara",
    "828817": "/item/828817/?gc=gc",
}
ITEMS_2015 = list(HREFS_2015)


def month_2015(body=None) -> str:
    products = [product_2015(item, href) for item, href in HREFS_2015.items()]
    return f"""<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN"><HTML><HEAD>{META}
<title>2015年4月 美少女ゲーム</title></HEAD><body><table><tr><td>{SIDE}</td><td>{FORM}
<div class="category_pc_t"><div class="category_pc_t2">今週のおすすめ</div></div><div class="category_pc_b">
<A href="/soft.phtml?id=900003"><img src="/brandnew/900003/c900003package_ss.jpg"></A></div>
<div class="category_pc_t"><div class="category_pc_t2">\r\n2015年4月17日発売タイトル</div></div>
<div class="category_pc_b"><TABLE width="100%"><TR><TD>{body or "".join(products[:3])}</TD></TR></TABLE></div>
<!-- <A href="/soft.phtml?id=900004" class="black"><img src="/brandnew/900004/c900004package_ss.jpg"></A> -->
<div class="category_pc_t"><div class="category_pc_t2">2015年4月24日発売 タイトル</div></div>
<div class="category_pc_b"><TABLE><TR><TD>{"".join(products[3:]) if body is None else ""}</TABLE></div>
</td></tr></table>{SIDE}</body></HTML>"""


def test_a_month_of_2015():
    assert months_items(month_2015()) == ITEMS_2015


def test_a_bonus_in_the_main_column_is_an_item_too():
    bonus = product_2015("1", "/soft.phtml?id=1").replace(
        "</TD></TR><TR>", '<A href="/soft.phtml?id=2" class="blues">★特典★</a></TD></TR><TR>'
    )
    assert months_items(month_2015(bonus)) == ["1", "2"]


@pytest.mark.parametrize(
    "body",
    [
        '<table><tr><td class="dd"><a href="/soft.phtml?id=1">題</a></td></tr><tr><td class=dd>'
        '<a href="/soft.phtml?id=2">題</a>',
        '<div class="product"><a class="black" href="/soft.phtml?id=1">題</a></div><div class="product x">'
        '<a class="black" href="/soft.phtml?id=2">題</a></div>',
        '<div class="category_pc_t2">5月29日</div><div class="div_product"><a href="/item/1/" class="black">題<br>'
        "(社)</a>"
        '<img src="/brandnew/1/c1package_s.jpg"></div><div class="div_product"><a href="/item/2/">題</a></div>',
        '<div class="category_pc_t2">2026年5月29日発売タイトル</div><div class="div_product"><a class="black" '
        'href="https://www.getchu.com/item/1/?gc=gc">題</a></div><div class="div_product">'
        "<A HREF='/item/2'>題</A></div>",
        '<a href="/item/1/"><img src="/brandnew/1/c1package_s.jpg"></a><a href=/item/2/>'
        "<img src=/brandnew/2/rc2package_ss.jpg>",
    ],
)
def test_months_of_later_layouts(body):
    assert months_items(f"<html><title>発売</title>{FORM}{SIDE}{body}{SIDE}</html>") == ["1", "2"]


def test_an_item_of_both_columns_is_of_the_month():
    assert months_items(month_2015(product_2015("900002", "/soft.phtml?id=900002"))) == ["900002"]


def test_boxes_that_are_not_closed_let_no_side_column_in():
    page = month_2015().replace("</TD></TR></TABLE></div>", "", 1).replace("</TABLE></div>\n</td></tr></table>", "")
    assert months_items(page) == ITEMS_2015


@pytest.mark.parametrize(
    "page",
    [
        EMPTY_MONTH,
        EMPTY_MONTH.replace(SIDE, ""),
        "<title>1999年1月発売</title><a href='/all/month_title.html'>月</a>",
        month_2015("<b>この月の題はありません</b>"),
    ],
)
def test_an_empty_month_is_passed_over(page):
    page = page.replace("900003", "900001")  # the recommended one stands in the side column too
    assert months_items(page) == []


@pytest.mark.parametrize(
    "page",
    [
        "<html><body>maintenance</body></html>",
        "",
        "<title>メンテナンス</title>ただいまメンテナンス中です",
        "\0",
        month_2015().replace("category_pc_b", "renamed").replace("package_ss", "thumbnail"),
        month_2015().replace("category_pc_t2", "renamed").replace("package_ss", "thumbnail").replace('"black"', '"x"'),
        f"{FORM}<div class=grid><a href='/item/5/'>題</a></div>",
        "<title>題</title><a href='/nall/month_title.html?genre=x'>",
        f"{EMPTY_MONTH}<a href='/item/5/'><img src='/brandnew/5/c5cover.webp'></a>",
    ],
)
def test_a_page_without_items_that_are_found_is_an_error(page):
    with pytest.raises(BadAnswer, match="page without items: has the layout changed"):
        months_items(page)


@pytest.mark.parametrize("where", ["url", "title"])
def test_a_months_gate_is_an_error_with_a_cure(where):
    url = SITE + ("/php/attestation.html?aurl=x" if where == "url" else "/all/month_title.html")
    text = "<title>年齢認証ページ</title>" if where == "title" else "<title>x</title>"
    with pytest.raises(BadAnswer, match=r"asks for the age.*confirm_age = true"):
        getchu.parse(MONTH, getchu.first_cursor(MONTH), answer(text, url))


# ---- Items


def row(number, name, item="1366941", prefix="/"):
    return f"""<tr><td valign="middle"><img src="{prefix}brandnew/{item}/c{item}chara{number}.jpg"
alt="架空の題 | キャラクター紹介-{number}" loading="lazy" style="border:none;"></td>
<td valign="middle" class="chara-text"><dl><dt><h4 class="chara-name"><span class="bootstrap">{name}</span></h4></dt>
<dd><span class="bootstrap">説明　CV：だれか</span></dd></dl></td></tr><tr><td colspan="3"><hr></td></tr>"""


def item_2026(rows) -> str:
    return f"""    <!DOCTYPE html><html><head>{META}
<title>架空の題Ⅱ | 美少女ゲーム・アニメ通販ならGetchu.com(げっちゅ屋)
</title><meta property="og:image" content="/brandnew/1366941/c1366941package.jpg"></head><body>
<ul><li><a href="/nall/month_title.html?genre=pc_soft">月</a></ul>
<h2 id="soft-title" style="margin:0;"> 架空の題Ⅱ <nobr><a href="/php/nsearch.phtml?search_reference_id=1">
（このタイトルの関連商品）</a></nobr></h2><a href="/brandnew/1366941/c1366941package.jpg">
<img src="/brandnew/1366941/rc1366941package.jpg"></a>
<table id="soft_table"><tr><td><table><tr><td align="right">ブランド：</td><td>
<a href="/x" id="brandsite">Studio ㈱①</a>
<a href="/y">（このブランドの作品一覧）</a></td></tr><tr><td>発売日：</td><td>2026/11/26</td></tr>
<tr><td>原　画：</td><td>
<a href="/a">絵師 一</a>、<a href="/b">絵師♥二</a><br>三人目</td></tr></table></table>
<h3 class="tabletitle">&nbsp;キャラクター</h3><table>{rows}</table><h3 class="tabletitle">&nbsp;サンプル画像</h3>
<a href="/brandnew/1366941/c1366941sample1.jpg" class="highslide"><img src="/brandnew/1366941/c1366941sample1_s.jpg"
alt="サンプル画像1"></a><img src="/brandnew/1366941/1366941novelty1.jpg" alt="キャラ色紙">
<img src="/brandnew/7/c7chara1.jpg" alt="他の題"><img src="/brandnew/1366941/c1366941icon_50.jpg"></body></html>"""


ITEM_2026 = item_2026(row(1, "白鷺　花音  CV：声の人") + row(2, "Ⅱ世㌢"))


def test_an_item_of_2026_is_read_whole():
    first, second = offers(ITEM_2026)
    assert (first.source_id, second.source_id) == ("1366941/chara1", "1366941/chara2")
    assert first.file_url == SITE + "/brandnew/1366941/c1366941chara1.jpg"
    assert (first.page_url, first.title) == (SITE + "/item/1366941/", "白鷺 花音")
    assert (first.artist, first.rating, first.md5) == ("絵師 一, 絵師♥二, 三人目", None, None)
    assert first.tags == ("架空の題ⅱ", "studio_㈱①", "白鷺_花音")
    assert second.title == "Ⅱ世㌢"


OLD_ROW = """<TR><TD><a name="chara1" id="chara1"></a>
<IMG src="{prefix}brandnew/748164/c748164chara1.jpg" alt="キャラ1" width="250" height="300" style="border:none;">
</TD><TD valign="middle" align="left" class="chara-text"><DL style="line-height:150%"><DT><STRONG>
<h2 class="chara-name">主人公<br><charalist>夜霧 紗良</charalist> （よぎり さら）　CV：だれか</h2></STRONG>
<DD>説明：文</DL></TD>{third}</TR>"""
OLD = """<html><head>{meta}<TITLE>昔の題 | げっちゅ屋</TITLE></HEAD><BODY><H1 id="soft-title">昔の題
<a>（このタイトルの関連商品）</a></H1><TABLE id=soft_table>
<TR><TD>ブランド<TD>昔の社<TR><TD>原画：<TD>絵師A／絵師B</TABLE>
<div class="tabletitle">&nbsp;キャラクター</div><TABLE>{rows}</TABLE>"""


@pytest.mark.parametrize("prefix", ["/", "./", "../", "../../", "http://www.getchu.com/", " //www.getchu.com/", "\n/"])
def test_an_item_of_2013_in_each_spelling_of_its_address(prefix):
    query = Query("id=748164", "http://127.0.0.1:8000", options=CHILD)
    page = OLD.format(meta=META, rows=OLD_ROW.format(prefix=prefix, third=""))
    for url in ("http://127.0.0.1:8000/item/748164/", "http://127.0.0.1:8000/soft.phtml?id=748164"):
        (offer,) = getchu.parse(query, getchu.first_cursor(query), answer(page, url)).offers
        assert offer.file_url == "http://127.0.0.1:8000/brandnew/748164/c748164chara1.jpg"
        assert (offer.source_id, offer.title, offer.rating) == ("748164/chara1", "夜霧 紗良", "general")
        assert (offer.artist, offer.page_url) == ("絵師A, 絵師B", "http://127.0.0.1:8000/item/748164/")
        assert offer.tags == ("昔の題", "昔の社", "夜霧_紗良")


@pytest.mark.parametrize(
    "third",
    [
        '<TD><a href="./brandnew/748164/c748164chara1_all.jpg" class="highslide">立ち絵</a></TD>',
        '<TD><a href="./brandnew/748164/c748164chara1_all.jpg">'
        '<img src="/brandnew/748164/c748164chara1_all_s.jpg"></a>',
        '<TD><a href="/brandnew/748164/c748164chara1b.jpg "><img src="/brandnew/748164/c748164chara1b.jpg"></a>',
    ],
)
def test_whole_figures_of_rows_with_three_cells_are_left_out(third):
    query = Query("id=748164", SITE, options=ADULT)
    page = OLD.format(meta=META, rows=OLD_ROW.format(prefix="/", third=third))
    assert [offer.source_id for offer in offers(page, query)] == ["748164/chara1"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("花音", "花音"),
        ("花音（かのん）　CV：誰か", "花音"),
        ("主人公<br>花音", "花音"),
        ("花音<br>（かのん）", "花音"),
        ("花音 (CV:誰)", "花音"),
        ("花音［ＣＶ：誰］", "花音"),
        ("花音 声優／誰", "花音"),
        ("花音<br>CV：誰<br>身長：150", "花音"),
        ("花音<br>身長：150cm", "花音"),
        ("【妹】花音", "花音"),
        ("花音（かのん） 三年生", "花音"),
        ("花音CV：誰", "花音"),
        ("<!-- 旧名 -->花音<script>x</script>", "花音"),
        ("桜<b>木</b> 花", "桜木 花"),
        ("Ａｎｎａ　Ｂ", "Ａｎｎａ Ｂ"),
        ("", "架空の題Ⅱ"),
        ("CV：誰", "架空の題Ⅱ"),
        ("（）", "架空の題Ⅱ"),
        ("&nbsp;", "架空の題Ⅱ"),
    ],
)
def test_names_of_characters(text, name):
    (offer,) = offers(item_2026(row(1, text)))
    assert offer.title == name


def test_names_keep_to_their_rows():
    nameless = row(2, "x").replace("chara-name", "other")
    imageless = row(3, "三").replace("<img ", "<i ")
    assert [offer.title for offer in offers(item_2026(row(1, "一") + nameless + imageless + row(4, "四")))] == [
        "一",
        "架空の題Ⅱ",
        "四",
    ]
    hr = '<tr><td colspan="3"><hr></td></tr>'
    two = (row(1, "一") + row(2, "二")).replace(hr, "").replace("</tr><tr>", "")
    assert [offer.title for offer in offers(item_2026(two))] == ["一", "二"]
    twice = row(1, "一").replace("<img ", '<img src="/brandnew/1366941/c1366941chara1b.jpg"><img ', 1)
    assert [offer.title for offer in offers(item_2026(twice))] == ["一", "一"]


def test_pictures_of_other_names_go_by_their_text():
    page = item_2026(row(1, "一")).replace("c1366941chara1", "person1")
    assert [offer.source_id for offer in offers(page)] == ["1366941/person1"]
    page = item_2026(row(1, "一")).replace("c1366941chara1", "1366941_CHARA1").replace(".jpg", ".PNG")
    assert [offer.source_id for offer in offers(page)] == ["1366941/_CHARA1"]


def test_each_picture_comes_once_and_names_do_not_clash():
    rows = (
        row(1, "一") + row(1, "一", prefix="http://www.getchu.com/") + row(1, "二").replace("/c1366941chara", "/chara")
    )
    assert [offer.source_id for offer in offers(item_2026(rows))] == ["1366941/chara1", "1366941/chara1.jpg"]


def test_an_item_without_characters_is_none():
    assert offers(item_2026("")) == []
    assert offers(item_2026("") + "ご注文の受付は停止中です") == []
    assert offers(item_2026(row(1, "一").replace("<img ", "<i "))) == []


@pytest.mark.parametrize(
    "page",
    [
        "<html><body>maintenance</body></html>",
        "",
        "<title>ご注文の受付は停止中です</title>",
        b"\xff\xfe\xfa" * 50,
        "<!-- " + ITEM_2026.replace("<!--", "").replace("-->", ""),
    ],
)
def test_a_page_without_an_item_is_an_error(page):
    with pytest.raises(BadAnswer, match="page without an item"):
        offers(page)


def test_characters_whose_pictures_have_changed_are_an_error():
    page = item_2026(row(1, "一")).replace("c1366941chara1.jpg", "p1.jpg").replace("キャラクター紹介", "人物")
    with pytest.raises(BadAnswer, match=r"pictures of another kind.*p1\.jpg"):
        offers(page)


def test_a_gate_is_a_drop_that_says_what_to_do():
    gate = "<title>年齢認証ページ | Getchu.com(げっちゅ屋)</title><a href='/item/1/?gc=gc'>【すすむ】</a>"
    for options, words in ((CHILD, "18 or older"), (ADULT, "in spite of confirm_age")):
        query = Query("id=1,2", SITE, options=options)
        for page in (answer(gate), answer("<p>x", SITE + "/php/attestation.html?aurl=https://www.getchu.com/item/1/")):
            listing = getchu.parse(query, getchu.first_cursor(query), page)
            (drop,) = listing.offers
            assert (drop.source_id, drop.reason, listing.next["at"]) == ("1", "age_gate", 1)
            assert words in drop.detail


@pytest.mark.parametrize(
    ("page", "headers"),
    [
        (ITEM_2026.replace("<head>", '<head><META NAME="Robots" content="index, noai">'), {}),
        (ITEM_2026, {"x_robots_tag": "all\notherbot: noimageai"}),
        (ITEM_2026, {"tdm_reservation": "1"}),
        (ITEM_2026.replace("<head>", '<head><meta name="anime-face-gans" content="noindex">'), {}),
    ],
)
def test_an_item_that_opts_out_is_left_alone(page, headers):
    (drop,) = offers(page, **headers)
    assert (drop.source_id, drop.reason) == ("1366941", "opted_out")
    assert drop.detail


@pytest.mark.parametrize(
    ("query", "status", "error", "words"),
    [
        (ITEM, 403, BadAnswer, "HTTP 403; .*; wait some hours"),
        (MONTH, 403, BadAnswer, "HTTP 403"),
        (ITEM, 429, RetryLater, "429"),
        (MONTH, 429, RetryLater, "429"),
        (MONTH, 404, BadAnswer, "HTTP 404"),
        (ITEM, 400, BadAnswer, "HTTP 400"),
    ],
)
def test_refusals(query, status, error, words):
    with pytest.raises(error, match=words):
        getchu.parse(query, getchu.first_cursor(query), answer("", status=status))


@pytest.mark.parametrize(
    ("headers", "codec"),
    [
        ({"content-type": "text/html; charset=EUC-JP"}, "euc_jis_2004"),
        ({}, "euc_jis_2004"),
        ({"content-type": "text/html"}, "utf-8"),
        ({"content-type": "text/html; charset=UTF-8"}, "utf-8"),
        ({"content-type": "text/html; charset=iso-8859-1"}, "euc_jis_2004"),
        ({"content-type": "x; charset=johab"}, "utf-8"),
        ({"content-type": "text/html; charset=utf-8"}, "euc_jis_2004"),
    ],
)
@pytest.mark.parametrize("meta", [META, "", '<meta charset="utf-8">'])
def test_pages_are_decoded_whatever_they_say(headers, codec, meta):
    page = HttpResponse(ITEM_URL, 200, headers, ITEM_2026.replace(META, meta).encode(codec))
    assert [offer.title for offer in getchu.parse(ITEM, getchu.first_cursor(ITEM), page).offers] == [
        "白鷺 花音",
        "Ⅱ世㌢",
    ]


def test_a_few_damaged_characters_cost_no_more_than_themselves():
    body = ITEM_2026.encode("euc_jis_2004").replace("説明".encode("euc_jp"), b"\x8f\xff", 1)
    page = HttpResponse(ITEM_URL, 200, HEADERS, body)
    assert [offer.title for offer in getchu.parse(ITEM, getchu.first_cursor(ITEM), page).offers] == [
        "白鷺 花音",
        "Ⅱ世㌢",
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page.replace("</td>", ""),
        lambda page: page.replace("</tr>", "").replace("</td>", ""),
        lambda page: page.replace("<table>", ""),
        lambda page: page.replace("</div>", "").replace("</a>", ""),
        lambda page: page.replace('"', ""),
        lambda page: page.replace("<tr>", "<tr><form><font><b>"),
        lambda page: page[:-200],
        lambda page: page.replace("\n", "\r\n"),
        lambda page: "</div></td>" * 50 + page,
        lambda page: page.replace("<h3", "<!DOCTYPE html><html><body></html><h3"),
        lambda page: page.replace("<td", "<TD"),
        lambda page: page.replace("<body>", "<body><!--[if IE]><p><![endif]-->\0<noscript>"),
    ],
)
def test_pages_as_messy_as_they_come(change):
    page = change(ITEM_2026.replace(' style="margin:0;"', "").replace(' style="border:none;"', ""))
    assert [offer.source_id for offer in offers(page)] == ["1366941/chara1", "1366941/chara2"]
    months = change(month_2015().replace(' style="float: left; width:210px; height:365px;"', ""))
    assert {*ITEMS_2015} <= {*months_items(months)} <= {*ITEMS_2015, "900003"}


# ---- Hostile pages

IMAGE = '<img src="/brandnew/1366941/c1366941chara1.jpg">'


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 2_000_000,
        "<div>" * 24_000 + "</b>" * 24_000,
        "<a href='" + "x" * 100_000,
        "<a" * 900_000,
        "<" * 49_000,
        "<img " + " ".join(f"a{number}=b" for number in range(190_000)) + ">",
        "&amp;" * 400_000,
        "&#" + "1" * 1_000_000,
        "<!--" * 49_000,
        "<?" * 49_000,
        "<![CDATA[" * 49_000,
        "<table><tr><td>" * 330 + "<img src=/brandnew/1/c1chara.jpg>" * 40_000,
        "<tr>" * 900 + IMAGE * 40_000,
        "<table><tr class=chara-name>" * 300 + IMAGE * 2_900 + "<a href=/item/1/>x</a>" * 20_000,
        "<div class='category_pc_t2'>" * 990 + "<a href=/item/1/>" * 40_000,
        "<a href=/item/1/>" * 49_000,
        " " * 2_000_000,
        "<td>原画" + " " * 1_000_000 + "x</td>",
        "<h4 class=chara-name>" + "（" * 500_000,
        "<title>" + "|" * 1_900_000,
        "<h4 class=chara-name>" * 900 + "<br>" * 40_000,
        "<p id=soft-title>" + "| " * 900_000,
        "\0" * 2_000_000,
        "<table><tr>" * 400 + f"<td>{IMAGE}<h4 class=chara-name>{' ' * 1000}</h4>" * 900,
        "<a href='" + "\x01 " * 900_000 + "'>",
        "<i class='" + "a " * 900_000 + "'>",
        "<td>" * 24_000 + "ブランド" + "</p>" * 24_000,
    ],
)
def test_hostile_pages_cost_seconds_at_most(page):
    body = page.encode("euc_jis_2004", "replace")
    for query in (ITEM, MONTH):
        start = time.process_time()
        with contextlib.suppress(BadAnswer):
            getchu.parse(query, getchu.first_cursor(query), HttpResponse(ITEM_URL, 200, HEADERS, body))
        assert time.process_time() - start < 15
