"""From repositories that were found to entries of a configuration: what differs in release and architecture is one.

A path's segments are read for a release and an architecture; paths that differ in nothing else are a family. Families
beside each other with the same releases and architectures become one whose `repo` varies. An entry's variables
multiply, so a family with gaps is split into parts that have none: each entry stands for what was found, no more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from mirrorpy.config.resolve import folders_above
from mirrorpy.discover.names import ARCH, RELEASE, REPO, VARIABLES, Names, Pattern, shown, unambiguous
from mirrorpy.rpmmd.href import quote_href

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mirrorpy.discover.survey import Found

_ARCH = re.compile(
    r"(?<![A-Za-z0-9])(?:x86_64(?:_v[2-4])?|aarch64|i[3-6]86|ppc64le|ppc64p7|ppc64|ppc|s390x|s390|ia64|armv[5-8]hn?l"
    r"|armhfp|riscv64|loongarch64|sparc64|sparcv9|sparc|alpha)(?![A-Za-z0-9_])"
)
_RELEASE = re.compile(
    r"(?:(?<![A-Za-z0-9.])|(?<=^el)|(?<=^fc)|(?<=^ol)|(?<=^v)|(?<=^f)|(?<=^rhel)|(?<=^epel)|(?<=^amzn)|(?<=^sles))"
    r"\d+(?:\.\d+)*(?:-stream|[-_]?beta|Server|Client|Workstation)?(?![A-Za-z0-9_.~+])",
    re.ASCII,
)
"""One of a segment: `5.11`, `8-stream`, `7Server`, `el9`, `epel-9`. A segment with several numbers is a date."""
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Values = tuple[str, str]
"""A release and an architecture; empty where a pattern has none."""


@dataclass(frozen=True, slots=True)
class Family:
    """One entry of a configuration; its texts have variables as `$name`."""

    id: str
    path: str
    baseurl: str
    vars: dict[str, list[str]]
    repositories: int
    trees: int
    """How many of its repositories are installer trees too."""


def find_families(url: str, found: Iterable[Found]) -> list[Family]:
    """Return the entries that stand for the repositories below a URL, sorted; each repository is in one of them.

    Paths below root are those below the URL, under the name of its last folder. A repository below another has a path
    without folders: published folders do not lie in each other.
    """
    base, prefix = _split(url)
    some = list(found)
    inner = {one.path for one in nested(some)}
    taken = Names(urlsplit(url).hostname or "repository")
    families: list[Family] = []
    for below in (False, True):
        trees = {
            f"{prefix}{one.path}".strip("/"): one.tree
            for one in some
            if one.repository and (one.path in inner) == below
        }
        families += _entries(base, trees, taken)
    return families


def nested(found: Iterable[Found]) -> list[Found]:
    """Return the repositories that lie below another one."""
    repositories = {one.path: one for one in found if one.repository}
    return [one for path, one in repositories.items() if not repositories.keys().isdisjoint(_above(path))]


def _above(path: str) -> list[str]:
    return ["", *folders_above(path)] if path else []


def _entries(base: str, trees: Mapping[str, bool], taken: Names) -> Iterator[Family]:
    """Yield the entries for paths below a base."""
    read: defaultdict[str, set[Values]] = defaultdict(set)
    for path in trees:
        text, values = _read(path)
        read[text].add(values)
    patterns: list[Pattern] = []
    for text, names in _merged({text: frozenset(combinations) for text, combinations in read.items()}):
        for releases, architectures in _full(read[text.replace(REPO, names[0])]):
            known = {RELEASE: releases, REPO: names, ARCH: architectures}
            patterns.append(Pattern(text, {char: values for char, values in known.items() if char in text}))
    for pattern in sorted(patterns, key=lambda one: (one.text, _order(next(iter(one.values.values()), [""])[0]))):
        for part in unambiguous(pattern):
            repo_id, path = taken.take(part)
            members = list(part.expanded(part.text))
            yield Family(
                id=shown(repo_id),
                path=shown(path),
                baseurl=base + (f"{shown(part.text, quote_href)}/" if part.text else ""),
                vars={VARIABLES[char]: values for char, values in part.values.items()},
                repositories=len(members),
                trees=sum(trees[member] for member in members),
            )


def _split(url: str) -> tuple[str, str]:
    """Return the URL of the folder above, and the name of the URL's own; no name where there is none that fits."""
    whole, parts = url.rstrip("/"), urlsplit(url)
    above, _, last = whole.rpartition("/")
    name = unquote(last)
    fits = name.isprintable() and not name.startswith(".") and "/" not in name
    if not parts.path.strip("/") or not fits or unquote_to_bytes(quote(name)) != unquote_to_bytes(last):
        return url if url.endswith("/") else f"{url}/", ""
    return f"{above}/", f"{name}/"


def _read(path: str) -> tuple[str, Values]:
    """Return a path's pattern, and what its variables stand for."""
    release = arch = ""
    segments: list[str] = []
    for segment in path.split("/"):
        text = segment
        if match := _ARCH.search(text):
            arch = arch or match[0]
            text = _put(ARCH, _ARCH, arch, text)
        if len(numbers := _RELEASE.findall(text)) == 1:
            release = release or numbers[0]
            text = _put(RELEASE, _RELEASE, release, text)
        segments.append(text)
    return "/".join(segments), (release, arch)


def _put(char: str, tokens: re.Pattern[str], value: str, text: str) -> str:
    """Replace the tokens that are this value; another one of the same path stays what it is."""
    return tokens.sub(lambda match: char if match[0] == value else match[0], text)


def _merged(patterns: Mapping[str, frozenset[Values]]) -> Iterator[tuple[str, list[str]]]:
    """Yield patterns with the names that their `repo` has; those that differ in one name behind a variable are one."""
    left = dict(patterns)
    for position in range(max((text.count("/") for text in left), default=0), -1, -1):
        alike: defaultdict[tuple[str, frozenset[Values]], list[str]] = defaultdict(list)
        for text, values in left.items():
            segments = text.split("/")
            before, name = "/".join(segments[:position]), "".join(segments[position : position + 1])
            if (RELEASE in before or ARCH in before) and _REPO.fullmatch(name):
                segments[position] = REPO
                alike["/".join(segments), values].append(name)
        for (text, _), names in alike.items():
            whole = [text.replace(REPO, name) for name in names]
            if len(names) > 1 and all(one in left for one in whole):
                for one in whole:
                    del left[one]
                yield text, sorted(names)
    yield from ((text, [""]) for text in left)


def _full(combinations: Iterable[Values]) -> Iterator[tuple[list[str], list[str]]]:
    """Split combinations into releases and architectures that may be multiplied."""
    by_release: defaultdict[str, set[str]] = defaultdict(set)
    for release, arch in combinations:
        by_release[release].add(arch)
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for release, architectures in by_release.items():
        alike[tuple(sorted(architectures))].append(release)
    for same, releases in alike.items():
        yield sorted(releases, key=_order), list(same)


def _order(text: str) -> list[tuple[int, str]]:
    """Sort 10 after 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d{1,18}|\D+", text)]
