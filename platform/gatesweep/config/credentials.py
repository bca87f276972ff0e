"""What looks like a credential, in an address or by the name of its variable: to be refused, never printed."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from gatesweep.errors import ConfigError

_SECRET_WORDS = ("SECRET", "SECRETS", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY")
_SECRET_ENDS = ("ACCESS_KEY", "API_KEY", "PRIVATE_KEY", "SECRET_KEY")
_PLACE_ENDS = ("_FILE", "_PATH", "_DIR", "_FOLDER", "_NAME")
_SECRET_QUERIES = re.compile(r"(?i)(token|secret|passw|signature|credential|api_?key|^sig$|^key$)")


def refuse_credentials(key: str, value: str, place: str) -> None:
    """Refuse a plain value that looks like a credential: in an address, or by the name of its variable.

    Raises:
        ConfigError: names the key, not the value.
    """
    name = key.rpartition(".")[2]
    if has_credentials(value):
        raise ConfigError(f"{key}: the address {public(value)} holds credentials", place=place,
                          hint="leave them out of the address and refer to them under `secrets:` by file or variable,"
                               " e.g. MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    if _sounds_secret(name) or "-----BEGIN" in value:
        raise ConfigError(f"{key}: looks like a secret, and what stands here is sent and stored as it is", place=place,
                          hint=f"secrets: {{{name}: {{file: /run/secrets/{name.lower()}}}}} or {{env: {name}}}")


def _sounds_secret(name: str) -> bool:
    upper = name.upper()
    if upper.endswith(_PLACE_ENDS):
        return False
    return upper.endswith(_SECRET_ENDS) or any(word.endswith(_SECRET_WORDS) for word in upper.split("_"))


def has_credentials(address: str) -> bool:
    """Whether an address carries a password, a user of a web server, or a signed query."""
    if "://" not in address:
        return False
    parts = urlsplit(address)
    user, at, _ = parts.netloc.rpartition("@")
    named = bool(at) and (":" in user or parts.scheme in ("http", "https"))
    return named or any(_SECRET_QUERIES.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True))


def public(address: str) -> str:
    """An address without user, password and query, for messages."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
