"""The page for people, in Chromium: how messages come and go, whatever fails."""

import subprocess
import time

import pytest
from selenium.webdriver.common.keys import Keys

from support.api import connected, pb, stub
from support.room import held, send_numbered
from support.waiting import wait_until

pytestmark = pytest.mark.browser


def test_two_pages_and_curl_see_the_same_order(browser, launch, server, client):
    other = launch.client(server.address).wait_ready()
    anna = browser.open(client.http.address).introduce("Anna")
    petr = browser.open(other.http.address).introduce("Petr")
    for number in range(3):
        anna.write(f"from Anna {number}")
        petr.write(f"from Petr {number}")
        subprocess.run(
            [
                "curl",
                "-sS",
                "-d",
                f'{{"author": "curl", "text": "from curl {number}"}}',
                f"{client.http.address}/sendMessage",
            ],
            check=True,
            capture_output=True,
        )
    wait_until(lambda: len(anna.texts()) == len(petr.texts()) == 9, "both pages show nine messages")
    messages = client.http.request("GET", "/messages").json()
    assert anna.texts() == petr.texts() == [message["text"] for message in messages]
    assert anna.times() == [message["sendTime"] for message in messages]
    wait_until(lambda: not anna.unsent() and not petr.unsent(), "nothing is on its way")


def test_a_server_that_is_killed_under_an_open_page(browser, launch, tmp_path):
    """Nothing is missing, nothing is there twice, and what was written meanwhile arrives once."""
    history = {"MESSENGER_HISTORY": f"sqlite:{tmp_path}/history.db"}
    server = launch.server(**history).wait_ready()
    client = launch.client(server.address).wait_ready()
    page = browser.open(client.http.address).introduce("Anna")
    page.write("before")
    wait_until(lambda: page.texts() == ["before"] and not page.unsent(), "the first message is there")
    server.kill()
    page.write("meanwhile")
    page.write("and again")
    wait_until(lambda: set(page.unsent()) == {"meanwhile", "and again"}, "both are pending")
    assert page.texts() == ["before"]
    server = launch.server(port=server.port, **history).wait_ready()
    with connected(server.address) as channel:
        stub(channel).SendMessage(pb.SendMessageRequest(author="Petr", text="from elsewhere"), timeout=20)
    wait_until(lambda: not page.unsent(), "nothing is pending", within=40)
    wait_until(lambda: len(page.texts()) == 4, "all are there")
    assert page.texts() == held(client.http)
    assert sorted(page.texts()) == ["and again", "before", "from elsewhere", "meanwhile"]


def test_a_client_that_is_killed_under_an_open_page(browser, launch, server):
    """The page connects again by itself, and sends what is pending once."""
    client = launch.client(server.address).wait_ready()
    page = browser.open(client.http.address).introduce("Anna")
    page.write("before")
    wait_until(lambda: page.texts() == ["before"], "the first message is there")
    client.kill()
    page.write("meanwhile")
    wait_until(lambda: page.state() == "broken", "the page says so")
    send_numbered(server.address, 3)
    launch.client(server.address, port=client.port).wait_ready()
    wait_until(lambda: page.state() == "online" and not page.unsent(), "all is well again", within=40)
    wait_until(lambda: len(page.texts()) == 5, "all are there")
    assert sorted(page.texts()) == ["before", "meanwhile", "message 0", "message 1", "message 2"]


def test_a_pending_message_survives_a_reload(browser, launch, server, client):
    page = browser.open(client.http.address).introduce("Anna")
    server.kill()
    page.write("kept")
    wait_until(lambda: "kept" in page.unsent(), "it is pending")
    page.driver.refresh()
    wait_until(lambda: "kept" in page.unsent(), "it is pending again")
    server = launch.server(port=server.port, MESSENGER_HISTORY="memory:").wait_ready()
    wait_until(lambda: not page.unsent() and page.texts() == ["kept"], "it is there once", within=40)


