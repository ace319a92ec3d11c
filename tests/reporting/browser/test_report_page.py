"""The report in a real browser: its figures, its colours, its list of responses."""

import re
from importlib.resources import files
from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.reporting.browser.conftest import Opened
from tests.reporting.traces.small_run import HOSTILE


def keys(page: Page) -> list[str]:
    """Keys of the rows of the list, in order."""
    found = page.evaluate(
        "() => { const {list} = window.thinkscaleTraces;"
        " return [...Array(list.shown).keys()].map((at) => list.result.row(at).key); }"
    )
    assert isinstance(found, list)
    return found


def choose(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.select_option(f"select[name={name}]", value)


def test_the_page_draws_all_figures_without_an_error_or_a_request(chromium: Browser, whole_report: str) -> None:
    opened = Opened(chromium)
    page = opened.ready(whole_report)
    figures = page.locator(".drawing").count()
    assert figures >= 9
    expect(page.locator(".drawing.drawn .chart svg.marks")).to_have_count(figures)
    expect(page.locator(".drawing > img").first).to_be_hidden()
    assert opened.errors == []
    assert [address for address in opened.asked if not address.startswith("data:")] == [whole_report]


def test_figures_answer_the_mouse_and_have_words_for_those_who_cannot_see(chromium: Browser, whole_report: str) -> None:
    page = Opened(chromium).ready(whole_report)
    place = page.locator('.drawing[data-figure="scaling"]')
    words = place.locator('[role="graphics-document"]').get_attribute("aria-label")
    assert words == place.locator("> img").get_attribute("alt")
    place.scroll_into_view_if_needed()
    place.locator('svg.marks path[aria-roledescription="point"]').first.hover(force=True)
    expect(page.locator("#vg-tooltip-element.visible")).to_contain_text("%")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1400, "light")])
def test_nothing_is_wider_than_the_page(chromium: Browser, whole_report: str, width: int, scheme: str) -> None:
    opened = Opened(chromium, width, scheme)
    page = opened.ready(whole_report)
    page.locator(".row").nth(3).click()
    expect(page.locator(".opened h3")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert opened.errors == []


def test_colours_that_are_names_in_the_data_are_found_in_the_dark(chromium: Browser, whole_report: str) -> None:
    page = Opened(chromium, scheme="dark").ready(whole_report)
    points = page.locator('.drawing[data-figure="methods"] svg.marks path[aria-roledescription="point"]')
    strokes = {point.get_attribute("stroke") for point in points.all()}
    assert {"#4aa3df", "#f0813a"} <= strokes
    assert None not in strokes


def paper(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_colours_follow_the_system_and_the_switch(chromium: Browser, report: str) -> None:
    opened = Opened(chromium, scheme="dark")
    page = opened.ready(report)
    dark, light = "rgb(21, 24, 29)", "rgb(255, 255, 255)"
    assert paper(page) == dark
    axis = page.locator('.drawing[data-figure="training"] svg.marks .role-axis-label text').first
    expect(axis).to_have_attribute("fill", "#e6e8eb")
    button = page.get_by_role("button", name="Colours: auto")
    button.click()
    assert paper(page) == light
    expect(axis).to_have_attribute("fill", "#1f2937")
    page.reload()
    assert paper(page) == light
    page.get_by_role("button", name="Colours: light").click()
    assert paper(page) == dark
    assert opened.errors == []


def test_paper_is_white_and_shows_the_pictures(chromium: Browser, report: str) -> None:
    page = Opened(chromium, scheme="dark").ready(report)
    expect(page.locator(".drawing.drawn").first).to_be_visible()
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 41, 55)"
    expect(page.locator(".drawing > img").first).to_be_visible()
    expect(page.locator(".drawing .chart").first).to_be_hidden()
    expect(page.locator("nav")).to_be_hidden()


def test_without_scripts_the_pictures_and_tables_stay(chromium: Browser, report: str) -> None:
    page = Opened(chromium, scripts=False).page
    page.goto(report)
    expect(page.locator(".drawing > img").first).to_be_visible()
    expect(page.get_by_text("Without one, read the run's responses.parquet.")).to_be_visible()
    expect(page.locator("#theme")).to_be_hidden()


def test_filters_search_and_order_choose_responses(chromium: Browser, report: str) -> None:
    page = Opened(chromium).ready(report)
    status = page.get_by_role("status")
    expect(status).to_have_text("6 responses")
    choose(page, method="truncation")
    expect(status).to_have_text("3 of 6 responses")
    assert keys(page) == ["e2", "e3", "e4"]
    choose(page, budget="5")
    assert keys(page) == ["e2", "e4"]
    choose(page, method="rejection", budget="none", verdict="wrong")
    assert keys(page) == ["e3"]
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("searchbox").fill('FINAL "first 3"')
    expect(status).to_have_text("1 of 6 responses")
    assert keys(page) == ["e1"]
    page.get_by_role("searchbox").fill("nowhere to be found")
    expect(status).to_have_text("0 of 6 responses")
    page.get_by_role("searchbox").fill("")
    choose(page, order="longest")
    assert keys(page)[:2] == ["e3", "e1"]


def test_a_response_opens_with_forced_tokens_and_grade(chromium: Browser, report: str) -> None:
    page = Opened(chromium).ready(report)
    page.locator(".rows").get_by_role("option").filter(has_text="1 × Wait").click()
    opened = page.locator(".opened")
    expect(opened.locator("h3")).to_have_text("✓ correct sum-1, sample 0")
    expect(opened.locator("summary", has_text="Thinking")).to_have_text("Thinking: 21 tokens, 1 forced span")
    expect(opened.locator("mark.forced")).to_have_text("Wait")
    expect(opened.locator(".thinking")).to_have_text("First 3.\nWait\nThen 4.", use_inner_text=True)
    expect(opened.locator(".cut")).to_have_count(0)
    facts = opened.locator(".facts").first
    expect(facts).to_contain_text("reference4")
    expect(facts).to_contain_text("extracted answer4")
    expect(opened).to_contain_text("tier that decidedexact")
    expect(opened).to_contain_text("Read by 2 cells")
    opened.locator("summary", has_text="Thinking").click()
    expect(opened.locator(".thinking")).to_be_hidden()


def test_the_place_of_a_cut_is_marked(chromium: Browser, report: str) -> None:
    page = Opened(chromium).ready(report + "#trace=e2")
    expect(page.locator(".opened .cut")).to_have_text("✂ cut at the budget: 5 tokens")
    page.goto(report + "#trace=e4")
    expect(page.locator(".opened .cut")).to_have_text("✂ cut by the limit, never ended: 12 tokens")


def test_text_of_a_model_stays_text(chromium: Browser, report: str) -> None:
    opened = Opened(chromium)
    page = opened.ready(report + "#traces&q=onerror&trace=e3")
    expect(page.locator(".opened h3")).to_have_text("✓ correct pick-1, sample 0")
    thinking = page.locator(".opened .thinking").evaluate("(node) => node.textContent")
    assert thinking == f"Hm. {HOSTILE}"
    assert page.locator(".opened mark.hit").count() >= 3
    assert page.locator(".opened img, .opened script, .rows img").count() == 0
    assert page.evaluate("window.owned") is None
    assert opened.errors == []


def test_every_view_has_a_link(chromium: Browser, report: str) -> None:
    page = Opened(chromium).ready(report)
    choose(page, verdict="correct")
    page.locator(".rows").get_by_role("option").nth(1).click()
    expect(page.locator(".opened h3")).to_contain_text("pick-1")
    address = page.url
    assert address.endswith("#traces&verdict=correct&trace=e3")
    again = Opened(chromium).ready(address)
    expect(again.locator(".opened h3")).to_contain_text("pick-1")
    assert keys(again) == ["e1", "e3"]
    expect(again.locator(".rows").get_by_role("option", selected=True)).to_contain_text("Which?")
    again.goto(report + "#trace=nobody")
    expect(again.locator(".opened")).to_contain_text("There is no response with this key here")
    again.go_back()
    expect(again.locator(".opened h3")).to_contain_text("pick-1")


def test_the_list_is_read_by_keyboard(chromium: Browser, report: str) -> None:
    page = Opened(chromium).ready(report)
    page.get_by_role("listbox").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".opened h3")).to_contain_text("✗ wrong sum-1")
    expect(page.locator(".opened")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox")).to_be_focused()
    active = page.get_by_role("listbox").get_attribute("aria-activedescendant")
    assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator(".opened h3")).to_contain_text("? ungradable")
    expect(page.locator(".opened")).to_contain_text("the server was gone")


