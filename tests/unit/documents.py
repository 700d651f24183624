"""Small RPM-MD documents and values, valid until a test asks for something else."""

import hashlib
from xml.sax.saxutils import escape, quoteattr

from mirrorpy.rpmmd.model import Checksum, Kind, RemoteFile

REPO = "http://linux.duke.edu/metadata/repo"
COMMON = "http://linux.duke.edu/metadata/common"
A64, B64 = "a" * 64, "b" * 64


def sha256(data: bytes | str) -> Checksum:
    """The checksum of some bytes."""
    return Checksum("sha256", hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest())


def remote(href: str, content: str = "", size: int | None = 1, kind: Kind = Kind.PACKAGE) -> RemoteFile:
    """A promised file, whose checksum is that of a text."""
    return RemoteFile(href, sha256(content or href), size, kind)


def record(
    kind: str | None = "primary",
    href: str | None = "repodata/primary.xml.gz",
    checksum: tuple[str, str] | None = ("sha256", A64),
    *,
    inside: str = "",
    base: str | None = None,
) -> str:
    """A `<data>` of repomd."""
    parts = [f"<data type={quoteattr(kind)}>" if kind is not None else "<data>"]
    if checksum:
        parts.append(f'<checksum type="{checksum[0]}">{checksum[1]}</checksum>')
    if href is not None:
        attribute = f" xml:base={quoteattr(base)}" if base else ""
        parts.append(f"<location{attribute} href={quoteattr(href)}/>")
    return "".join([*parts, inside, "</data>"])


def repomd(*records: str, revision: str | None = "7", namespace: str = REPO) -> bytes:
    """A repomd.xml; with no record it has a primary."""
    inside = f"<revision>{escape(revision)}</revision>" if revision is not None else ""
    body = inside + "".join(records or [record()])
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="{namespace}">{body}</repomd>'.encode()


def package(
    href: str | None = "Packages/a-1-1.noarch.rpm",
    checksum: tuple[str, str] | None = ("sha256", A64),
    size: str | None = "4711",
    *,
    name: str = "a",
    base: str | None = None,
    inside: str = "",
) -> str:
    """A `<package>` of primary."""
    parts = ['<package type="rpm">', f"<name>{escape(name)}</name>"]
    if checksum:
        parts.append(f'<checksum type="{checksum[0]}" pkgid="YES">{checksum[1]}</checksum>')
    if size is not None:
        parts.append(f'<size package="{size}" installed="1" archive="1"/>')
    if href is not None:
        attribute = f" xml:base={quoteattr(base)}" if base else ""
        parts.append(f"<location{attribute} href={quoteattr(href)}/>")
    return "".join([*parts, inside, "</package>"])


def primary(*packages: str, count: int | str | None = None, namespace: str = COMMON) -> bytes:
    """A primary.xml."""
    promised = len(packages) if count is None else count
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="{namespace}" packages="{promised}">'
    return f"{head}{''.join(packages)}</metadata>".encode()


def delta(
    filename: str | None = "drpms/a-1_2.drpm",
    checksum: tuple[str, str] | None = ("sha256", A64),
    size: str | None = "99",
) -> str:
    """A `<delta>` in its `<newpackage>`."""
    parts = ['<newpackage name="a" epoch="0" version="2" release="1" arch="noarch"><delta oldepoch="0">']
    if filename is not None:
        parts.append(f"<filename>{escape(filename)}</filename>")
    if size is not None:
        parts.append(f"<size>{size}</size>")
    if checksum:
        parts.append(f'<checksum type="{checksum[0]}">{checksum[1]}</checksum>')
    return "".join([*parts, "</delta></newpackage>"])


def prestodelta(*deltas: str, root: str = "prestodelta") -> bytes:
    """A prestodelta.xml or deltainfo.xml."""
    return f'<?xml version="1.0"?><{root}>{"".join(deltas)}</{root}>'.encode()
