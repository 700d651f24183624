"""The index pages of `mirrorpy serve` in headless Chromium, as a reader sees them."""

import fcntl
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import lxml.html
import pytest

from .installation import Mirror
from .programs import real_program
from .test_serve import ODD_NAMES, Serving, utc
from .upstream import Upstream

BROWSER_SECONDS = 60.0
ODD_TIME = 1_600_000_000
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SIZES = {"tiny.bin": 3, "kilo.bin": 1_000, "mega.bin": 2_500_000, "giga.bin": 3_000_000_000}

LAUNCHER = """
import os, sys
for number, descriptor in enumerate(sys.argv[1:3], 3):
    os.dup2(int(descriptor), number)
    os.close(int(descriptor))
os.execv(sys.argv[3], sys.argv[3:])
"""

TABLE = """
[...document.querySelectorAll("#files tr")].filter(row => row.querySelector("td")).map(row => ({
    name: row.cells[0].innerText, href: row.cells[0].querySelector("a").href,
    size: row.cells[1].innerText, date: row.cells[2].innerText,
    bytes: row.cells[1].dataset.size, datetime: row.cells[2].querySelector("time")?.dateTime,
}))
"""
"""The listing as it is rendered, with links as the browser resolves them."""


def command(profile: Path, *options: str) -> list[str]:
    """Of a browser that finds no other host."""
    return [
        real_program("chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={profile}",
        *options,
    ]


class Browser:
    """A browser driven by its DevTools protocol over a pipe."""

    def __init__(self, profile: Path) -> None:
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # Out of the way of 3 and 4, from which it reads and to which it writes.
        theirs = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10) for descriptor in (commands, answers)]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCHER, *map(str, theirs)),
                *command(profile, "--remote-debugging-pipe", "--window-size=1280,900", "about:blank"),
            ],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for descriptor in (commands, answers, *theirs):
            os.close(descriptor)
        self._buffer = b""
        self._count = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []

    def attach(self) -> None:
        """Open a page to work on."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command's result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, url: str) -> None:
        """Go there and wait until it is loaded."""
        self.events.clear()
        said = self.call("Page.navigate", url=url)
        assert "errorText" not in said, said
        self.loaded()

    def loaded(self) -> None:
        """Wait for the page that is under way."""
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def evaluate(self, expression: str) -> Any:
        """What JavaScript makes of it."""
        said = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def requested(self) -> list[str]:
        """The addresses that the page asked for, its own first."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """What stands on its console, such as what the page's policy refused; Chromium itself asks for an icon."""
        entries = [event["params"]["entry"] for event in self.events if event.get("method") == "Log.entryAdded"]
        return [entry["text"] for entry in entries if not entry.get("url", "").endswith("/favicon.ico")]

    def _message(self) -> dict[str, Any]:
        until = time.monotonic() + BROWSER_SECONDS
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._read], [], [], max(0.0, until - time.monotonic()))
            part = os.read(self._read, 1 << 20) if readable else b""
            if not part:
                raise RuntimeError("the browser says nothing")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(message))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = ""
        with suppress(RuntimeError, OSError, AssertionError):
            self.call("Browser.close")
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of a published repository, of odd names and of large files."""
    folder = tmp_path_factory.mktemp("browser")
    base = Upstream(folder / "upstreams" / "base")
    base.add("tool", size=100_000)
    base.publish()
    mirror = Mirror(folder / "mirror")
    mirror.configure({"id": "base", "path": "distro/base/x86_64", "baseurl": base.url})
    mirror.sync()
    for name in ("odd", "sizes"):
        (mirror.root / name).mkdir()
    for name in ODD_NAMES:
        (mirror.root / "odd" / name).write_bytes(os.fsencode(name))
    (mirror.root / "odd" / "a folder #1").mkdir()
    for name, size in SIZES.items():
        with (mirror.root / "sizes" / name).open("wb") as file:
            file.truncate(size)
        os.utime(mirror.root / "sizes" / name, (ODD_TIME, ODD_TIME))
    with Serving(mirror) as serving:
        yield serving


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests."""
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.attach()
        yield browser


