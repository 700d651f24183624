"""Odd metadata: what an upstream publishes where a test wants one thing of it to be wrong."""

import gzip
import re
from collections.abc import Callable, Mapping

from tests.integration.listing import REPOMD
from tests.integration.upstream import companions, primary_xml

from .world import Source

REPOMD_PATH = f"base/{REPOMD}"
PRIMARY_PATH = "base/repodata/*-primary.xml.gz"
Change = Callable[[str], str]


def show(source: Source, packages: Mapping[str, bytes]) -> None:
    """Publish a state of these packages, which are put there."""
    for href, body in packages.items():
        source.put(href, body)
    source.packages = dict(packages)
    source.compose(packages)


def publish(source: Source, packed: Mapping[str, bytes] | None = None, **opened: bytes) -> None:
    """Publish records for the packages that are there, truly listed by repomd.xml.

    Args:
        source: Whose.
        packed: By type, what is served instead of a good .gz of the open bytes.
        **opened: By type, open bytes instead of the honest ones, or of one record more.
    """
    records = {"primary": primary_xml(source.packages), **companions(source.packages), **opened}
    served = packed or {}
    source.publish_records(
        {kind: (body, served.get(kind) or gzip.compress(body, mtime=0)) for kind, body in records.items()}
    )


def primary_text(source: Source) -> str:
    """What primary.xml is for the packages that are there."""
    return primary_xml(source.packages).decode()


def amend_primary(source: Source, change: Change, encoding: str = "utf-8") -> None:
    """Publish once more, with another primary.xml, truly listed."""
    publish(source, primary=change(primary_text(source)).encode(encoding))


def amend_repomd(source: Source, change: Change, encoding: str = "utf-8") -> None:
    """Change the repomd.xml that is published."""
    source.spoil(REPOMD, change((source.folder / REPOMD).read_text()).encode(encoding))


def replaced(old: str, new: str, count: int = -1) -> Change:
    """A change of a text, in which old has to occur."""

    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, count)

    return change


def rewritten(pattern: str, new: str, count: int = 0) -> Change:
    """A change of a text by a regular expression, which has to match."""

    def change(text: str) -> str:
        changed, found = re.subn(pattern, new, text, count=count, flags=re.DOTALL)
        assert found, pattern
        return changed

    return change


def instead(text: str) -> Change:
    """Another text altogether."""
    return lambda _: text
