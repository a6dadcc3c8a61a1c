"""The page for people, in Chromium: what it lets others do."""

import pytest
from selenium.webdriver.common.keys import Keys

from support.room import held
from support.waiting import wait_until

pytestmark = pytest.mark.browser


def test_texts_are_never_markup(browser, client):
    page = browser.open(client.http.address)
    text = "<img src=x onerror=\"document.title='owned'\"><script>document.title = 'owned'</script>"
    client.http.send(text, text)
    wait_until(lambda: page.texts() == [text], "the text is shown as it is")
    assert page.find("#rows .author").text == text
    assert page.run("return document.querySelectorAll('#rows img, #rows script').length") == 0
    assert page.driver.title == "Messenger"


def test_the_browser_refuses_scripts_in_the_page(browser, client):
    """Even if markup came into the page: the policy forbids it."""
    page = browser.open(client.http.address)
    page.run(
        """const image = document.createElement('div');
        image.innerHTML = "<img src='data:x' onerror='document.title = 1'><p style='color: red'>x</p>";
        document.body.append(image)"""
    )
    refused = wait_until(
        lambda: [entry["message"] for entry in page.driver.get_log("browser") if "Security Policy" in entry["message"]],
        "the browser refuses it",
    )
    assert refused and page.driver.title == "Messenger"


def test_the_page_under_a_name_that_is_allowed(browser, launch, server):
    client = launch.client(server.address, MESSENGER_HTTP_ALLOWED_HOSTS="chat.example.com").wait_ready()
    for host in "chat.example.com", "127.0.0.1", "localhost":
        page = browser.open(f"{host}:{client.port}").introduce("Anna")
        page.write(f"at {host}")
        wait_until(lambda: page.texts()[-1:] == [f"at {host}"], f"it works at {host}")
    page.driver.get(f"http://other.example.com:{client.port}/")
    assert "MESSENGER_HTTP_ALLOWED_HOSTS" in page.find("body").text


def test_other_sites_may_link_to_the_page_and_no_more(browser, launch, server, client):
    stranger = launch.client(server.address, MESSENGER_HTTP_ALLOWED_HOSTS="evil.example.com").wait_ready()
    page = browser.open(f"evil.example.com:{stranger.port}")
    ours = f"http://{client.http.address}"
    # Their own policy would forbid the calls.
    page.command("Page.setBypassCSP", enabled=True)
    page.load()
    body = '{"author": "evil", "text": "x"}'
    for call in f"'{ours}/messages'", f"'{ours}/sendMessage', {{method: 'POST', mode: 'no-cors', body: '{body}'}}":
        script = f"const done = arguments[0]; fetch({call}).then((it) => it.text(), String).then(done)"
        assert page.driver.execute_async_script(script) in ("TypeError: Failed to fetch", "")
    assert held(client.http) == []
    page.run(f"location.href = '{ours}/'")
    wait_until(lambda: page.state() == "online" and page.driver.current_url == f"{ours}/", "the link opens the page")


def test_the_page_asks_for_a_token(browser, launch, server, tokens):
    """And says what is not allowed."""
    may_read, may_send, may_both = (
        tokens.add(name, rights) for name, rights in (("a", "read"), ("b", "send"), ("c", "read,send"))
    )
    client = launch.client(server.address, MESSENGER_HTTP_TOKENS_FILE=tokens.path).wait_ready()
    page = browser.open(client.http.address, wait=False)

    def show(token: str) -> None:
        wait_until(lambda: page.find("#token").is_displayed(), "the page asks for a token")
        page.find("#token-value").send_keys(token, Keys.ENTER)

    for token, fault in (("wrong", "does not know this token"), (may_send, "may not read")):
        show(token)
        wait_until(lambda: fault in page.find("#token-fault").text, "the page says why not")
    show(may_read)
    wait_until(lambda: page.state() == "online", "the page reads")
    page.introduce("Anna").write("hey")
    wait_until(lambda: page.find("#denied p").text == "Your token may not send.", "the page says why not")
    page.find("#denied button").click()
    show(may_both)
    page.find("[data-do=retry]").click()
    wait_until(lambda: page.texts() == ["hey"] and not page.unsent(), "the message is there")
    page.load()
    wait_until(lambda: page.texts() == ["hey"], "the browser remembers the token")
