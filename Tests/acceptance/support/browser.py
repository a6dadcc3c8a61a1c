"""Chromium, with messenger-client's page in its windows."""

import shutil
from typing import Any

import axe_core_python
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from support.needs import skip_or_fail
from support.waiting import wait_until

AXE = f"{axe_core_python.__path__[0]}/axe.min.js"


class Page:
    """The page of a client, in a window of its own."""

    def __init__(self, browser: "Browser", window: str, address: str):
        self._browser = browser
        self._window = window
        self.url = f"http://{address}/"

    @property
    def driver(self) -> webdriver.Chrome:
        """Chromium, with this page in front."""
        driver = self._browser.driver
        if driver.current_window_handle != self._window:
            driver.switch_to.window(self._window)
        return driver

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def emulate(
        self, width: int, height: int, dark: bool = False, phone: bool = False, language: str = "en-US"
    ) -> None:
        """Makes the window a screen of this kind. The language counts when the page is loaded the next time."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        self.command("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        agent = self.run("return navigator.userAgent")
        self.command("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def load(self, wait: bool = True) -> "Page":
        """Loads the page, and waits until it follows the room."""
        self.driver.get(self.url)
        if wait:
            wait_until(lambda: self.state() == "online", f"the page {self.url} is connected")
        return self

    def state(self) -> str:
        return self.run("return document.getElementById('status')?.dataset.state ?? ''")

    def introduce(self, name: str) -> "Page":
        """Tells the page the user's name."""
        self.find("#name").send_keys(name, Keys.ENTER)
        return self

    def write(self, text: str) -> None:
        self.find("#text").send_keys(text, Keys.ENTER)

    def paste(self, text: str) -> None:
        """Puts a long text in the field at once, and sends it."""
        field = self.find("#text")
        self.run("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))", field, text)
        field.send_keys(Keys.ENTER)

    def texts(self) -> list[str]:
        """The messages of the room that are on the page."""
        return self.run("return [...document.querySelectorAll('#rows .text')].map((text) => text.textContent)")

    def times(self) -> list[str]:
        """The sendTime of each message on the page."""
        return self.run("return [...document.querySelectorAll('#rows .meta time')].map((time) => time.dateTime)")

    def unsent(self) -> dict[str, str]:
        """The state of each message that is on its way."""
        script = (
            "return [...arguments[0].children].map((it) => [it.querySelector('.text').textContent, it.dataset.state])"
        )
        return dict(self.run(script, self.find("#pending")))

    def rows(self) -> int:
        return self.run("return document.querySelectorAll('#rows > *').length")

    def focused(self) -> str:
        return self.run("return document.activeElement.id")

    def scroll(self, position: str) -> None:
        """Scrolls the messages, to a position that is an expression of `log`."""
        self.run(f"const log = document.getElementById('log'); log.scrollTop = {position}")

    def is_at_end(self) -> bool:
        script = (
            "const log = document.getElementById('log'); return log.scrollHeight - log.clientHeight - log.scrollTop < 4"
        )
        return self.run(script)

    def faults(self) -> list[str]:
        """What axe has to say about accessibility."""
        with open(AXE) as script:
            self.run(script.read())
        script = "axe.run().then(arguments[0], (error) => arguments[0]({violations: [{id: String(error), nodes: []}]}))"
        result = self.driver.execute_async_script(script)
        return [
            f"{violation['id']}: {node['html']} {node.get('failureSummary', '')}"
            for violation in result["violations"]
            for node in violation["nodes"] or [{"html": ""}]
        ]


class Browser:
    """A Chromium. Pages of different clients have different origins, so they share nothing."""

    def __init__(self) -> None:
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if not chromium or not driver:
            skip_or_fail("there is no Chromium here (Debian's chromium and chromium-driver)")
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in (
            "--headless=new",
            # Its sandbox does not work for root, or in most containers. It sees no other pages than ours.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            "--host-resolver-rules=MAP *.example.com 127.0.0.1",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
        self._first = self.driver.current_window_handle

    def open(self, address: str, wait: bool = True, **screen: Any) -> Page:
        """A page in a new window, as for a user who comes for the first time; unless told, once it follows the room."""
        self.driver.switch_to.new_window("window")
        page = Page(self, self.driver.current_window_handle, address)
        page.emulate(**{"width": 1280, "height": 800, **screen})
        return page.load(wait)

    def close_pages(self) -> None:
        for window in self.driver.window_handles:
            if window != self._first:
                self.driver.switch_to.window(window)
                self.driver.close()
        self.driver.switch_to.window(self._first)

    def close(self) -> None:
        self.driver.quit()
