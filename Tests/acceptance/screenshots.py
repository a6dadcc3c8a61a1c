"""./dev screenshots: the pictures of the page in docs/images. The server's clock is set: the times stay the same."""

import base64
import datetime
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from support.browser import Browser, Page
from support.clock import Clock
from support.launcher import Launcher
from support.processes import ROOT
from support.waiting import wait_until

FOLDER = ROOT / "docs" / "images"
MORNING = datetime.timedelta(hours=10, minutes=4)
#: Minutes since the morning, who writes, and what.
TALK = [
    (0, "Anna", "Good morning! Who is in for the demo at eleven?"),
    (1, "Ivan", "Me. I'll bring two clients, and a server to kill 🙂"),
    (3, "Маша", "Я тоже буду. А сообщения после перезапуска дойдут?"),
    (4, "Ivan", "All of them, once each, in one order."),
    (
        9,
        "Petr",
        "Then let's show it like this:\n1. open this page twice\n2. kill -9 the server\n3. send three messages",
    ),
    (9, "Petr", "and watch them arrive"),
    (11, "Anna", "Perfect. I'll book the big room 👍"),
]
#: The name of each picture, who looks, and at which screen.
PICTURES = [
    ("page-light", "Ivan", {"width": 960, "height": 700}),
    ("page-dark", "Ivan", {"width": 960, "height": 700, "dark": True}),
    ("page-phone", "Маша", {"width": 390, "height": 780, "phone": True, "language": "ru-RU"}),
]


def take(page: Page, name: str) -> None:
    wait_until(lambda: len(page.texts()) == len(TALK), "all messages are on the page")
    page.run("document.activeElement.blur(); for (const each of document.getAnimations()) each.finish()")
    file = FOLDER / f"{name}.png"
    file.write_bytes(base64.b64decode(page.command("Page.captureScreenshot")["data"]))
    print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1024} KiB")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        clock = ending.enter_context(closing(Clock(folder)))
        launch = ending.enter_context(closing(Launcher()))
        midnight = datetime.datetime.now(datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        began = (midnight + MORNING).timestamp()
        clock.set_ahead(int(began - time.time()))
        server = launch.server(MESSENGER_HISTORY="memory:", **clock.settings).wait_ready()
        client = launch.client(server.address).wait_ready()
        for minute, author, text in TALK:
            clock.set_ahead(int(began + 60 * minute - time.time()) + 1)
            client.http.send(author, text)
        browser = ending.enter_context(closing(Browser()))
        for name, user, screen in PICTURES:
            page = browser.open(client.http.address, **screen)
            page.command("Emulation.setTimezoneOverride", timezoneId="UTC")
            page.run("localStorage.setItem('messenger.name', arguments[0])", user)
            take(page.load(), name)


if __name__ == "__main__":
    main()
