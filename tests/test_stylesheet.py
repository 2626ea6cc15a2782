"""The one style sheet of the website: what is left out, what is kept, and where it is linked."""

import re

import pytest

from book import stylesheet

HEAD = """<html><head><title>A</title>
<link href="{up}_static/styles/theme.css?digest=1" rel="stylesheet" />
<link rel="stylesheet" type="text/css" href="{up}_static/more.css" />
<link rel="stylesheet" type="text/css" href="{up}_static/print.css" media="print" />
<link rel="preload" as="script" href="{up}_static/late.js" />
<script src="{up}_static/documentation_options.js?v=1"></script>
<script defer src="{up}_static/late.js"></script>
<script>OPTIONS.page = 1</script>
</head><body class="seen">one<script>const last = 1</script></body></html>"""


@pytest.mark.parametrize(
    ("css", "left"),
    [
        ("a { top: 0 }", "a{ top: 0 }"),
        (".no { top: 0 }", ""),
        (".no, b, i .no, .yes > b { top: 0 }", "b,.yes > b{ top: 0 }"),
        (":is(.no, a) b { top: 0 }", ":is(.no, a) b{ top: 0 }"),
        ("a:not(.no) { top: 0 }", "a:not(.no){ top: 0 }"),
        ('[class~=".no"] { top: 0 }', '[class~=".no"]{ top: 0 }'),
        (".made-later { top: 0 }", ".made-later{ top: 0 }"),
        ("@media print { .no { top: 0 } b { top: 0 } }", "@media print{b{ top: 0 }}"),
        ("@media print { @supports (top: 0) { .no { top: 0 } } }", ""),
        ("@font-face { src: url(a.no) }", "@font-face { src: url(a.no) }"),
        ("@keyframes no { 50.5% { top: 0 } }", "@keyframes no { 50.5% { top: 0 } }"),
        ('a { background: url("data:x,{.no}") }', 'a{ background: url("data:x,{.no}") }'),
    ],
)
def test_prune_leaves_out_selectors_of_unused_classes_alone(css, left):
    assert stylesheet.prune(css, {"yes"}, ("made-",)) == left


def test_used_names_are_all_words_and_the_beginnings_that_scripts_go_on_from():
    names, beginnings = stylesheet.used_names(
        ['<p class="a b-c">d</p>'], ["add('e-f', `g-${h}`, 'i-' + j)"]
    )
    assert {"a", "b-c", "d", "e-f"} <= names
    assert set(beginnings) == {"g-", "i-"}


@pytest.fixture
def site(tmp_path):
    static = tmp_path / "_static"
    (static / "styles").mkdir(parents=True)
    (static / "styles/theme.css").write_text(".seen { top: 0 } .unseen { top: 0 }")
    (static / "more.css").write_text('p { background: url(dot.png) url("data:x") }')
    (static / "print.css").write_text("p { top: 1px }")
    (static / "documentation_options.js").write_text("const OPTIONS = {};")
    (static / "macros.html").write_text("{{ pathto('x') }}")
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters/one.html").write_text(HEAD.format(up="../"))
    (tmp_path / "search.html").write_text(HEAD.format(up=""))
    (tmp_path / "index.html").write_text("moved")
    stylesheet.bundle(tmp_path)
    return tmp_path


def test_bundle_joins_the_sheets_in_their_order_with_addresses_from_their_new_place(site):
    css = (site / stylesheet.SHEET).read_text()
    assert css == '.seen{ top: 0 }p{ background: url(../dot.png) url("data:x") }'


@pytest.mark.parametrize(("page", "up"), [("chapters/one.html", "../"), ("search.html", "")])
def test_bundle_links_one_sheet_below_the_scripts_that_stand_in_the_head(site, page, up):
    html = (site / page).read_text()
    head = html[: html.index("</head>")]
    sheets = re.findall('<link rel="stylesheet"[^>]*>', head)
    assert re.fullmatch(f'.*href="{up}_static/styles/site.css[?]v=[0-9a-f]{{8}}">', sheets[0])
    assert 'media="print"' in sheets[1]
    assert len(sheets) == 2
    order = ["const OPTIONS", "OPTIONS.page = 1", "site.css", "defer src"]
    assert sorted(order, key=head.index) == order
    assert "preload" not in head
    assert "documentation_options" not in head
    assert html.count("<script>") == 3


def test_bundle_leaves_pages_without_a_sheet_alone(site):
    assert (site / "index.html").read_text() == "moved"
    assert (site / "_static/macros.html").read_text() == "{{ pathto('x') }}"
