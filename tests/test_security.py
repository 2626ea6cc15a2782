"""Each page works under its Content-Security-Policy, and what is put into it does not."""

import re

import pytest

from book.explorer import publish
from book.security import Code, protected
from lib.explorer import Slider, explore
from tests.pages import Elements
from tests.test_site import CHAPTERS

pytestmark = pytest.mark.timeout(1800)  # the first test may have to build the site

LISTEN = """
    window.violations = [];
    addEventListener("securitypolicyviolation",
                     event => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    window.print = () => { window.printed = true; };
"""
INJECTED = """
    <base href="https://elsewhere.example/">
    <script>window.stolen = "by a script"</script>
    <script src="https://elsewhere.example/script.js"></script>
    <img src="no-such-file" onerror="window.stolen = 'by a handler'">
    <img src="https://elsewhere.example/spy.png">
    <iframe src="https://elsewhere.example/"></iframe>
    <a id="lure" href="javascript:window.stolen = 'by a link'">a link</a>
"""
REFUSED = {"base-uri", "script-src-elem", "script-src-attr", "img-src", "frame-src"}


def directives(page):
    (content,) = (
        attrs["content"]
        for tag, attrs in Elements(page).found
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    )
    return dict(directive.split(" ", 1) for directive in content.split("; "))


@pytest.fixture
def watched(browser):
    """Opens a page, or other HTML in its place, and notes what its policy refuses."""
    visits = []

    def open_page(address, html=None):
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        visits.append(context)
        context.add_init_script(LISTEN)
        context.route(re.compile("^https://"), lambda route: route.abort())
        page = context.new_page()
        if html is not None:
            page.route(address, lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(address, wait_until="load")
        return page

    yield open_page
    for context in visits:
        context.close()


def test_every_page_has_a_policy_before_all_that_it_rules(site):
    pages = [page for page in site.rglob("*.html") if not page.is_relative_to(site / "_static")]
    for page in pages:
        tags = [tag for tag, _ in Elements(page).found]
        assert tags.index("meta") <= 2 or page.name == "index.html", page
        html = page.read_text("utf8")
        assert html.index("Content-Security-Policy") < min(
            at for at in map(html.find, ("<script", "<link", "<style", "Refresh")) if at > 0
        ), page
        found = directives(page)
        assert found.pop("style-src") == "'self' 'unsafe-inline'"
        for name, sources in found.items():
            allowed = "'self'|'none'|data:" if name == "img-src" else "'self'|'none'|'sha256-.*'"
            assert all(re.fullmatch(allowed, source) for source in sources.split()), (page, name)
        for name in ("script-src-attr", "object-src", "frame-src", "base-uri"):
            assert found[name] == "'none'", page
        assert not Code(html).handlers, page


def test_protected_refuses_to_leave_code_in_attributes():
    with pytest.raises(Exception, match="onload"):
        protected("<body onload='go()'>")


# Two chapters stand for all: what each complains of when it is opened, tests/test_site.py sees.
@pytest.mark.parametrize(("page", "scheme"), [(CHAPTERS[1], "file"), (CHAPTERS[2], "http")])
def test_chapter_in_use_keeps_its_policy(site, server, watched, page, scheme):
    page = watched((site / page).as_uri() if scheme == "file" else f"{server}/{page}")
    for explorer in page.locator(".explorer").all():
        explorer.scroll_into_view_if_needed()
        page.wait_for_selector(f"#{explorer.get_attribute('id')}[data-ready]")
        for slider in explorer.locator("input").all():
            slider.press("ArrowRight")
        for button in explorer.locator("button").all():
            button.click()
    page.locator(".solution .admonition-title").first.click()
    page.locator(".copybtn").first.click(force=True)
    page.locator("button.theme-switch-button").first.click()
    page.evaluate("document.querySelector('[data-onclick=\"window.print()\"]').click()")
    page.evaluate("window.toggleFullScreen = () => { window.full = true; }")
    page.locator("[data-onclick='toggleFullScreen()']").click()
    page.wait_for_timeout(300)
    assert page.evaluate("[window.printed, window.full]") == [True, True]
    assert page.evaluate("violations") == []


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_search_in_use_keeps_its_policy(site, server, watched, scheme):
    page = watched((site / "search.html").as_uri() if scheme == "file" else f"{server}/search.html")
    page.locator("input[type=search]:visible").first.fill("saddle")
    page.keyboard.press("Enter")
    page.locator("#search-results ul.search li a").first.wait_for(timeout=20_000)
    page.wait_for_timeout(1000)  # for the summaries
    assert page.evaluate("violations") == []


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_what_is_put_into_a_page_is_refused(site, server, watched, scheme):
    page = "chapters/intro.html"
    address = (site / page).as_uri() if scheme == "file" else f"{server}/{page}"
    html = (site / page).read_text("utf8").replace("</article>", f"{INJECTED}</article>")
    page = watched(address, html)
    page.locator("#lure").click()
    page.wait_for_timeout(300)
    assert page.evaluate("window.stolen") is None
    violations = page.evaluate("violations")
    assert {violation.split()[0] for violation in violations} == REFUSED
    # So is what a fault in a script of ours might insert or evaluate.
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', `<img src=no onerror='stolen=1'>`)"
    )
    page.evaluate("setTimeout('window.stolen = 1')")
    page.wait_for_timeout(300)
    assert page.evaluate("window.stolen") is None
    assert sorted(page.evaluate("violations")[-2:]) == ["script-src eval", "script-src-attr inline"]


def test_explorer_shows_what_an_author_writes_and_runs_none_of_it(tmp_path, monkeypatch):
    hostile = "\"'></script><script>go()</script><img src=no onerror=go()>"

    def draw(fig, eta):
        fig.text(0, 0.5, hostile)
        fig.gca().set(xlabel=hostile, title=f"{hostile} {eta}")

    monkeypatch.setenv("EXPLORER_BAKE", "hostile")
    sliders = {"eta": Slider([hostile, "plain"], label=hostile)}
    baked = explore(draw, alt=lambda eta: f"{hostile} {eta}", figsize=(2, 2), **sliders)
    html = baked._repr_mimebundle_()["text/html"]
    assert Code(html).handlers == []
    (data,) = Code(html).scripts  # the states, as JSON
    assert "</script" not in data
    page = publish(html, "explorer-hostile", tmp_path, "chapters/page.html")
    assert Code(page).scripts == Code(page).handlers == []
    (file,) = (tmp_path / "_static/explorer").iterdir()
    assert "<" not in file.read_text("utf8")
