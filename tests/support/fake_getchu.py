"""Getchu, as far as its month lists, item pages and pictures go, below site.url + "/getchu"; part of stand_in.

ITEMS tells what there is. Pages are EUC-JP with characters that Python's euc_jp does not know; what was root-relative
on the site is so here with /getchu before it. All titles and names are made up.
"""

import html
import io
import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from PIL import Image, ImageOps

from tests.support.fake_site import FAULTS, ROUTES, Call, FakeSite, Reply, as_file, saved

SITE_NAME = "美少女ゲーム・アニメ通販ならGetchu.com(げっちゅ屋)"
OLD_HEAD = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN">
<HTML><HEAD><META http-equiv="Content-Type" content="text/html; charset=EUC-JP">\r
"""
NEW_HEAD = """    <!DOCTYPE html>
<html lang="ja"><head><meta http-equiv="Content-Type" content="text/html; charset=EUC-JP">
"""
AGES = {"all": (False, True), "adult": (True,), "normal": (False,)}
FLAG = "getchu_adalt_flag=getchu.com"
SIDE_IDS = (748101, 777777)  # what the side columns of all month lists name; the second has no page any more


class Character(NamedTuple):
    name: str
    voice: str = ""
    has_image: bool = True
    has_body: bool = False  # a third cell, with a link to a picture from head to foot


class Item(NamedTuple):
    id: int
    title: str
    day: str
    brand: str
    characters: tuple[Character, ...] = ()
    is_adult: bool = True
    is_new: bool = False  # its page is laid out as in 2026, not as in 2013 to 2015
    samples: int = 2

    heading = property(lambda item: html.escape(item.title))


ITEMS = {
    item.id: item
    for item in (
        Item(
            748101,
            "放課後♥しおりノート",
            "2014/03/28",
            "空色ポケット",
            is_adult=False,
            characters=(
                Character("朝比奈 つぐみ", "花田るり"),
                Character("榎本 しずく", "森野あお"),
                Character("九条 ましろ"),
            ),
        ),
        Item(
            828801,
            "①番目の月と約束　初回限定版",
            "2015/04/17",
            "夜汽車ソフト",
            characters=(
                Character("月島 りん", "花田るり", has_body=True),
                Character("星川 みお", "水野れい", has_body=True),
                Character("担任の先生", has_body=True),
            ),
        ),
        Item(828802, "①番目の月と約束　通常版", "2015/04/17", "夜汽車ソフト"),
        Item(
            828803,
            "風鈴坂Ⅱ 〜硝子の午後〜",
            "2015/04/24",
            "空色ポケット",
            is_adult=False,
            characters=(
                Character("風間 すずね", "沢村ゆき"),
                Character("主人公", has_image=False),
                Character("三枝 こよみ"),
            ),
        ),
        Item(
            828804, "髙嶺の花と30㌢の恋 & 紅茶", "2015/04/24", "㈱ひだまり工房", (Character("髙嶺 あやの", "水野れい"),)
        ),
        Item(
            1366901,
            "星屑㈱ルミナ♥開店前夜",
            "2026/11/27",
            "夜汽車ソフト",
            is_new=True,
            samples=4,
            characters=(
                Character("綾瀬 ゆいな", "花田るり"),
                Character("小鳥遊 のあ", "水野れい"),
                Character("ルミナ"),
                Character("雪村 ちとせ", "森野あお"),
            ),
        ),
        Item(
            1366902,
            "しろつめ喫茶Ⅲ",
            "2026/11/27",
            "空色ポケット",
            is_adult=False,
            is_new=True,
            characters=(Character("白詰 みつば", "森野あお"), Character("店長", has_image=False), Character("よつば")),
        ),
        Item(1366903, "夜汽車ソフト原画集パック①", "2026/11/06", "夜汽車ソフト", is_new=True),
    )
}


def root(call: Call) -> str:
    return f"http://{call.headers.get('host', '')}/getchu"


def as_euc(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """Python knows no 髙; what a browser sends and shows for it is, read by Python, 郄."""
    body = text.replace("髙", "郄").encode("euc_jis_2004")
    return Reply(body, "text/html; charset=EUC-JP", status, headers or {})


MISSING = as_euc("<html><title>404 Not Found</title><body>ページが見つかりません</body></html>", 404)


def repeated(text: str, items: Iterable[object]) -> str:
    """`text` for each; {} in it is the item."""
    return "".join(text.replace("{}", str(item)) for item in items)


# ---- the list of a month


def old_product(call: Call, item: Item, number: int) -> str:
    """The first of a day has all that is odd: a blank in a link, a second link, a picture's link to the real host."""
    is_first = number == 0
    host = "http://www.getchu.com" if is_first else root(call)
    again = f'<A href="/getchu/soft.phtml?id={item.id}" class="blues">★特典検討中 ★</a><br>\n' if is_first else ""
    return f"""<div style="float: left; width:210px;"><TABLE><TR><TD valign="middle" align="center">
<A href="/getchu/soft.phtml?id={item.id}{" " * is_first}" class="black">
{item.heading}</A><br>
{again}<A href="../soft.phtml?id={item.id}"  >
<IMG src="{host}/brandnew/{item.id}/c{item.id}package_ss.jpg" border="0" width="120"></A><br>
{item.brand}<br><SPAN class=black>（定価￥5,184）</SPAN><BR></TD></TR>
<TR><TD><A HREF="https://order.example/comike/cart.phtml?gc=gc&article_id={item.id}">カート</A></TD></TR></TABLE></div>
""".replace("\n", "\r\n" if number % 2 == 0 else "\n")


