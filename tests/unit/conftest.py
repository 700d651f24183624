"""Servers that are closed with the test, and a certificate for them."""

import contextlib

import pytest

from tests.faultserver.certificates import make_certificate

from .scripted import Scripted


@pytest.fixture
def serve():
    """Starts scripted servers."""
    with contextlib.ExitStack() as started:
        yield lambda *scripts, context=None: started.enter_context(
            contextlib.closing(Scripted(*scripts, context=context))
        )


@pytest.fixture(scope="module")
def certificate():
    """One that is good."""
    certificate = make_certificate("good")
    yield certificate
    certificate.folder.cleanup()
