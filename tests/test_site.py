"""The built website, page by page, in a headless Chromium that is cut off from the network."""

import functools
import gzip
import re
from urllib.parse import unquote, urldefrag

import pytest
from axe_playwright_python.sync_playwright import Axe
from fontTools.ttLib import TTFont

from book.stylesheet import SHEET
from tests.pages import Elements, toc_pages

pytestmark = pytest.mark.timeout(1800)  # the first test may have to build the site

FIRST_VIEW = 1_000_000  # bytes, compressed
WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],  # to list what is in order takes a third of the time
}


CHAPTERS = [page for page in toc_pages() if re.match(r"chapters/\d", page)]
REFERENCE = [page for page in toc_pages() if page.startswith("chapters/api/")]
# Pages made from docstrings are alike: here one of them; tests/test_api.py has a look at each.
PAGES = [*(page for page in toc_pages() if page not in REFERENCE[1:]), "search.html"]


class Visit:
    """A page opened in the browser, and what it asked for and complained of meanwhile."""

    def __init__(self, browser, address, theme=None, width=1280):
        """As a new visitor, or as one who has chosen the theme "light" or "dark" before."""
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        if theme:
            self.context.add_init_script(
                f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')"
            )
        self.foreign, self.complaints = [], []
        self.context.route(re.compile(r"^(?!file:|data:|blob:|http://127\.0\.0\.1)"), self.refuse)
        self.page = self.context.new_page()
        self.page.on("console", self.note_message)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(request.url))
        self.page.on("response", self.note_response)
        self.page.goto(address, wait_until="load")

    def refuse(self, route):
        self.foreign.append(route.request.url)
        route.abort()

    def note_message(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def note_response(self, response):
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


# A page that tests only look at is opened once for all of them: pytest sorts them by page.
@pytest.fixture(scope="module", params=PAGES)
def desk(request, site, browser):
    """A visit to a page on a wide screen."""
    with Visit(browser, (site / request.param).as_uri()) as visit:
        yield visit


@pytest.fixture(scope="module", params=PAGES)
def phone(request, site, browser):
    """A visit to a page on a screen of 390 pixels."""
    with Visit(browser, (site / request.param).as_uri(), width=390) as visit:
        yield visit


def test_site_has_just_the_pages_tested_here(site):
    built = {file.relative_to(site).as_posix() for file in site.rglob("*.html")}
    assert built - {"index.html"} == set(PAGES) | set(REFERENCE) | {
        file for file in built if file.startswith("_static/")
    }


def asked_and_complained(visit):
    visit.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    visit.page.wait_for_timeout(300)
    return visit.foreign + visit.complaints


def test_page_asks_nobody_and_complains_of_nothing(desk):
    assert not asked_and_complained(desk)


@pytest.mark.parametrize("page", PAGES)
def test_page_on_a_server_asks_nobody_and_complains_of_nothing(server, browser, page):
    with Visit(browser, f"{server}/{page}") as visit:
        assert not asked_and_complained(visit)


def violations(visit):
    found = Axe().run(visit.page, options=WCAG).response["violations"]
    return [
        (rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]]) for rule in found
    ]


def test_page_has_no_violation_of_wcag_22_aa(desk):
    assert desk.page.evaluate("document.documentElement.dataset.theme") == "light"
    assert not violations(desk)


def test_page_on_a_phone_has_no_violation_of_wcag_22_aa(phone):
    assert not violations(phone)


@pytest.mark.parametrize("page", PAGES)
def test_dark_page_has_no_violation_of_wcag_22_aa(site, browser, page):
    with Visit(browser, (site / page).as_uri(), theme="dark") as visit:
        assert visit.page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert not violations(visit)


def test_page_fits_a_phone(phone):
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("page", PAGES)
def test_mathematics_stands_typeset_in_the_page(site, page):
    html = (site / page).read_text("utf8")
    assert html.count("<mjx-container ") == html.count("<mjx-assistive-mml") == html.count('"math ')
    assert "mjx-error" not in html
    assert "merror" not in html