def test_a_refused_message_says_why_and_can_be_edited(browser, launch, server):
    client = launch.client(server.address, MESSENGER_MAX_TEXT_BYTES=20).wait_ready()
    page = browser.open(client.http.address).introduce("Anna")
    page.write("much longer than twenty bytes")
    wait_until(lambda: page.unsent() == {"much longer than twenty bytes": "failed"}, "it is refused")
    assert page.find(".fault p").text == "The message is too long."
    page.find("[data-do=edit]").click()
    assert page.unsent() == {} and page.focused() == "text"
    page.find("#text").send_keys(Keys.BACKSPACE * 20, Keys.ENTER)
    wait_until(lambda: page.texts() == ["much long"], "the shorter one is there")


def test_a_gap_is_shown(browser, launch, server, client):
    page = browser.open(client.http.address)
    client.http.send("Anna", "before")
    wait_until(lambda: page.texts() == ["before"], "the first message is there")
    server.kill()
    server = launch.server(port=server.port, MESSENGER_HISTORY="memory:").wait_ready()
    send_numbered(server.address, 1)
    wait_until(lambda: page.texts() == ["before", "message 0"], "the next message is there", within=40)
    assert page.find("#rows > :nth-child(2)").text == "Messages are missing here. The server no longer holds them."


def test_the_name_is_remembered(browser, client):
    page = browser.open(client.http.address).introduce("Anna")
    page.load()
    assert page.find("#rename .name").text == "Anna" and page.focused() == "text"
    page.find("#rename").click()
    page.introduce("-Maria")
    assert page.find("#rename .name").text == "-Maria"
    page.write("hey")
    wait_until(lambda: client.http.request("GET", "/messages").json()[-1:], "it is sent")
    assert client.http.request("GET", "/messages").json()[-1]["author"] == "-Maria"


def test_a_name_with_half_a_character(browser, client):
    """It is not Unicode text, so the server would refuse each message."""
    page = browser.open(client.http.address)
    page.run("document.getElementById('name').value = 'Anna\\ud83d'")
    page.introduce("!")
    page.write("hey")
    wait_until(lambda: page.texts() == ["hey"] and not page.unsent(), "it is sent")
    assert client.http.request("GET", "/messages").json()[-1]["author"] == "Anna\ufffd!"


def test_a_browser_whose_storage_is_full(browser, client):
    """The page uses the new name, although the browser still remembers the old one."""
    page = browser.open(client.http.address).introduce("Anna")
    fill = """
        for (let size = 1 << 20; size > 0; size >>= 1)
            try { for (let index = 0; ; index++) localStorage.setItem(`${size}-${index}`, "x".repeat(size)) } catch {}
    """
    page.run(fill)
    page.find("#rename").click()
    page.introduce("Maria Antonia")
    assert page.find("#rename .name").text == "Maria Antonia"
    page.write("hey")
    wait_until(lambda: page.texts() == ["hey"] and not page.unsent(), "it is sent")
    assert client.http.request("GET", "/messages").json()[-1]["author"] == "Maria Antonia"
    page.run("localStorage.clear()")


@pytest.mark.parametrize("arrived", [True, False])
def test_a_page_that_slept_sends_nothing_twice(browser, launch, arrived):
    """It wakes up when the server has forgotten the key of a message whose answer it has not seen."""
    server = launch.server(MESSENGER_IDEMPOTENCY_AGE="1s").wait_ready()
    client = launch.client(server.address).wait_ready()
    page = browser.open(client.http.address).introduce("Anna")
    page.run(
        """
        const [original, now, arrives] = [fetch, Date.now, arguments[0]];
        window.fetch = async (path, options) => {
            if (path !== "/sendMessage") return original(path, options);
            if (arrives) await original(path, options);
            window.fetch = original;
            setTimeout(() => (Date.now = () => now() + 86_400_000), 100);
            return new Response("{}", { status: 503, headers: { "Retry-After": "2" } });
        };
        """,
        arrived,
    )
    page.write("once")
    wait_until(lambda: page.run("return Date.now()") > (time.time() + 80_000) * 1000, "it sleeps for a day")
    if arrived:
        wait_until(lambda: page.run("return sessionStorage['messenger.outbox']") == "[]", "it asks nothing")
        assert held(client.http) == ["once"]
    else:
        wait_until(lambda: page.unsent() == {"once": "failed"}, "it asks what to do")
        assert held(client.http) == []
        page.find("[data-do=retry]").click()
        wait_until(lambda: held(client.http) == ["once"] and not page.unsent(), "it is sent again")
