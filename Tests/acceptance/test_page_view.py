"""The page for people, in Chromium: what it looks like, to whom."""

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from support.room import held, send_numbered
from support.waiting import wait_until

pytestmark = pytest.mark.browser


def test_older_messages_come_on_scrolling_up(browser, server, client):
    send_numbered(server.address, 330)
    page = browser.open(client.http.address)
    wanted = held(client.http)
    assert page.texts() == wanted[-50:]

    def reaches_the_beginning() -> bool:
        page.scroll("0")
        return page.texts()[0] == wanted[0]

    wait_until(reaches_the_beginning, "the first message is there")
    texts = page.texts()
    assert texts == wanted[: len(texts)]
    wait_until(lambda: page.find("#top").text == "There are no older messages.", "the beginning is shown")


def test_what_is_read_stays_where_it_is(browser, server, client):
    """Neither older nor new messages move it."""
    send_numbered(server.address, 200)
    page = browser.open(client.http.address)
    page.scroll("log.scrollHeight / 8")
    seen = page.run(
        "return [...document.querySelectorAll('#rows .row')].find((row) => row.getBoundingClientRect().top > 100)"
    )
    before = page.run("return arguments[0].getBoundingClientRect().top", seen)
    wait_until(lambda: page.rows() > 50, "older messages are there")
    send_numbered(server.address, 3, "new")
    wait_until(lambda: page.find("#jump").text == "3 new messages", "the button is there")
    assert abs(page.run("return arguments[0].getBoundingClientRect().top", seen) - before) < 2
    page.find("#jump").click()
    wait_until(page.is_at_end, "the newest message is in sight")
    assert page.texts()[-3:] == held(client.http, 3)
    wait_until(lambda: not page.find("#jump").is_displayed(), "the button is gone")
    send_numbered(server.address, 1, "followed")
    wait_until(lambda: page.texts()[-1] == "followed 0" and page.is_at_end(), "the page follows again")


#: Scrolls to a position in each frame, until this text is in the document. Gives the most rows and the longest frame.
SCROLLING = """
const [position, text, done] = arguments;
const log = document.getElementById("log");
const rows = document.getElementById("rows").children;
let most = 0, longest = 0, last = performance.now();
requestAnimationFrame(function frame(now) {
    most = Math.max(most, rows.length);
    longest = Math.max(longest, now - last);
    last = now;
    log.scrollTop = position === "0" ? 0 : log.scrollHeight;
    const ends = [rows[0], rows[rows.length - 1]].map((row) => row.querySelector(".text").textContent);
    if (ends.includes(text)) done([most, longest]);
    else requestAnimationFrame(frame);
});
"""


def test_10000_messages_cost_a_bounded_number_of_rows(browser, server, client, figure):
    send_numbered(server.address, 10_000)
    wanted = held(client.http)
    page = browser.open(client.http.address)
    script = "return performance.getEntriesByName('first-messages')[0]?.duration"
    figure(
        "page: from the answer with 50 messages to the frame that shows them",
        f"{wait_until(lambda: page.run(script), 'it is measured'):.0f} ms",
    )

    page.driver.set_script_timeout(120)
    for end, position in ((0, "0"), (-1, "log.scrollHeight")):
        rows, longest = page.driver.execute_async_script(SCROLLING, position, wanted[end])
        assert rows <= 160
        figure(
            f"page: longest time from frame to frame, scrolling through 10,000 messages to {position}",
            f"{longest:.0f} ms",
        )
    nodes = page.run("return document.querySelectorAll('*').length")
    figure("page: nodes in the document with 10,000 messages", str(nodes))
    assert nodes < 3_000


def test_the_page_by_keyboard_alone(browser, client):
    page = browser.open(client.http.address)

    def press(*keys: str) -> None:
        ActionChains(page.driver).send_keys(*keys).perform()

    def press_with_shift(key: str) -> None:
        ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(key).key_up(Keys.SHIFT).perform()

    assert page.focused() == "name"
    press("Anna", Keys.ENTER)
    assert page.focused() == "text"
    press("one")
    press_with_shift(Keys.ENTER)
    press("two", Keys.ENTER)
    wait_until(lambda: page.texts() == ["one\ntwo"], "the message is there")
    assert page.focused() == "text" and page.find("#text").get_attribute("value") == ""
    press_with_shift(Keys.TAB)
    assert page.focused() == "log"
    press_with_shift(Keys.TAB)
    assert page.focused() == "rename"
    press(Keys.ENTER)
    assert page.focused() == "name"
    press(Keys.ESCAPE)
    assert page.focused() == "text"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_accessibility(browser, launch, server, dark):
    """As axe sees it: roles, names, contrast."""
    client = launch.client(server.address, MESSENGER_MAX_TEXT_BYTES=5_000).wait_ready()
    page = browser.open(client.http.address, dark=dark)
    wait_until(lambda: page.find("#empty").is_displayed(), "the room is empty")
    assert page.faults() == []
    page.introduce("Anna")
    for author in "Anna", "Petr", "Ivan", "Маша", "Olga", "Tom", "Lu", "":
        client.http.send(author, "hey " * 500)
    page.paste("x" * 5_001)
    wait_until(lambda: page.find(".fault").is_displayed() and len(page.texts()) == 8, "all is there")
    assert (
        page.run("return new Set([...document.querySelectorAll('[data-tone]')].map((it) => it.dataset.tone)).size") > 4
    )
    server.kill()
    page.write("pending")
    wait_until(lambda: page.unsent().get("pending") == "waiting" or page.state() == "away", "it says so", within=60)
    # Not in the middle of a movement.
    page.run(
        """for (const each of document.getAnimations()) {
            if (each.effect.getTiming().iterations === 1) each.finish();
            else each.cancel();
        }"""
    )
    assert page.faults() == []


@pytest.mark.parametrize(
    ("language", "wanted", "title"),
    [
        ("ru-RU,en", "ru", "Сообщений пока нет"),
        ("de-DE,ru", "ru", "Сообщений пока нет"),
        ("de", "en", "No messages yet"),
    ],
)
def test_languages(browser, client, language, wanted, title):
    page = browser.open(client.http.address, language=language)
    assert page.run("return document.documentElement.lang") == wanted
    wait_until(lambda: page.find("#empty h2").text == title, "the room is empty")
    client.http.send("Anna", "hey")
    day = {"ru": "Сегодня", "en": "Today"}[wanted]
    wait_until(lambda: page.texts() and page.find(".day").text == day, "the day is shown")


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_has_nothing_to_scroll_sideways(browser, client, width):
    client.http.send("A very long name " * 10, "word" * 500)
    client.http.send("Anna", "\n".join(["https://example.com/" + "path/" * 50, "", "text " * 50]))
    page = browser.open(client.http.address, width=width, height=640, phone=True).introduce("Another long name " * 3)
    assert page.run("return document.documentElement.scrollWidth") <= width
    wide = """return [...document.querySelectorAll('#log, .bubble, .text, header, footer')]
        .filter((each) => each.getBoundingClientRect().right > innerWidth + 1).length"""
    assert page.run(wide) == 0
    assert page.run("const log = document.getElementById('log'); return log.scrollWidth <= log.clientWidth")
