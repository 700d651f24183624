"""Upstreams to mirror: real RPMs; metadata by createrepo_c, or by hand where it has to be quick or wrong."""

import functools
import gzip
import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import rpm_rs  # type: ignore[import-untyped, unused-ignore]

from .listing import REPOMD
from .programs import real_program

FIRST_REVISION = 1_700_000_000
SECONDS_BETWEEN = 60
"""Between two publications: Last-Modified and nginx's ETag tell whole seconds only."""


@functools.lru_cache(maxsize=4096)
def build_rpm(name: str, version: str = "1.0", release: str = "1", size: int = 2_000, arch: str = "noarch") -> bytes:
    """A real RPM with one file of random bytes in it, always the same for the same arguments."""
    builder = rpm_rs.PackageBuilder(name, version, "MIT", arch, f"{name} to mirror")
    builder.using_config(
        rpm_rs.BuildConfig(
            format=rpm_rs.RpmFormat.V4,
            compression=getattr(rpm_rs.CompressionType, "NONE"),  # noqa: B009 - it has no stub
            reserved_space=0,
            source_date=FIRST_REVISION,
        )
    )
    builder.release(release)
    builder.with_file_contents(payload(name, version, release, size), rpm_rs.FileOptions.new(f"/usr/share/{name}.bin"))
    return bytes(builder.build().to_bytes())


def payload(name: str, version: str = "1.0", release: str = "1", size: int = 2_000) -> bytes:
    """What such an RPM installs as /usr/share/NAME.bin."""
    return random.Random(f"{name}-{version}-{release}").randbytes(size)


class Upstream:
    """A repository that tests change and publish; its folder is what a web server or file:// shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.publications = 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Its file:// address."""
        return self.folder.as_uri() + "/"

    @property
    def revision(self) -> int:
        """What the repomd.xml says that is published."""
        return FIRST_REVISION + SECONDS_BETWEEN * self.publications

    def add(self, name: str, version: str = "1.0", release: str = "1", size: int = 2_000, href: str = "") -> str:
        """Put a package there, under its own name in Packages/ or under another; returns the href."""
        return self.put(
            href or f"Packages/{name}-{version}-{release}.noarch.rpm", build_rpm(name, version, release, size)
        )

    def put(self, href: str, body: bytes) -> str:
        """Put any file there."""
        path = self.folder / href
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return href

    def remove(self, href: str) -> None:
        """Take a file away."""
        (self.folder / href).unlink()

    def move(self, href: str, target: str) -> str:
        """Give a file another path."""
        path = self.folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        return str((self.folder / href).rename(path).relative_to(self.folder))

    def publish(self, *options: str) -> None:
        """Let createrepo_c describe what is there; options are its own."""
        self.publications += 1
        subprocess.run(
            [
                real_program("createrepo_c"),
                "--quiet",
                *(() if "--database" in options else ("--no-database",)),
                f"--revision={self.revision}",
                "--set-timestamp-to-revision",
                *options,
                str(self.folder),
            ],
            check=True,
            capture_output=True,
        )
        self._stamp()

    def compose(self, packages: Mapping[str, bytes], **records: bytes) -> None:
        """Describe packages by href, quickly, whatever the folder holds; further records are open bytes."""
        self.compose_records({"primary": primary_xml(packages), **companions(packages), **records})

    def compose_records(self, records: Mapping[str, bytes]) -> None:
        """Publish any bytes as records, compressed and truly listed by repomd.xml."""
        self.publish_records({kind: (body, gzip.compress(body, mtime=0)) for kind, body in records.items()})

    def publish_records(self, records: Mapping[str, tuple[bytes, bytes]], prefix: str = "repodata/") -> None:
        """Publish records as (open, packed) bytes below names that carry their checksum."""
        self.publications += 1
        repodata = self.folder / "repodata"
        shutil.rmtree(repodata, ignore_errors=True)
        repodata.mkdir(parents=True)
        described = []
        for kind, (body, packed) in records.items():
            name = f"{sha256(packed)}-{kind}.xml.gz"
            (repodata / name).write_bytes(packed)
            described.append(
                f'<data type="{kind}"><checksum type="sha256">{sha256(packed)}</checksum>'
                f'<open-checksum type="sha256">{sha256(body)}</open-checksum>'
                f'<location href="{prefix}{name}"/><timestamp>{self.revision}</timestamp>'
                f"<size>{len(packed)}</size><open-size>{len(body)}</open-size></data>"
            )
        (self.folder / REPOMD).write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
            f"<revision>{self.revision}</revision>{''.join(described)}</repomd>\n"
        )
        self._stamp()

    def spoil(self, href: str, body: bytes) -> None:
        """Overwrite a published file with other bytes, visibly newer than before."""
        path = self.folder / href
        newer = int(path.stat().st_mtime) + SECONDS_BETWEEN // 2
        path.write_bytes(body)
        os.utime(path, (newer, newer))

    def record(self, kind: str) -> str:
        """The href of the only record of a kind, by its name."""
        (path,) = (self.folder / "repodata").glob(f"*{kind}.xml*")
        return str(path.relative_to(self.folder))

    def _stamp(self) -> None:
        os.utime(self.folder / REPOMD, (self.revision, self.revision))


def sha256(body: bytes) -> str:
    """Its hexadecimal digest."""
    return hashlib.sha256(body).hexdigest()


def primary_xml(packages: Mapping[str, bytes]) -> bytes:
    """A primary.xml that dnf takes: each package is named after its href."""
    return _document("metadata", "common", packages, _package)


def companions(packages: Mapping[str, bytes]) -> dict[str, bytes]:
    """The filelists and other of the same packages."""

    def named(href: str, body: bytes) -> str:
        return (
            f'<package pkgid="{sha256(body)}" name={quoteattr(_name(href))} arch="noarch">'
            f'<version epoch="0" ver="1.0" rel="1"/></package>'
        )

    return {
        "filelists": _document("filelists", "filelists", packages, named),
        "other": _document("otherdata", "other", packages, named),
    }


def _package(href: str, body: bytes) -> str:
    return (
        f'<package type="rpm"><name>{escape(_name(href))}</name><arch>noarch</arch>'
        f'<version epoch="0" ver="1.0" rel="1"/><checksum type="sha256" pkgid="YES">{sha256(body)}</checksum>'
        f"<summary>one</summary><description>one</description><packager/><url/>"
        f'<time file="{FIRST_REVISION}" build="{FIRST_REVISION}"/>'
        f'<size package="{len(body)}" installed="1" archive="1"/><location href={quoteattr(href)}/>'
        f"<format><rpm:license>MIT</rpm:license></format></package>"
    )


def _name(href: str) -> str:
    return href.rpartition("/")[2].removesuffix(".rpm")


def _document(root: str, namespace: str, packages: Mapping[str, bytes], describe: Callable[[str, bytes], str]) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="http://linux.duke.edu/metadata/{namespace}"'
        f' xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{len(packages)}">'
        f"{''.join(describe(href, body) for href, body in packages.items())}</{root}>\n"
    ).encode()
