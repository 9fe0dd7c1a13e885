"""TLS itself: contexts from what a URL says, one handshake to see what a server offers, and why it is refused."""

from __future__ import annotations

import asyncio
import ssl
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prismicx.engines.transport import Host, Tls
from prismicx.errors import InvalidInput

_POSTGRES_ASKS = struct.pack("!ll", 8, 80877103)
"""SSLRequest: PostgreSQL agrees on TLS by a message of its own, answered with S or N."""

_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME, _OTHER_ADDRESS = 62, 64
_NO_TLS = "it speaks no TLS"
TRUST = "name the file of the authority with tls_ca (PRISMICX_TLS_CA)"
_TURN_ON = "turn TLS on in the server, or put a proxy with TLS before it"


@dataclass(frozen=True, slots=True)
class Session:
    """What a handshake agreed on.

    Attributes:
        ends: when the server's certificate does; None where it was not verified.
        issuer: the name of the authority that signed it.
    """

    version: str
    cipher: str
    ends: datetime | None
    issuer: str


class Refused(Exception):
    """The server was reached, and no connection with TLS came of it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def context(tls: Tls) -> ssl.SSLContext:
    """What the driver shall demand of the server, TLS 1.2 at least.

    Raises:
        InvalidInput: ``transport.file_unusable``.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = tls.level == "verify-full"
    made.verify_mode = ssl.CERT_REQUIRED if tls.level in ("verify-ca", "verify-full") else ssl.CERT_NONE
    named = tls.ca
    try:
        if tls.ca:
            made.load_verify_locations(tls.ca)
        else:
            made.load_default_certs()
        if tls.certificate:
            named = tls.certificate
            # A password must be there, even if the key has none: OpenSSL would ask at the terminal.
            made.load_cert_chain(tls.certificate, tls.key or None, password=tls.key_password)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            "transport.file_unusable",
            f"{named}: {error}",
            "tls_ca names a file of certificates in PEM, tls_cert one with a certificate and its key",
        ) from error
    return made


def for_postgres(tls: Tls) -> Any:
    """The driver's argument ``ssl``; never None, which would let it fall back to plaintext.

    Raises:
        InvalidInput: ``transport.file_unusable``.
    """
    if not tls.encrypted:
        return False if tls.level == "disable" else tls.level
    made = context(tls)
    made.set_alpn_protocols(["postgresql"])
    return made


async def shake(host: Host, tls: Tls, *, postgres: bool, timeout: float) -> Session:  # noqa: ASYNC109
    """Connect, agree on TLS, close: nothing is sent within.

    Raises:
        OSError, TimeoutError: the host cannot be reached.
        Refused: it can, but not so.
        InvalidInput: ``transport.file_unusable``.
    """
    demanded = for_postgres(tls) if postgres else context(tls)
    reader, writer = await asyncio.wait_for(asyncio.open_connection(host.name, host.port), timeout)
    try:
        async with asyncio.timeout(timeout):
            if postgres:
                writer.write(_POSTGRES_ASKS)
                if await reader.read(1) != b"S":
                    raise Refused(_NO_TLS, _TURN_ON)
            await writer.start_tls(demanded, server_hostname=host.name)
        return _session(writer.get_extra_info("ssl_object"))
    except TimeoutError as error:
        raise Refused(f"it did not answer the handshake in {timeout:g} s: most likely {_NO_TLS}", _TURN_ON) from error
    except OSError as error:
        raise (refusal(error) or Refused(f"it broke off the handshake: {error}", _TURN_ON)) from error
    finally:
        writer.transport.abort()


def refusal(error: BaseException) -> Refused | None:
    """What a driver's error means, if it is about TLS."""
    text = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error.verify_code, error.verify_message)
    if isinstance(error, ssl.SSLError):
        if "PROTOCOL_VERSION" in text or "UNSUPPORTED_PROTOCOL" in text or "VERSION_TOO_LOW" in text:
            return Refused("it has no version of TLS from 1.2 on", "let the server speak TLS 1.2 or 1.3")
        if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
            return Refused(
                f"it refuses us: {error.reason}", "it may want a client's certificate: name it with tls_cert"
            )
        if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text:
            return Refused(_NO_TLS, _TURN_ON)
        return Refused(f"the handshake failed: {error.reason or text}", "see the server's log")
    if isinstance(error, ConnectionError) and ("SSL upgrade" in text or "SSL exchange" in text):
        return Refused(_NO_TLS, _TURN_ON)
    return None


def _untrusted(code: int, message: str) -> Refused:
    if code in (_EXPIRED, _NOT_YET):
        which = "has expired" if code == _EXPIRED else "is not valid yet"
        return Refused(f"its certificate {which}", "give the server a new one; check the clocks of both machines")
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return Refused(
            f"its certificate is for another name: {message}",
            "reach it by a name that its certificate has, or give it a certificate for this one",
        )
    return Refused(
        f"its certificate is not by an authority that is trusted: {message}",
        TRUST,
    )


def _session(agreed: ssl.SSLObject) -> Session:
    held: dict[str, Any] = agreed.getpeercert() or {}  # empty where nothing is verified
    cipher = agreed.cipher()
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(held["notAfter"]), UTC) if held else None
    issuer = {key: value for names in held.get("issuer", ()) for key, value in names}
    name = issuer.get("commonName") or issuer.get("organizationName") or ""
    return Session(agreed.version() or "", cipher[0] if cipher else "", ends, name)


async def described(tls: Tls, *, postgres: bool, timeout: float) -> str:  # noqa: ASYNC109
    """The transport of an engine in words: what it would be now, by a handshake with the first host that answers.

    Raises:
        InvalidInput: ``transport.file_unusable``.
    """
    if not tls.encrypted:
        kind = "plaintext" if tls.level == "disable" else "TLS where the server has it"
        return f"{kind} to {', '.join(tls.remote)}" if tls.remote else f"{kind}, on this machine only"
    for host in tls.hosts:
        if host.name.startswith("/") or host.port is None:
            continue
        try:
            session = await shake(host, tls, postgres=postgres, timeout=timeout)
        except (OSError, Refused):
            continue  # another host was taken, or none: that is told where connections are made
        return f"{session.version}, {session.cipher}, {_verified(tls, session)}"
    return f"TLS, {tls.level}"


def _verified(tls: Tls, session: Session) -> str:
    if session.ends is None:
        return "certificate not verified"
    what = "certificate and name" if tls.level == "verify-full" else "certificate, not the name,"
    trusted = tls.ca or "the authorities of the system"
    return f"{what} verified by {trusted}, issued by {session.issuer}, ends {session.ends:%Y-%m-%d}"
