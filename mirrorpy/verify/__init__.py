"""Proof that a repository is whole: a mirror's own, any folder, or any URL."""

from mirrorpy.verify.folder import verify_folder, verify_repository
from mirrorpy.verify.report import Finding, FindingKind, Settings, Verdict

__all__ = ["Finding", "FindingKind", "Settings", "Verdict", "verify_folder", "verify_repository"]
