"""Where a key service is, and the tokens it is asked with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KeyEndpoint:
    """Where the key service is.

    Attributes:
        token: for creating keys, sealing and opening; empty where ``token_file`` names a file of it.
        admin_token: for listing, rotating, rewrapping and destroying; empty for the same.
        mount: where the transit engine is mounted.
        authority: file of the certificate authorities to trust; empty for the system's.
        certificate: file of this client's certificate with its key; empty for none.
        source: ``url``, or the embedded server's program.
    """

    url: str
    token: str = field(default="", repr=False)
    admin_token: str = field(default="", repr=False)
    token_file: str = ""
    mount: str = "transit"
    authority: str = ""
    certificate: str = ""
    source: str = "url"