def test_mathematics_is_as_high_as_the_text_around_it(site, browser):
    with Visit(browser, (site / CHAPTERS[0]).as_uri()) as visit:
        in_text, typeset = visit.page.evaluate(
            """() => {
                const formula = document.querySelector('p > span.math');
                const probe = document.createElement('span');
                probe.style.cssText = 'display: inline-block; height: 1ex';
                formula.before(probe);
                const svg = formula.querySelector('svg');  // in it 442 units are 1 ex
                const unit = svg.getBoundingClientRect().height / svg.viewBox.baseVal.height;
                return [probe.getBoundingClientRect().height, 442 * unit];
            }"""
        )
    assert typeset == pytest.approx(in_text, rel=0.02)


def test_page_shows_one_h1_and_has_each_id_once(desk):
    assert desk.page.locator("h1:visible").count() == 1
    ids = desk.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert not {name for name in ids if ids.count(name) > 1}


# The places where a line ends between a formula in the text and the stop behind it.
PARTED = """[...document.querySelectorAll('.bd-article span.math')].filter(formula => {
    const text = formula.nextSibling;
    if (text?.nodeType !== Node.TEXT_NODE || !/^[,.;:!?)\\]]/.test(text.data)) return false;
    const range = document.createRange();
    range.setStart(text, 0);
    range.setEnd(text, 1);
    return range.getBoundingClientRect().top > formula.getBoundingClientRect().bottom - 2;
}).map(formula => formula.parentElement.textContent)"""


def test_formula_and_the_stop_behind_it_share_a_line(desk):
    assert not desk.page.evaluate(PARTED)


def test_formula_and_the_stop_behind_it_share_a_line_on_a_phone(phone):
    assert not phone.page.evaluate(PARTED)


# Of every box of code that is wider than a phone: can the keyboard reach it, does it fade?
WIDE = """() => [...document.querySelectorAll('.bd-article pre')]
    .filter(box => box.scrollWidth > box.clientWidth + 1)
    .map(box => [box.tabIndex, box.classList.contains('goes-on')])"""
UNFOLD = """document.querySelectorAll('.bd-article details').forEach(it => it.open = true);
    document.querySelectorAll('.solution .toggle-button').forEach(it => it.click())"""


@pytest.mark.parametrize("page", CHAPTERS)
def test_code_that_goes_on_is_in_reach_and_fades_until_its_end(site, browser, page):
    with Visit(browser, (site / page).as_uri(), width=390) as visit:
        visit.page.wait_for_selector(".goes-on")
        visit.page.evaluate(UNFOLD)
        visit.page.wait_for_timeout(500)
        assert visit.page.locator(".solution.toggle-hidden").count() == 0
        boxes = visit.page.evaluate(WIDE)
        assert boxes
        assert all(box == [0, True] for box in boxes)
        visit.page.evaluate("document.querySelectorAll('pre').forEach(box => box.scrollLeft = 1e4)")
        visit.page.wait_for_timeout(500)
        assert all(box == [0, False] for box in visit.page.evaluate(WIDE))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_is_chosen_before_the_scripts_come(site, browser, scheme):
    with browser.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        page.route(re.compile(r"\.js\b"), lambda route: route.abort())
        page.goto((site / PAGES[0]).as_uri())
        assert page.evaluate("document.documentElement.dataset.theme") == scheme


# Which selectors of the theme's style sheets match something here and are not in the one sheet.
MISSING = r"""([theme, ours]) => {
    const split = text => {
        const parts = [''];
        let depth = 0;
        for (const letter of text) {
            depth += (letter === '(') - (letter === ')');
            if (letter === ',' && !depth) parts.push('');
            else parts[parts.length - 1] += letter;
        }
        return parts.map(part => part.trim());
    };
    const selectors = rules => [...rules].flatMap(rule => rule.selectorText
        ? split(rule.selectorText) : rule.cssRules ? selectors(rule.cssRules) : []);
    const read = text => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(text);
        return selectors(sheet.cssRules);
    };
    const matches = selector => {
        const plain = selector.replace(/::?[a-z-]+(\((\([^()]*\)|[^()])*\))?/g, '').trim();
        try {
            return !plain || document.querySelector(plain) !== null;
        } catch {
            return false; // ended in a combinator, for one
        }
    };
    const kept = new Set(read(ours));
    return [...new Set(theme.flatMap(read))].filter(one => !kept.has(one) && matches(one));
}"""


