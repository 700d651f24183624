"""Proof that a repository is whole: a mirror's own, any folder, or any URL."""

from mirrorpy.verify.folder import verify_folder, verify_repository
from mirrorpy.verify.remote import Depth, verify_url
from mirrorpy.verify.repair import repair_all
from mirrorpy.verify.report import Finding, FindingKind, Settings, Verdict

__all__ = [
    "Depth",
    "Finding",
    "FindingKind",
    "Settings",
    "Verdict",
    "repair_all",
    "verify_folder",
    "verify_repository",
    "verify_url",
]