def test_headings_do_not_skip_a_level_and_controls_have_names(chromium: Browser, report: str) -> None:
    page = Opened(chromium).ready(report + "#trace=e1")
    expect(page.locator(".opened h3")).to_be_visible()
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((node) => Number(node.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(second - first <= 1 for first, second in pairwise(levels))
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input, [tabindex=\"0\"]')]"
        ".filter((node) => !(node.textContent.trim() || node.ariaLabel || node.labels?.length)).length"
    )
    assert unnamed == 0


def test_ten_thousand_responses_are_a_list_of_a_few_rows(chromium: Browser, long_report: str) -> None:
    opened = Opened(chromium)
    page = opened.ready(long_report)
    expect(page.get_by_role("status")).to_have_text("10,000 responses")
    assert page.locator(".row").count() < 60
    page.get_by_role("listbox").focus()
    page.keyboard.press("End")
    expect(page.locator("#row-9999")).to_contain_text("question 9999")
    assert page.locator(".row").count() < 60
    page.get_by_role("searchbox").fill('"row 77"')
    expect(page.get_by_role("status")).to_have_text("111 of 10,000 responses")
    assert page.locator("select[name=method]").count() == 0
    assert opened.errors == []


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_from_what_is_behind_it() -> None:
    style = files("thinkscale.reporting").joinpath("templates", "report.css").read_text()
    themes = [dict(re.findall(r"--([\w-]+): (#\w{6})", part)) for part in style.split(":root")[1:4]]
    assert [theme["paper"] for theme in themes] == ["#ffffff", "#15181d", "#15181d"]
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for theme in themes:
        for text in ("ink", "soft", "link", "good", "bad"):
            for behind in ("paper", "shade", "chosen"):
                assert contrast(theme[text], theme[behind]) >= 4.5, (text, behind, theme["paper"])
        assert contrast(theme["mark-ink"], theme["mark"]) >= 4.5
        assert contrast(theme["ink"], theme["hit"]) >= 4.5
        assert contrast(theme["ink"], theme["alarm"]) >= 4.5
        assert contrast(theme["edge"], theme["paper"]) >= 3