def test_style_sheet_has_every_rule_for_what_is_on_the_page(site, desk):
    sheets = set((site / "_static").rglob("*.css")) - {site / SHEET, site / "_static/print.css"}
    theme = [sheet.read_text("utf8") for sheet in sorted(sheets)]
    assert not desk.page.evaluate(MISSING, [theme, (site / SHEET).read_text("utf8")])
    assert desk.page.locator("link[rel=stylesheet]:not([media])").count() == 1


# Figures without a text for those who do not see them.
BARE = """[...document.querySelectorAll('.bd-article :is(img, svg)')]
    .filter(e => !e.closest('mjx-container, button, [aria-hidden=true]'))
    .filter(e => !(e.alt || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')))
    .map(e => e.outerHTML.slice(0, 200))"""


def test_every_figure_says_what_it_shows(desk):
    assert not desk.page.evaluate(BARE)


@pytest.mark.parametrize("page", CHAPTERS)
def test_first_view_of_a_chapter_is_light(site, server, browser, page):
    with Visit(browser, f"{server}/{page}") as visit:
        visit.page.wait_for_timeout(500)
        names = visit.page.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    files = [site / page, *(site / name.removeprefix(server + "/").split("?")[0] for name in names)]
    assert sum(len(gzip.compress(file.read_bytes())) for file in set(files)) < FIRST_VIEW


@functools.cache
def ids_of(page):
    return set(Elements(page).ids())


@pytest.mark.parametrize("page", [*PAGES, *REFERENCE[1:]])
def test_links_inside_the_book_lead_somewhere(site, page):
    broken = []
    for link in Elements(site / page).links():
        address, anchor = urldefrag(link)
        if re.match(r"[a-z]+:", address):
            continue
        if anchor.startswith("explorer-"):
            anchor = anchor.split(":")[0]  # what follows is the state of its sliders
        target = ((site / page).parent / unquote(address)).resolve() if address else site / page
        if not target.is_file() or (anchor and unquote(anchor) not in ids_of(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("word", ["saddle", "eta", "alpha", "临界点"])
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_search_finds(site, server, browser, word, scheme):
    address = (site / "search.html").as_uri() if scheme == "file" else f"{server}/search.html"
    with Visit(browser, f"{address}?q={word}") as visit:
        visit.page.locator("#search-results ul.search li a").first.wait_for(timeout=20_000)
        assert not visit.foreign
        assert not visit.complaints


# What the page's icons are drawn with.
ICONS = """[...document.querySelectorAll('i[class*="fa-"]')]
    .map(e => getComputedStyle(e, '::before').content).filter(c => c != 'none')"""


def test_icons_are_drawn_from_the_fonts_that_are_left(site, desk):
    fonts = (site / "_static/vendor/fontawesome/webfonts").glob("*.ttf")
    drawn = set().union(*(TTFont(file).getBestCmap() for file in fonts))
    icons = desk.page.evaluate(ICONS)
    assert icons
    assert not {icon for icon in icons if ord(icon.strip('"')) not in drawn}


@pytest.mark.parametrize("page", CHAPTERS)
def test_chapter_offers_binder_colab_and_download(site, page):
    links = Elements(site / page).links()
    notebook = page.replace(".html", ".ipynb")
    assert any("binder" in link and notebook in unquote(link) for link in links)
    assert any("colab" in link and notebook in unquote(link) for link in links)
    assert any(link.endswith(notebook.rsplit("/")[-1]) for link in links)


@pytest.mark.parametrize("page", toc_pages())
def test_page_describes_itself_to_others(site, page):
    described = {
        attrs.get("property") or attrs.get("name"): attrs.get("content")
        for tag, attrs in Elements(site / page).found
        if tag == "meta"
    }
    for name in ("og:title", "og:url", "og:image", "og:description", "description", "viewport"):
        assert described.get(name), name
    assert page in (site / "sitemap.xml").read_text("utf8")
