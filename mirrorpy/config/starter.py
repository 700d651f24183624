"""The text of a new configuration, with comments, that loads as it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEAD = """\
# Configuration of mirrorpy. Every option: docs/reference/configuration.md
# Try it with `mirrorpy sync --dry-run`.

# Everything is published below it; it is one filesystem, and mirrorpy's own state is in its .mirrorpy.
root: {root}
# Generations kept of each repository, the published one included.
keep: 2
# So long a package that upstream dropped can still be fetched: dnf trusts its metadata for 48 hours.
grace: 48h
# A repository that loses more of its packages at once is not taken.
max_shrink: 50%
# Warn of an upstream that has not changed for so long.
# max_age: 30d
# For each host, over the whole run.
max_parallel_downloads: 8
# Bytes a second for the whole run; k, M, G are powers of 1024.
# throttle: 10M
# proxy: http://proxy.example.org:3128
"""
EXAMPLES = """
repos:
  # Change this one: it is an example.
  - id: example-$releasever-$repo-$basearch
    path: example/$releasever/$repo/$basearch
    baseurl: https://mirror.example.org/example/$releasever/$repo/$basearch/os/
    # Installer trees (.treeinfo) come with the packages; files beside them by name, or by glob where upstream lists:
    # extras: [RPM-GPG-KEY*, EULA, media.repo]
    # Every combination is a repository.
    vars: {releasever: ["9"], repo: [BaseOS, AppStream], basearch: [x86_64]}

  # A list of mirrors, tried in order:
  # - id: epel-9
  #   metalink: https://mirrors.fedoraproject.org/metalink?repo=epel-9&arch=x86_64

  # Behind a certificate, or a login; ${NAME} is taken from the environment:
  # - id: rhel-9-baseos
  #   baseurl: https://cdn.redhat.com/content/dist/rhel9/9/x86_64/baseos/os/
  #   sslcacert: /etc/rhsm/ca/redhat-uep.pem
  #   sslclientcert: /etc/pki/entitlement/1234567890.pem
  #   sslclientkey: /etc/pki/entitlement/1234567890-key.pem
  # - id: vendor
  #   baseurl: https://packages.example.com/el9/x86_64/
  #   username: mirror
  #   password: ${VENDOR_PASSWORD}

  # Everything below a URL that lists its folders, as rsync -a --delete would:
  # - id: whole-distribution
  #   baseurl: https://archive.example.org/centos-vault/5.11/
  #   tree: all
  #   exclude: ["*.iso", SRPMS/]
"""


def starter(root: str) -> str:
    """Return a configuration with examples."""
    return HEAD.format(root=_scalar(root)) + EXAMPLES


def converted(root: str, entries: Sequence[tuple[Mapping[str, object], Sequence[str]]]) -> str:
    """Return a configuration of repositories, each with comments to stand below it."""
    lines = [HEAD.format(root=_scalar(root)), "repos:"]
    for options, comments in entries:
        text = [f"{key}: {_scalar(value)}" for key, value in options.items()] + [f"# {line}" for line in comments]
        lines += [f"  - {text[0]}", *(f"    {line}" for line in text[1:]), ""]
    return "\n".join(lines)


def _scalar(value: object) -> str:
    """Return a value in YAML's flow style, on one line; JSON is YAML, and quotes what a plain word would not keep."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_scalar(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, str) and _is_plain(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    # YAML's escapes are JSON's and one more; what it would not print it must not hold raw.
    return "".join(char if _is_printable(char) else f"\\U{ord(char):08x}" for char in text)


def _is_printable(char: str) -> bool:
    return char.isprintable() and not (0x80 <= ord(char) < 0xA0) and char not in "\ufeff\ufffe\uffff"


def _is_plain(text: str) -> bool:
    try:
        return all(map(_is_printable, text)) and bool(
            yaml.safe_load(f"[{text}]") == [text] and yaml.safe_load(text) == text
        )
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
