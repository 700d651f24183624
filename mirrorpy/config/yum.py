"""Yum's own .repo files, turned into repositories of a configuration; what cannot be taken is said.

Keys are those of yum.conf(5) and dnf.conf(5). Where a section names several sources, the one that says most is taken:
a metalink, which pins repomd.xml, before a mirrorlist before base URLs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from mirrorpy.config.acceptance import CERTIFICATES, Acceptance
from mirrorpy.config.connection import MAX_TIMEOUT, Wrong
from mirrorpy.config.quantity import Duration, Size
from mirrorpy.config.repo_files import count_titles, read_sections
from mirrorpy.config.resolve import check_url
from mirrorpy.config.variables import expand_conditions, with_parts
from mirrorpy.errors import one_line, redact
from mirrorpy.rpmmd.mirrors import CLIENT_VARIABLES, VARIABLE, expand, variables_in

if TYPE_CHECKING:
    import configparser
    from collections.abc import Callable, Iterator, Mapping, Sequence

SOURCES = ("metalink", "mirrorlist", "baseurl")
SAME = ("username", "password", "user_agent", *CERTIFICATES)
"""Keys that mean the same to mirrorpy."""
CHECKS = ("gpgcheck", "repo_gpgcheck")
"""Taken where a key is at hand to check with."""
CLIENTS = re.compile(
    "name|enabled|enabled_metadata|cost|priority|metadata_expire|mirrorlist_expire|skip_if_unavailable|type|countme"
    "|module_hotfixes|keepcache|keeppackages|autorefresh|failovermethod|fastestmirror|http_caching|keepalive|deltarpm.*"
    "|enablegroups|max_parallel_downloads|ip_resolve|best|proxy_username|proxy_password|ui_repoid_vars|service"
)
"""Keys that mean nothing to a mirror."""
REASONS = {
    "includepkgs": "packages are not filtered: a byte-exact mirror without some of them gives its clients 404s",
    "throttle": "mirrorpy's throttle counts for the whole run",
}
REASONS |= dict.fromkeys(("excludepkgs", "exclude", "includepkg"), REASONS["includepkgs"])
MAX_ID = 100
_TRUE, _FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off")
_ENV = re.compile(r"\$\{\w+\}", re.ASCII)
_UNFIT = re.compile(r"[^A-Za-z0-9._:+-]+")
_PROXY = re.compile(r"(?:https?|socks5h?)://[^\s/@]+/?")


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
    conversion, acceptance, variables = Conversion(), Acceptance(), with_parts(variables)
    for name, text in files:
        sections = read_sections(name, text)
        conversion.complaints += [one_line(f"{name}: {said}") for said in _odd_sections(text, sections.get("main"))]
        for section in (section for title, section in sections.items() if title != "main"):
            converter = _Converter(section, variables)
            entry = converter.convert()
            if entry is not None and (why := acceptance.refuse(entry.options)):
                entry, converter.complaints = None, [f"not taken: {why}"]
            conversion.complaints += [one_line(f"{name}: [{section.name}]: {said}") for said in converter.complaints]
            conversion.entries += [entry] if entry else []
    return conversion


def _odd_sections(text: str, main: configparser.SectionProxy | None) -> Iterator[str]:
    """Say what is not one repository's: a section that stands there twice, and what [main] sets for all."""
    for title, count in count_titles(text).items():
        if count > 1 and title != "main":
            yield f"[{title}]: stands there {count} times; of a key twice the last counts"
    for key in main or ():
        if key in (*SAME, *NUMBERS, "proxy", "sslverify", "throttle", "includepkgs", "excludepkgs", "exclude"):
            yield f"[main]: {key}: not taken: set it at the top of the configuration"


def _retries(value: str) -> int:
    number = int(value)
    if not 0 < number <= 100:
        raise ValueError(number)
    return number


def _timeout(value: str) -> str:
    if not 0 < Duration.parse(value) <= MAX_TIMEOUT:
        raise ValueError(value)
    return value


def _minrate(value: str) -> str:
    Size.parse(value)
    return value


NUMBERS: dict[str, Callable[[str], object]] = {"retries": _retries, "timeout": _timeout, "minrate": _minrate}
"""Keys that mean the same, and how they are read; dnf's `retries=0`, for ever, is none of mirrorpy's."""


class _NotTaken(Exception):
    """A section cannot be taken; says why."""