def old_month(call: Call, days: dict[str, list[Item]], before: str) -> str:
    link = '<A href="/getchu/soft.phtml?id={}" class="content_side_a_img">'
    side = repeated(link + '<IMG src="/getchu/brandnew/{}/c{}package_100.jpg"></A>\r\n', SIDE_IDS)
    sections = "".join(
        f"""<div class="category_pc_t"><div class="category_pc_t2">
{day}発売タイトル</div></div>
<div class="category_pc_b"><TABLE border="0"><TR><TD>
<!-- <A href="/getchu/soft.phtml?id=700001"><IMG src="/getchu/brandnew/700001/c700001package_ss.jpg"></A> -->
{"".join(old_product(call, item, number) for number, item in enumerate(items))}</TD></TR></TABLE></div>
"""
        for day, items in days.items()
    )
    return f"""{OLD_HEAD}<TITLE>月別発売タイトル | {SITE_NAME}</TITLE></HEAD>\r
<BODY><div id="side">{side}</div><A href="{before}">前月</A>{sections}</BODY></HTML>"""


def new_month(call: Call, days: dict[str, list[Item]], before: str) -> str:
    side = repeated('<a href="/getchu/item/{}/"><img src="/getchu/brandnew/{}/c{}package_100.jpg"></a>\n', SIDE_IDS)
    sections = "".join(
        f'<div class="category_pc_t2">{day}発売タイトル</div>\n'
        + "".join(
            f"""<div class="div_product"><a href="/getchu/item/{item.id}/?gc=gc">
<img src="/getchu/brandnew/{item.id}/c{item.id}package_s.jpg" loading="lazy"></a>
<a class="black" href="{root(call)}/item/{item.id}/">{item.heading}<br>({item.brand})</a></div>
"""
            for item in items
        )
        for day, items in days.items()
    )
    return f"""{NEW_HEAD}<title>月別発売タイトル | {SITE_NAME}</title></head>
<body><div class="ranking">{side}</div><a href="{before}">前月</a>{sections}</body></html>"""


def month(site: FakeSite, call: Call, part: str) -> Reply:
    year, number = int(call.requested.get("year", 2026)), int(call.requested.get("month", 11))
    ages = AGES["normal" if part == "nall" else call.requested.get("gage", "all")]
    days: dict[str, list[Item]] = {}
    for item in sorted(ITEMS.values(), key=lambda item: item.day):
        is_shown = call.requested.get("genre") == "pc_soft" and item.is_adult in ages and not call.is_empty
        if is_shown and item.day.startswith(f"{year}/{number:02d}/"):
            days.setdefault(f"{year}年{number}月{int(item.day[-2:])}日", []).append(item)
    before = f"year={year - (number == 1)}&month={(number - 2) % 12 + 1:02d}"
    page = old_month if year < 2018 else new_month
    return as_euc(page(call, days, f"./month_title.html?genre=pc_soft&gage=&{before}"))


# ---- an item

OLD_TABLE = '<div class="tabletitle">&nbsp;キャラクター</div>\n<TABLE border="0">\n{}</TABLE>'
NEW_TABLE = '<h3 class="tabletitle">&nbsp;キャラクター</h3>\n<table border="0">\n{}</table>'


