"""An upstream that signs what it publishes, and users who trust one of its keys."""

from pathlib import Path
from typing import Any

from tests.integration.listing import REPOMD
from tests.integration.signing import Key, Keys, sign_as_fedora

from .world import Source, World

ASC, KEY = f"{REPOMD}.asc", f"{REPOMD}.key"


class Publisher(Source):
    """It signs repomd.xml and every package."""

    def __init__(self, folder: Path, key: Key) -> None:
        super().__init__(folder)
        self.key = key
        self._signed: dict[bytes, bytes] = {}
        """Packages, without and with their signature: what does not change keeps the one it has."""

    def turn(self, **records: bytes) -> None:
        """Publish the next state."""
        super().turn(**records)
        for href, body in list(self.packages.items()):
            if body not in self._signed:
                self._signed[body] = sign_as_fedora(body, self.key)
            self.packages[href] = self._signed[body]
        self.bring(**self.packages)

    def bring(self, **packages: bytes) -> None:
        """Publish packages by href, the others as they are; repomd.xml is well signed."""
        self.packages |= packages
        for href, body in packages.items():
            self.put(href, body)
        self.compose(self.packages)
        self.sign(self.key)

    def sign(self, key: Key, digest: str = "SHA256") -> None:
        """Sign repomd.xml once more."""
        self.put(ASC, key.sign(self.repomd, digest, "--armor"))

    @property
    def repomd(self) -> bytes:
        return (self.folder / REPOMD).read_bytes()


def let_sign(world: World, keys: Keys, **checks: bool) -> Publisher:
    """Let `base` be an upstream that signs, and let the first state of both be mirrored with these checks."""
    publisher = Publisher(world.base.folder, keys.rsa)
    world.base = publisher
    trust(world, *(key.public() for key in (keys.rsa, keys.ed25519, keys.expired)), **checks)
    world.start()
    return publisher


def trust(world: World, *files: bytes, **checks: Any) -> list[str]:
    """Configure these key files and checks for `base`; returns the files' names."""
    names = [str(world.folder / f"key-{number}") for number in range(len(files))]
    for name, content in zip(names, files, strict=True):
        Path(name).write_bytes(content)
    world.configure(gpgkey=names, **checks)
    return names
