"""Those who read the mirror meanwhile: walkers that check every byte, and dnf, which installs."""

import itertools
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.programs import Dnf
from tests.integration.test_publication import Reader
from tests.integration.webserver import Nginx


class Walker(Reader):
    """A reader that counts the files it got."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.reads = 0

    def _get(self, href: str) -> bytes | None:
        self.reads += 1
        return super()._get(href)


class Installer(threading.Thread):
    """dnf: it refreshes, and installs or upgrades from what it knows by then; again and again."""

    def __init__(self, dnf: Dnf, url: str, payloads: Mapping[str, set[bytes]]) -> None:
        if os.geteuid() != 0:
            pytest.skip("installing into a root needs to be root")
        super().__init__(name="dnf")
        self.failures: list[str] = []
        self.runs = self.installed = 0
        self._dnf, self._url, self._payloads = dnf, url, payloads
        self._ended = threading.Event()

    def end(self) -> None:
        """Let it finish its run."""
        self._ended.set()

    def run(self) -> None:
        """Until the end, or until one fails."""
        for name in itertools.cycle(self._payloads):
            self._do("--refresh", "makecache")
            # By metadata that may be old by now: what it names has to be there.
            self._do("-y", "install", name)
            self._check(name)
            self._do("--refresh", "-y", "upgrade")
            self._check(name)
            if self._ended.is_set() or self.failures:
                return

    def _do(self, *args: str) -> None:
        if self.failures:
            return
        done = self._dnf.run(self._url, *args)
        self.runs += 1
        if done.returncode:
            self.failures.append(f"{' '.join(args)}: {done.stdout}{done.stderr}")

    def _check(self, name: str) -> None:
        """See that what is installed is what upstream made."""
        path = Path(self._dnf.folder / f"root/usr/share/{name}.bin")
        if self.failures or not path.exists():
            return
        self.installed += 1
        if path.read_bytes() not in self._payloads[name]:
            self.failures.append(f"{name}: was installed with wrong bytes")


def strange_answers(server: Nginx) -> list[str]:
    """What a web server of the mirror answered and should not have; no signature is there to be found."""
    return [
        f"{request.status} {request.path}"
        for request in server.requests()
        if request.status not in {200, 206, 304} and not request.href.endswith((".asc", ".key"))
    ]
