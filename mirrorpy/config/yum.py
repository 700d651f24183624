"""Yum's own .repo files, turned into repositories of a configuration; what cannot be taken is said.

Keys are those of yum.conf(5) and dnf.conf(5). Where a section names several sources, the one that says most is taken:
a metalink, which pins repomd.xml, before a mirrorlist before base URLs.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from mirrorpy.config.quantity import Duration, Size
from mirrorpy.errors import ConfigError, one_line, redact
from mirrorpy.rpmmd.mirrors import SCHEMES, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SOURCES = ("metalink", "mirrorlist", "baseurl")
KEPT = ("releasever", "basearch")
"""Variables that stay variables even with one value: the next release is one more."""
SAME = ("username", "password", "user_agent", "sslcacert", "sslclientcert", "sslclientkey")
"""Keys that mean the same to mirrorpy."""
NUMBERS: dict[str, Callable[[str], object]] = {"retries": int, "timeout": Duration.parse, "minrate": Size.parse}
"""The same, and how they are read."""
LATER = ("gpgcheck", "repo_gpgcheck")
"""Keys that mirrorpy will know, and refuses until then."""
CLIENTS = re.compile(
    "name|enabled|enabled_metadata|cost|priority|metadata_expire|mirrorlist_expire|skip_if_unavailable|type|countme"
    "|module_hotfixes|keepcache|autorefresh|failovermethod|fastestmirror|http_caching|keepalive|deltarpm.*|enablegroups"
    "|max_parallel_downloads|ip_resolve|best|proxy_username|proxy_password|ui_repoid_vars"
)
"""Keys that mean nothing to a mirror."""
REASONS = {
    "includepkgs": "packages are not filtered: a byte-exact mirror without some of them gives its clients 404s",
    "throttle": "mirrorpy's throttle counts for the whole run",
}
REASONS |= dict.fromkeys(("excludepkgs", "exclude", "includepkg"), REASONS["includepkgs"])
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_TRUE, _FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off")
_ENV = re.compile(r"\$\{\w+\}", re.ASCII)
_UNFIT = re.compile(r"[^A-Za-z0-9._:+-]+")


@dataclass
class Entry:
    """One repository of the new configuration."""

    options: dict[str, object] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    """What could not be taken, to stand beside it."""
    variables: tuple[str, ...] = ()


@dataclass
class Conversion:
    """What became of .repo files."""

    entries: list[Entry] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """One line each: what was not taken, and why."""


def convert(files: Sequence[tuple[str, str]], variables: Mapping[str, Sequence[str]]) -> Conversion:
    """Convert .repo files, given as name and text; variables have the values that their `$name` stands for.

    Raises:
        ConfigError: A file is none.
    """
    conversion = Conversion()
    taken: dict[str, str] = {}
    for name, text in files:
        for section in _sections(name, text):
            place = f"{name}: [{section.name}]"
            converter = _Converter(section, variables)
            entry = converter.convert()
            conversion.complaints += [f"{place}: {complaint}" for complaint in converter.complaints]
            if entry is None:
                continue
            repo_id = str(entry.options["id"])
            if repo_id in taken:
                conversion.complaints.append(f"{place}: not taken: {taken[repo_id]} has this id already")
                continue
            taken[repo_id] = place
            conversion.entries.append(entry)
    return conversion


def _sections(name: str, text: str) -> list[configparser.SectionProxy]:
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters="=", default_section="\0")
    try:
        parser.read_string(text.removeprefix("\ufeff"), name)
    except configparser.Error as error:
        raise ConfigError(f"{name}: is no .repo file: {one_line(str(error))}") from error
    return [parser[section] for section in parser.sections() if section != "main"]


class _NotTaken(Exception):
    """A section cannot be taken; says why."""


class _Converter:
    """One section on its way; complaints are what was not taken of it."""

    def __init__(self, section: configparser.SectionProxy, variables: Mapping[str, Sequence[str]]) -> None:
        self._keys = {key: value.strip() for key, value in section.items()}
        self._name = section.name
        self._variables = variables
        self.complaints: list[str] = []

    def convert(self) -> Entry | None:
        """Return the repository; None where the section is not taken."""
        try:
            source, urls = self._source()
            used = self._used(urls)
        except _NotTaken as why:
            self.complaints[:] = [f"not taken: {why}"]
            return None
        kept = [name for name in used if name in KEPT or len(self._variables[name]) > 1]
        single = {name: self._variables[name][0] for name in used if name not in kept}
        urls = [expand(url, single) for url in urls]
        entry = Entry(self._place(kept) | {source: urls[0] if len(urls) == 1 else urls}, variables=tuple(kept))
        if kept:
            entry.options["vars"] = {name: list(self._variables[name]) for name in kept}
        self._take_connection(entry)
        self._take_keys(entry)
        self._complain_of_the_rest(source)
        return entry

    def _source(self) -> tuple[str, list[str]]:
        """Return the key that says where upstream is, and its URLs."""
        if self._keys.get("enabled", "1").lower() in _FALSE:
            raise _NotTaken("it is disabled")
        source = next((key for key in SOURCES if self._keys.get(key)), None)
        if source is None:
            raise _NotTaken("it names no baseurl, mirrorlist or metalink")
        urls = self._urls(source)
        if not urls:
            raise _NotTaken(f"mirrorpy reads http://, https:// and file:// only, not {redact(self._keys[source])}")
        return source, urls

    def _used(self, urls: Sequence[str]) -> list[str]:
        """Return the variables in the URLs, those that stay variables first."""
        names = dict.fromkeys(match[1] or match[2] for url in urls for match in VARIABLE.finditer(url))
        for name in names:
            if name not in self._variables:
                raise _NotTaken(f"what ${name} stands for is not known here; give --var {name}=VALUE")
        return sorted(names, key=lambda name: KEPT.index(name) if name in KEPT else len(KEPT))

    def _drop(self, key: str, why: str) -> None:
        self.complaints.append(f"{key}: not taken: {why}")

    def _urls(self, source: str) -> list[str]:
        words = re.split(r"[\s,]+", self._keys[source]) if source == "baseurl" else [self._keys[source]]
        good = [word for word in words if word.lower().startswith(SCHEMES)]
        for word in words if good else ():
            if word and word not in good:
                self._drop(source, f"{redact(word)} is no http://, https:// or file:// URL")
        return good

    def _place(self, used: Sequence[str]) -> dict[str, object]:
        """Return id and path; they have every variable in them that the URL has."""
        base = _UNFIT.sub("-", self._name).strip("-.") or "repo"
        tail = [f"${name}" for name in used]
        place: dict[str, object] = {"id": "-".join([base, *tail])}
        return place | {"path": "/".join([base.replace(":", "-"), *tail])} if tail else place

    def _take_connection(self, entry: Entry) -> None:
        for key in SAME:
            if value := self._keys.get(key):
                if key in ("username", "password") and _ENV.search(value):
                    self._drop(key, "it has ${…} in it, which mirrorpy would take from the environment")
                else:
                    entry.options[key] = value
        for key, read in NUMBERS.items():
            if value := self._keys.get(key):
                try:
                    read(value)
                except ValueError:
                    self._drop(key, f"{value!r} is no value of it")
                else:
                    entry.options[key] = int(value) if read is int else value
        if (verify := self._keys.get("sslverify", "").lower()) in (*_TRUE, *_FALSE):
            entry.options["sslverify"] = verify in _TRUE
        if proxy := self._keys.get("proxy"):
            entry.options["proxy"] = "" if proxy.lower() == "_none_" else self._with_login(proxy)

    def _with_login(self, proxy: str) -> str:
        user, password = self._keys.get("proxy_username"), self._keys.get("proxy_password", "")
        scheme, mark, rest = proxy.partition("://")
        return f"{scheme}{mark}{quote(user, safe='')}:{quote(password, safe='')}@{rest}" if user and mark else proxy

    def _take_keys(self, entry: Entry) -> None:
        files = []
        for key in re.split(r"[\s,]+", self._keys.get("gpgkey", "")):
            if key.lower().startswith("file://"):
                files.append(unquote(urlsplit(key).path))
            elif key:
                self._drop("gpgkey", f"{key} is no file here; fetch it, check its fingerprint, and name the file")
                entry.comments.append(f"gpgkey: {key}")
        if any("$" in file for file in files):
            self._drop("gpgkey", "it has a variable in its name; name each file")
            entry.comments += [f"gpgkey: {file}" for file in files]
        elif files:
            entry.options["gpgkey"] = files
        for key in LATER:
            if self._keys.get(key, "").lower() in _TRUE:
                self._drop(key, "signatures are not checked by this version")
                entry.comments.append(f"{key}: true")

    def _complain_of_the_rest(self, source: str) -> None:
        known = {source, *SAME, *NUMBERS, *LATER, "sslverify", "proxy", "gpgkey"}
        for key in self._keys:
            if key in SOURCES and key != source:
                self._drop(key, f"the {source} is taken")
            elif key not in known and not CLIENTS.fullmatch(key):
                self._drop(key, REASONS.get(key, "mirrorpy has no such option"))