def facts(item: Item) -> str:
    rows = {
        "ブランド": f'<a href="https://brand.example/" id="brandsite">{item.brand}</a>',
        "発売日": f'<a href="#" title="同じ発売日の同ジャンル商品を開く">{item.day}</a>',
        "ジャンル": "恋愛アドベンチャー",
        "原画": '<a href="#">白峰ことり</a>、<a href="#">髙木みなも</a>',
        "シナリオ": '<a href="#">灰谷よる</a>',
        "サブジャンル": '学園・恋愛 <a href="#">[一覧]</a>',
    }
    cells = '<tr><td valign="top" align="right">{}：</td><td align="top">{}</td></tr>\n'
    return f'<table id="soft_table">{"".join(cells.format(*row) for row in rows.items())}</table>\n'


def samples(item: Item, place: str) -> str:
    thumbnail = f'<img src="{place}sample{{}}_s.jpg" alt="サンプル画像{{}}" class="soft">'
    return repeated(f'<a href="{place}sample{{}}.jpg" class="highslide">{thumbnail}</a>', range(1, item.samples + 1))


def old_character(item: Item, number: int, character: Character) -> str:
    """The second of an item is linked to the real host."""
    place = f"{'http://www.getchu.com' if number == 2 else '.'}/brandnew/{item.id}/c{item.id}chara{number}"
    image = f'<IMG src="{place}.jpg" alt="キャラ{number}" width="250" height="300" style="border:none;">'
    body = f'<TD><a href="{place}_all.jpg" class="highslide"><IMG src="/getchu/images/zoom.gif" alt="拡大"></a></TD>'
    return f"""<TR><TD valign="middle"><a name="chara{number}" id="chara{number}"></a>
{image if character.has_image else "&nbsp;"}
</TD><TD valign="middle" align="left" class="chara-text"><DL style="line-height:150%"><DT><STRONG>
<h2 class="chara-name">ヒロイン<br><charalist>{character.name}</charalist> （よみ）　CV：{character.voice}</h2>
</STRONG></DT><DD>紹介の文章。</DD></DL></TD>{body if character.has_body else ""}</TR>
"""


def old_item(call: Call, item: Item) -> str:
    rows = "".join(old_character(item, *numbered) for numbered in enumerate(item.characters, 1))
    place = f"./brandnew/{item.id}/c{item.id}"
    return f"""{OLD_HEAD}<TITLE>{item.heading} ({item.brand}) | {SITE_NAME}</TITLE></HEAD>\r
<BODY><h1 id="soft-title">{item.heading} <nobr><A href="#">（このタイトルの関連商品）</A></nobr></h1>
<a href="{place}package.jpg" class="highslide"><IMG src="{place}package_s.jpg" alt="{item.heading}"></a>
{facts(item)}{OLD_TABLE.format(rows) if rows else ""}
<div class="tabletitle">&nbsp;サンプル画像</div>{samples(item, place)}</BODY></HTML>"""


def new_character(item: Item, number: int, character: Character) -> str:
    source = f"/getchu/brandnew/{item.id}/c{item.id}chara{number}.jpg"
    image = f'<img src="{source}" alt="{item.heading} | キャラクター紹介-{number}" loading="lazy" style="border:none;">'
    name = f'<span class="bootstrap">{character.name}  CV：{character.voice}</span>'
    return f"""<tr><td valign="middle">{image if character.has_image else ""}</td>
<td valign="middle" align="left" class="chara-text"><dl><dt><h4 class="chara-name">{name}</h4></dt>
<dd><span class="bootstrap">紹介の文章。</span></dd></dl></td></tr>
<tr><td colspan="3"><hr></td></tr>
"""


