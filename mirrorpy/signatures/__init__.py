"""OpenPGP signatures of repomd.xml and of packages, checked by gpgv against keys of the user's own."""

from mirrorpy.signatures.age import signed_at
from mirrorpy.signatures.demands import Demands
from mirrorpy.signatures.gpgv import Gpgv
from mirrorpy.signatures.keyring import Keyring, load_keyring
from mirrorpy.signatures.package import check_open_package, check_package

__all__ = ["Demands", "Gpgv", "Keyring", "check_open_package", "check_package", "load_keyring", "signed_at"]