@pytest.mark.parametrize("target", ["", "distro/", "distro/base/x86_64/", "distro/base/x86_64/repodata/", "sizes/"])
def test_the_listing_is_that_of_the_folder(site: Serving, browser: Browser, target: str) -> None:
    """Names, sizes and dates, for the eye and for programs."""
    folder = site.root / target
    browser.open(f"{site.url}{target}")
    shown = [row for row in browser.evaluate(TABLE) if row["name"] != "../"]
    expected = sorted(
        (path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: (path.is_file(), path)
    )
    assert [row["name"] for row in shown] == [f"{path.name}{'/' * path.is_dir()}" for path in expected]
    for row, path in zip(shown, expected, strict=True):
        assert row["datetime"] == utc(path)
        assert row["date"].replace(" ", "T") == utc(path)[:16]
        if path.is_file():
            number, unit = row["size"].split()
            assert row["bytes"] == str(path.stat().st_size)
            assert float(number.replace(",", "")) * UNITS[unit] == pytest.approx(path.stat().st_size, rel=0.05)


@pytest.mark.parametrize("target", ["", "distro/base/x86_64/", "odd/"])
def test_every_link_answers(site: Serving, browser: Browser, target: str) -> None:
    """As the browser resolves it: files and pages, the status panel's and the way up."""
    browser.open(f"{site.url}{target}")
    links = browser.evaluate("[...document.links].map(link => link.href)")
    assert links
    for link in links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("http", urlsplit(site.url).netloc, "", "")
        assert site.ask(parts.path, "HEAD").status == 200, link


def test_odd_names_lead_to_their_files(site: Serving, browser: Browser) -> None:
    """Whatever a name has in it that means something in an address."""
    browser.open(f"{site.url}odd/")
    rows = [row for row in browser.evaluate(TABLE) if not row["name"].endswith("/")]
    assert len(rows) == len(ODD_NAMES)
    bodies = {site.ask(urlsplit(row["href"]).path).body for row in rows}
    assert bodies == {os.fsencode(name) for name in ODD_NAMES}
    assert {row["name"] for row in rows} >= {"<b>bold&amp;.rpm", "日本語-é.rpm", "javascript:alert(1)"}


def test_clicks_lead_down_and_up_again(site: Serving, browser: Browser) -> None:
    """Through a folder with an odd name, and by the breadcrumb."""
    browser.open(f"{site.url}odd/")
    browser.events.clear()
    browser.evaluate('[...document.links].find(link => link.innerText == "a folder #1/").click()')
    browser.loaded()
    assert unquote(urlsplit(browser.evaluate("location.href")).path) == "/odd/a folder #1/"
    browser.events.clear()
    browser.evaluate('[...document.links].find(link => link.innerText == "../").click()')
    browser.loaded()
    assert urlsplit(browser.evaluate("location.href")).path == "/odd/"
    browser.events.clear()
    browser.evaluate("document.links[0].click()")
    browser.loaded()
    assert browser.evaluate("location.href") == site.url


def test_a_folder_without_its_slash_leads_to_its_page(site: Serving, browser: Browser) -> None:
    """Links on it work, so the browser knows the slash."""
    browser.open(f"{site.url}distro/base")
    assert browser.evaluate("location.href") == f"{site.url}distro/base/"
    assert f"{site.url}distro/base/x86_64/" in browser.evaluate("[...document.links].map(link => link.href)")


@pytest.mark.parametrize("target", ["", "distro/base/x86_64/", "odd/"])
def test_nothing_is_asked_of_anybody_else(site: Serving, browser: Browser, target: str) -> None:
    """The page is one request, an icon at most, and its own policy refuses nothing on it."""
    browser.open(f"{site.url}{target}")
    first, *others = browser.requested()
    assert first == f"{site.url}{target}"
    assert [url for url in others if url != f"{site.url}favicon.ico"] == []
    assert browser.complaints() == []


def test_the_page_is_styled(site: Serving, browser: Browser) -> None:
    """Its own policy lets its style through; sizes and dates stand to the right."""
    browser.open(f"{site.url}sizes/")
    assert browser.evaluate('getComputedStyle(document.querySelector("#files")).borderCollapse') == "collapse"
    assert browser.evaluate('getComputedStyle(document.querySelector("#files td[data-size]")).textAlign') == "right"


def test_it_is_dark_where_the_reader_likes_it_dark(site: Serving, browser: Browser) -> None:
    """Light on dark, dark on light."""
    colours = {}
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(site.url)
        text = browser.evaluate("getComputedStyle(document.body).color")
        colours[scheme] = sum(map(int, re.findall(r"\d+", text)[:3]))
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert colours["light"] < 3 * 128 < colours["dark"]


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("target", ["", "distro/base/x86_64/repodata/"])
def test_the_page_fits(site: Serving, browser: Browser, target: str, width: int) -> None:
    """A screen's and half a screen's width, with names as long as checksums."""
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.open(f"{site.url}{target}")
    wide = browser.evaluate("document.documentElement.scrollWidth")
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert wide <= width


def texts(body: str) -> list[str]:
    """Everything that a page says, and where its links lead."""
    page = lxml.html.document_fromstring(body)
    return [text.strip() for text in page.xpath("//body//text() | //body//@href") if text.strip()]


@pytest.mark.parametrize("disabled", [False, True])
def test_without_javascript_it_is_the_same(site: Serving, browser: Browser, disabled: bool) -> None:
    """The page that comes is the page that is shown."""
    target = "odd/"
    browser.call("Emulation.setScriptExecutionDisabled", value=disabled)
    browser.open(f"{site.url}{target}")
    document = browser.call("DOM.getDocument", depth=0)["root"]["nodeId"]
    shown = browser.call("DOM.getOuterHTML", nodeId=document)["outerHTML"]
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert texts(shown) == texts(site.ask(f"/{target}").body.decode())


def test_the_dom_is_dumped(site: Serving, tmp_path: Path) -> None:
    """By the browser's own command line."""
    done = subprocess.run(
        command(tmp_path / "profile", "--dump-dom", f"{site.url}sizes/"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=BROWSER_SECONDS,
    )
    assert texts(done.stdout.decode()) == texts(site.ask("/sizes/").body.decode())


def test_a_screenshot_is_the_same_without_javascript(site: Serving, browser: Browser) -> None:
    """To the last pixel."""
    pictures = []
    for disabled in (False, True):
        browser.call("Emulation.setScriptExecutionDisabled", value=disabled)
        browser.open(f"{site.url}sizes/")
        pictures.append(browser.call("Page.captureScreenshot")["data"])
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert pictures[0] == pictures[1]


def test_a_screenshot_can_be_taken(site: Serving, tmp_path: Path) -> None:
    """By the browser's own command line: of the size asked for, and not of one colour."""
    picture = tmp_path / "index.png"
    subprocess.run(
        command(tmp_path / "profile", f"--screenshot={picture}", "--window-size=800,600", f"{site.url}distro/"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=BROWSER_SECONDS,
    )
    body = picture.read_bytes()
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    assert [int.from_bytes(body[start : start + 4], "big") for start in (16, 20)] == [800, 600]
    assert len(body) > 5_000