def new_item(call: Call, item: Item) -> str:
    """The banner at its foot shows somebody out of another item."""
    place = f"/getchu/brandnew/{item.id}/c{item.id}"
    rows = "".join(new_character(item, *numbered) for numbered in enumerate(item.characters, 1))
    pictures = [root(call) + f"{place}{name}.jpg".removeprefix("/getchu") for name in ("package", "sample1", "sample2")]
    product = {"@type": "Product", "name": item.title, "category": "pc_soft", "image": pictures}
    return f"""{NEW_HEAD}<title>{item.heading} ({item.brand}) | {SITE_NAME}</title>
<link rel="canonical" href="{root(call)}/item/{item.id}/"><meta property="og:image" content="{place}package.jpg">
<script type="application/ld+json">{json.dumps(product, ensure_ascii=False)}</script></head>
<body><h2 id="soft-title"> {item.heading} <nobr><a href="#">（このタイトルの関連商品）</a></nobr></h2>
<a href="{place}package.jpg" class="highslide"><img src="{place}package_s.jpg" alt="{item.heading}"></a>
{facts(item)}<h3 class="tabletitle tabletitle_2">ストーリー</h3><div class="tablebody">物語の文章。</div>
{NEW_TABLE.format(rows) if rows else ""}
<h3 class="tabletitle">&nbsp;サンプル画像</h3><div class="item-Samplecard-container">{samples(item, place)}</div>
<a href="/getchu/item/748101/"><img src="/getchu/brandnew/748101/c748101chara1.jpg" alt="関連商品"></a></body></html>"""


def item_page(site: FakeSite, call: Call, number: str) -> Reply:
    item = ITEMS.get(int(number))
    if not item:
        return MISSING
    is_grown_up = call.requested.get("gc") == "gc" or FLAG in call.headers.get("cookie", "").split("; ")
    if item.is_adult and not is_grown_up:
        asks_age = f"{root(call)}/php/attestation.html?aurl={root(call)}/item/{item.id}/"
        return as_euc("", 302, {"Location": asks_age})
    return as_euc((new_item if item.is_new else old_item)(call, item))


def soft(site: FakeSite, call: Call) -> Reply:
    """An item's former address. The redirect loses the rest of the query, and with it what opens the gate."""
    return as_euc("", 301, {"Location": f"{root(call)}/item/{call.requested.get('id', '').strip()}/"})


def gate(site: FakeSite, call: Call) -> Reply:
    return as_euc(f"""{NEW_HEAD}<title>年齢認証ページ | {SITE_NAME}</title></head><body>
<a href="{call.requested.get("aurl", "")}?gc=gc">【すすむ】</a> <a href="{root(call)}/">【もどる】</a></body></html>""")


def entrance(site: FakeSite, call: Call) -> Reply:
    flag = {"Set-Cookie": f"{FLAG}; path=/"} if call.requested.get("gc") == "gc" else {}
    return as_euc(f"{NEW_HEAD}<title>{SITE_NAME}</title></head></html>", headers=flag)


# ---- pictures


SHAPES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "portrait": lambda image: ImageOps.pad(image, (250, 300), color="white"),
    "small": lambda image: image.reduce(2),
    "whole": lambda image: image,
}


def pictures_of(item: Item) -> dict[str, tuple[int, str]]:
    """By name: the number of a picture, and its shape."""
    found = {"package": (0, "whole")} | {f"package_{size}": (0, "small") for size in ("s", "ss", "100")}
    for number, character in enumerate(item.characters, 1):
        found |= {f"chara{number}": (number, "portrait")} if character.has_image else {}
        found |= {f"chara{number}_all": (30 + number, "whole")} if character.has_body else {}
    for number in range(1, item.samples + 1):
        found |= {f"sample{number}": (60 + number, "whole"), f"sample{number}_s": (60 + number, "small")}
    return {f"c{item.id}{name}.jpg": (item.id * 100 + number, shape) for name, (number, shape) in found.items()}


def picture(site: FakeSite, call: Call, item_id: str, name: str) -> Reply:
    if not call.headers.get("referer", "").startswith(f"{root(call)}/"):
        return Reply(b"403 Forbidden", "text/plain", 403)
    found = pictures_of(ITEMS[int(item_id)]) if int(item_id) in ITEMS else {}
    if name not in found:
        return MISSING
    number, shape = found[name]
    return as_file(saved(SHAPES[shape](Image.open(io.BytesIO(site.picture(number))).convert("RGB")), "JPEG"))


ROUTES |= {
    r"/getchu/(all|nall)/month_title\.html": month,
    r"/getchu/soft\.phtml": soft,
    r"/getchu/item/(\d+)/": item_page,
    r"/getchu/php/attestation\.html": gate,
    r"/getchu/pc/": entrance,
    r"/getchu/brandnew/(\d+)/([^/]+)": picture,
}
FAULTS["maintenance"] = lambda handler, reply: as_euc("<html><body>maintenance</body></html>")