class _Converter:
    """One section on its way; complaints are what was not taken of it."""

    def __init__(self, section: configparser.SectionProxy, variables: Mapping[str, Sequence[str]]) -> None:
        self._keys = {key: value.strip() for key, value in section.items() if value.strip()}
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
        # A client's own stay variables even with one value: the next release is one more.
        kept = [name for name in used if name in CLIENT_VARIABLES or len(self._variables[name]) > 1]
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
        words = re.split(r"[\s,]+", self._keys[source]) if source == "baseurl" else [self._keys[source]]
        urls = []
        for word in filter(None, words):
            url = expand_conditions(word, self._variables)
            try:
                check_url(VARIABLE.sub("x", url), source)
            except Wrong as wrong:
                self._drop(source, wrong.problem)
            else:
                urls.append(url)
        if not urls:
            raise _NotTaken(" and ".join(said.partition("not taken: ")[2] for said in self.complaints) or "it is empty")
        return source, urls

    def _used(self, urls: Sequence[str]) -> list[str]:
        """Return the variables in the URLs, those that stay variables first."""
        if odd := next((url for url in urls if "$" in VARIABLE.sub("", url)), None):
            raise _NotTaken(f"{redact(odd)} has a $ that begins no variable")
        names = dict.fromkeys(name for url in urls for name in variables_in(url))
        for name in names:
            if name not in self._variables:
                raise _NotTaken(f"what ${name} stands for is not known here; give --var {name}=VALUE")
        return sorted(names, key=lambda name: (*CLIENT_VARIABLES, name).index(name))

    def _drop(self, key: str, why: str) -> None:
        self.complaints.append(f"{key}: not taken: {why}")

    def _place(self, used: Sequence[str]) -> dict[str, object]:
        """Return id and path; they have every variable in them that the URL has."""
        base = _UNFIT.sub("-", self._name).strip("-._:+")[:MAX_ID] or "repo"
        tail = [f"${name}" for name in used]
        place: dict[str, object] = {"id": "-".join([base, *tail])}
        return place | {"path": "/".join([base.replace(":", "-"), *tail])} if tail else place

    def _take_connection(self, entry: Entry) -> None:
        for key in SAME:
            value = self._keys.get(key)
            if value is None:
                continue
            if key == "user_agent" and not (value.isascii() and value.isprintable()):
                self._drop(key, "only printable ASCII can stand in a header")
            elif key in CERTIFICATES and not value.isprintable():
                self._drop(key, "it has a control character in it")
            elif key not in CERTIFICATES and _ENV.search(value):
                self._drop(key, "it has ${…} in it, which mirrorpy would take from the environment")
            else:
                entry.options[key] = value
        for key, read in NUMBERS.items():
            if value := self._keys.get(key):
                try:
                    entry.options[key] = read(value)
                except ValueError:
                    self._drop(key, f"{value!r} is no value of it")
        self._take_switch(entry)
        self._take_proxy(entry)

    def _take_switch(self, entry: Entry) -> None:
        verify = self._keys.get("sslverify", "").lower()
        if verify in (*_TRUE, *_FALSE):
            entry.options["sslverify"] = verify in _TRUE
        elif verify:
            self._drop("sslverify", f"{verify!r} is neither true nor false")

    def _take_proxy(self, entry: Entry) -> None:
        proxy, user = self._keys.get("proxy"), self._keys.get("proxy_username")
        if proxy is None:
            return
        if proxy.lower() == "_none_":
            entry.options["proxy"] = ""
            return
        scheme, _, rest = proxy.partition("://")
        login, mark, host = rest.rpartition("@")
        if not _PROXY.fullmatch(f"{scheme}://{host}") or "[" in proxy or _ENV.search(proxy) or not proxy.isprintable():
            self._drop("proxy", f"{redact(proxy)} is no URL of a proxy, such as http://proxy.example.org:3128")
            return
        if user is not None:
            login, mark = f"{quote(user, safe='')}:{quote(self._keys.get('proxy_password', ''), safe='')}", "@"
        entry.options["proxy"] = f"{scheme}://{login}{mark}{host}"

    def _take_keys(self, entry: Entry) -> None:
        files = []
        inside = {name: f"${name}" for name in entry.variables}
        single = {name: values[0] for name, values in self._variables.items() if len(values) == 1}
        for word in re.split(r"[\s,]+", self._keys.get("gpgkey", "")):
            key = expand(word, single | inside)
            if not key.isprintable() or "$" in VARIABLE.sub("", key) or set(variables_in(key)) - inside.keys():
                self._drop("gpgkey", "it has a variable or a control character in it; name the file")
                entry.comments.append(f"gpgkey: {one_line(redact(key))}")
            elif key.lower().startswith("file:///"):
                files.append(unquote(key[len("file://") :]))
            elif key:
                self._drop("gpgkey", f"{redact(key)} is no file here; fetch it, check its fingerprint, name the file")
                entry.comments.append(f"gpgkey: {redact(key)}")
        if files:
            entry.options["gpgkey"] = files
        for key in CHECKS:
            if self._keys.get(key, "").lower() not in _TRUE:
                continue
            if files:
                entry.options[key] = True
            else:
                self._drop(key, "there is no file with a key to check with")
                entry.comments.append(f"{key}: true")

    def _complain_of_the_rest(self, source: str) -> None:
        known = {source, *SAME, *NUMBERS, *CHECKS, "sslverify", "proxy", "gpgkey"}
        for key in self._keys:
            if key in SOURCES and key != source:
                self._drop(key, f"the {source} is taken")
            elif key not in known and not CLIENTS.fullmatch(key):
                self._drop(key, REASONS.get(key, "mirrorpy has no such option"))
