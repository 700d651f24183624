"""The table: what is called, with which seeds and mutations, what it may raise, and what it may cost."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mirrorpy.config import variables
from mirrorpy.config.connection import Wrong
from mirrorpy.config.load import load_config
from mirrorpy.config.quantity import Size
from mirrorpy.config.resolve import check_url
from mirrorpy.config.yum import convert
from mirrorpy.emit.cron import cron_file
from mirrorpy.emit.repofile import check_base, check_key
from mirrorpy.errors import (
    ChecksumMismatch,
    ConfigError,
    FetchError,
    LocalError,
    NotFound,
    RepodataError,
    SignatureError,
    UnsafeHref,
    UpstreamError,
)
from mirrorpy.rpmmd.decode import verify_open
from mirrorpy.rpmmd.delta import iter_deltas
from mirrorpy.rpmmd.freshness import cache_control
from mirrorpy.rpmmd.href import check_href, check_tree
from mirrorpy.rpmmd.listing import parse_listing
from mirrorpy.rpmmd.mirrors import parse_metalink, parse_mirrors
from mirrorpy.rpmmd.package import read_package
from mirrorpy.rpmmd.primary import iter_primary
from mirrorpy.rpmmd.repomd import parse_repomd
from mirrorpy.serve.site import Refused, Site
from mirrorpy.signatures import Gpgv, check_open_package, load_keyring, signed_at
from mirrorpy.signatures.armour import iter_blocks
from mirrorpy.store.layout import Place
from mirrorpy.store.manifest import read_manifest
from mirrorpy.store.proofs import read_proofs
from mirrorpy.store.state import read_state
from mirrorpy.store.verdicts import read_verdicts
from mirrorpy.store.weak import read_weak
from mirrorpy.upstream import Upstream
from mirrorpy.upstream.transfer import parse_date

from . import answers, formats, kept, seeds, settings, structured, trust, visitors
from .mutations import BINARY, BYTES
from .mutations_text import HTTP, TEXT
from .mutations_xml import XML
from .target import Target

XML_ERRORS = (RepodataError, UnsafeHref)
FORMATS = [
    Target(
        name="repomd",
        call=formats.repomd,
        of=(parse_repomd,),
        raises=XML_ERRORS,
        seeds=seeds.REPOMDS,
        good=2,
        family=XML,
        drawn=structured.REPOMDS,
    ),
    Target(
        name="primary",
        call=formats.primary,
        of=(iter_primary, check_tree),
        raises=XML_ERRORS,
        seeds=seeds.PRIMARIES,
        family=XML,
        drawn=structured.PRIMARIES,
    ),
    Target(
        name="packed-primary",
        call=formats.packed_primary,
        of=(iter_primary,),
        raises=XML_ERRORS,
        seeds=seeds.PRIMARIES,
        family=(*XML, seeds.pack, seeds.pack),
        drawn=structured.PRIMARIES,
    ),
    Target(
        name="delta",
        call=formats.delta,
        of=(iter_deltas,),
        raises=XML_ERRORS,
        seeds=seeds.DELTAS,
        family=XML,
        drawn=structured.DELTAS,
    ),
    Target(
        name="metalink",
        call=formats.metalink,
        of=(parse_metalink,),
        raises=(RepodataError,),
        seeds=seeds.METALINKS,
        family=XML,
        drawn=structured.METALINKS,
    ),
    Target(
        name="mirrorlist",
        call=formats.mirrors,
        of=(parse_mirrors,),
        raises=(RepodataError,),
        seeds=[*seeds.MIRRORLISTS, *seeds.METALINKS[:2]],
    ),
    Target(
        name="package",
        call=formats.package,
        of=(read_package,),
        raises=(RepodataError,),
        seeds=seeds.PACKAGES,
        good=2,
        family=BINARY,
    ),
    Target(
        name="decode",
        call=formats.decode,
        of=(verify_open,),
        raises=(RepodataError, ChecksumMismatch),
        seeds=seeds.PACKED,
        good=5,
        family=(*BINARY, seeds.pack),
        memory=400,
    ),
    Target(
        name="bomb",
        call=formats.bomb,
        of=(iter_primary,),
        raises=XML_ERRORS,
        seeds=seeds.BOMBS,
        good=0,
        family=BYTES,
        examples=16,
        seconds=5,
        memory=400,
    ),
    Target(
        name="listing",
        call=lambda data: parse_listing(data, "http://up.test/"),
        of=(parse_listing,),
        raises=(RepodataError,),
        seeds=seeds.LISTINGS,
        good=len(seeds.LISTINGS),
    ),
    Target(name="href", call=formats.href, of=(check_href,), raises=(UnsafeHref,), seeds=seeds.HREFS, good=2),
    Target(name="name", call=formats.name, of=(cache_control,), seeds=seeds.NAMES),
]
if find_spec("mirrorpy.rpmmd.treeinfo"):
    parse_treeinfo: Any = import_module("mirrorpy.rpmmd.treeinfo").parse_treeinfo
    FORMATS += [
        Target(
            name="treeinfo",
            call=parse_treeinfo,
            of=(parse_treeinfo,),
            raises=(RepodataError,),
            seeds=seeds.TREEINFOS,
        )
    ]

SETTINGS = [
    Target(
        name="configuration",
        call=settings.configuration,
        of=(load_config,),
        raises=(ConfigError,),
        seeds=seeds.CONFIGURATIONS,
        good=2,
    ),
    Target(
        name="yum-file",
        call=settings.yum_file,
        of=(convert,),
        raises=(ConfigError,),
        seeds=seeds.YUM_FILES,
        examples=100,
    ),
    Target(name="quantity", call=settings.quantity, of=(Size.parse,), raises=(ValueError,), seeds=seeds.QUANTITIES),
    Target(
        name="variables",
        call=settings.given,
        of=(variables.given_variables,),
        raises=(ConfigError,),
        seeds=seeds.VARIABLES,
    ),
    Target(name="source", call=settings.source, of=(check_url,), raises=(Wrong,), seeds=seeds.SOURCES, good=0),
    Target(
        name="emit",
        call=settings.emit,
        of=(cron_file, check_base, check_key),
        raises=(ConfigError,),
        seeds=seeds.TIMES,
    ),
]

TRUST = [
    Target(
        name="keyring",
        call=trust.keyring,
        of=(load_keyring,),
        raises=(ConfigError,),
        seeds=seeds.KEYS,
        family=(*TEXT, *BINARY),
    ),
    Target(name="armour", call=trust.armour, of=(iter_blocks,), seeds=[*seeds.SIGNATURES, *seeds.KEYS]),
    Target(name="signed-at", call=trust.age, of=(signed_at,), seeds=seeds.BINARY_SIGNATURES, family=BINARY),
    Target(
        name="gpgv-status",
        call=trust.status,
        of=(Gpgv.check,),
        raises=(SignatureError, LocalError),
        seeds=seeds.STATUSES,
        good=3,
    ),
    Target(
        name="gpgv",
        call=trust.signature,
        of=(Gpgv.check,),
        raises=(SignatureError, LocalError),
        seeds=[*seeds.SIGNATURES, *seeds.BINARY_SIGNATURES],
        family=(*TEXT, *BINARY),
        examples=40,
    ),
    Target(
        name="package-proofs",
        call=trust.package,
        of=(check_open_package,),
        raises=(SignatureError, OSError),
        seeds=seeds.SIGNED_PACKAGES,
        good=2,
        family=BINARY,
    ),
]

KEPT = [
    Target(name="state", call=kept.state, of=(read_state,), seeds=seeds.STATES, good=2, examples=100),
    Target(
        name="manifest",
        call=kept.manifest,
        of=(read_manifest,),
        raises=(ValueError, OSError),
        seeds=[seeds.MANIFEST],
    ),
    Target(name="weak", call=kept.weak, of=(read_weak,), seeds=[seeds.REMEMBERED]),
    Target(name="proofs", call=kept.proofs, of=(read_proofs,), seeds=[seeds.PROOFS]),
    Target(name="verdicts", call=kept.verdicts, of=(read_verdicts,), seeds=[seeds.VERDICTS]),
    Target(name="generation", call=kept.generation_name, of=(Place.stamp,), seeds=seeds.GENERATIONS),
]

WEB = [
    Target(name="date", call=answers.date, of=(parse_date,), seeds=seeds.DATES, good=len(seeds.DATES)),
    Target(
        name="document",
        call=answers.document,
        of=(Upstream.read, Upstream.probe),
        raises=(FetchError, NotFound, UpstreamError),
        seeds=seeds.ANSWERS,
        family=HTTP,
        examples=100,
    ),
    Target(
        name="download",
        call=answers.download,
        of=(Upstream.fetch,),
        raises=(NotFound, FetchError, ChecksumMismatch, UnsafeHref),
        seeds=seeds.DOWNLOADS,
        family=HTTP,
        examples=100,
    ),
    Target(
        name="document-by-httpx",
        call=answers.document_by_httpx,
        of=(Upstream.read, Upstream.probe),
        raises=(FetchError, NotFound, UpstreamError),
        seeds=seeds.ANSWERS,
        family=HTTP,
        examples=100,
    ),
    Target(
        name="download-by-httpx",
        call=answers.download_by_httpx,
        of=(Upstream.fetch,),
        raises=(NotFound, FetchError, ChecksumMismatch, UnsafeHref),
        seeds=seeds.DOWNLOADS,
        family=HTTP,
        examples=100,
    ),
    Target(
        name="location-base",
        call=answers.location_base,
        of=(Upstream.fetch,),
        raises=(NotFound, FetchError, ChecksumMismatch, UnsafeHref),
        seeds=seeds.URLS,
        good=5,
    ),
    Target(
        name="redirect",
        call=answers.redirect,
        of=(Upstream.read,),
        raises=(FetchError, UpstreamError),
        seeds=seeds.URLS,
        good=0,
    ),
    Target(name="path", call=visitors.path, of=(Site.find,), raises=(Refused,), seeds=seeds.PATHS, good=7),
    Target(
        name="request",
        call=visitors.request,
        of=(),
        seeds=seeds.REQUESTS,
        family=HTTP,
        good=len(seeds.REQUESTS),
        examples=100,
    ),
]

TARGETS = [*FORMATS, *SETTINGS, *TRUST, *KEPT, *WEB]
