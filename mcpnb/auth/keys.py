"""A program's private key: read, and what it signs with. It signs nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mcpnb.threads import beside

from .refusal import NoToken

__all__ = ["PrivateKey", "private_key"]

_BY_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key in PEM form, and the JWS algorithm that it is for."""

    pem: str = field(repr=False)
    algorithm: str


async def private_key(given: str) -> PrivateKey:
    """The key that was given as PEM text or as the path of a file.

    Raises:
        NoToken: It is none, or needs a passphrase.
    """
    pem = given if "-----BEGIN" in given else await beside(partial(_read, given))
    try:
        key = load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise NoToken("private_key needs a passphrase, and nobody is asked for one") from None
    except ValueError:
        raise NoToken("private_key is no key in PEM form") from None
    if isinstance(key, rsa.RSAPrivateKey):
        return PrivateKey(pem, "RS256")
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return PrivateKey(pem, "EdDSA")
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _BY_CURVE:
        return PrivateKey(pem, _BY_CURVE[key.curve.name])
    raise NoToken("private_key is of a kind that signs no JWT: use RSA, EC (P-256, P-384, P-521) or Ed25519")


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise NoToken(f"the file of private_key cannot be read: {why}") from None
