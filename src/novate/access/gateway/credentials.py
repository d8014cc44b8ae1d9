"""Which bots may use a gateway, and as whom: Deribit's API keys, which here open a door on the same machine.

A credential proves nothing to the venue: it only says which bot speaks here, and what it may ask for.
Deribit's four ways to show one are understood: client_credentials and client_signature of public/auth, the
header deri-hmac-sha256, and HTTP's Basic; a bearer token stands for a login.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from novate.access.errors import ApiError, refuse_parameter
from novate.protocol.generated.codes import AccessCode

WINDOW_MS = 60_000
TOKEN_FOR_S = 86_400
SESSIONS_MAX = 1_024
SIGNATURES_REMEMBERED = 100_000
PARTS = ("account", "trade", "wallet", "block_trade", "block_rfq")
RIGHTS = ("none", "read", "read_write")
HMAC_SCHEME = "deri-hmac-sha256 "
HMAC_FIELD = re.compile(r"(id|ts|sig|nonce)=([^,\s]+)")


class Credential(NamedTuple):
    """One bot: its client_id and client_secret, and the most that it may do."""

    name: str
    secret: bytes
    rights: Mapping[str, str]


class Grant(NamedTuple):
    """What one login may do; `session` is the name that it goes by."""

    name: str
    rights: Mapping[str, str]
    session: str
    expires_ms: int

    def may_write(self, part: str) -> bool:
        """Whether writes of a part of the API are allowed."""
        return self.rights.get(part) == "read_write"

    def show_scope(self) -> str:
        """Return the scope in Deribit's words."""
        granted = [f"{part}:{right}" for part, right in self.rights.items() if right != "none"]
        return " ".join([*granted, self.session])


def read_rights(scope: str) -> dict[str, str]:
    """Return the rights that a scope such as "account:read trade:read_write" names, and none elsewhere.

    Errors     ApiError for a part or a right that does not exist.
    """
    rights = dict.fromkeys(PARTS, "none")
    for word in scope.split():
        part, _, right = word.partition(":")
        if part not in PARTS or right not in RIGHTS:
            raise refuse_parameter("scope", f"words such as trade:read_write, of {PARTS} and {RIGHTS}", word)
        rights[part] = right
    return rights


def narrow_rights(most: Mapping[str, str], scope: str) -> tuple[dict[str, str], str]:
    """Return the rights of a login that asks for a scope, never more than `most`, and the session's name.

    Words that only Deribit has, such as expires:N or ip:A, are passed over.
    """
    session, asked = "connection", []
    for word in scope.split():
        if word.startswith("session:"):
            session = word[:64]
        elif word.partition(":")[0] in PARTS:
            asked.append(word)
    if not asked:
        return dict(most), session
    wanted = read_rights(" ".join(asked))
    return {part: min(most[part], wanted[part], key=RIGHTS.index) for part in PARTS}, session


def refuse_login(text: str) -> ApiError:
    """Return the refusal of a login; it does not say which half was wrong."""
    return ApiError(AccessCode.UNAUTHORIZED, text)


class Doorkeeper:
    """Checks credentials and remembers logins. `clock_ms` is the wall clock."""

    def __init__(self, credentials: Mapping[str, Credential], clock_ms: Callable[[], int]) -> None:
        self.credentials = credentials
        self.clock_ms = clock_ms
        self.grants: OrderedDict[str, Grant] = OrderedDict()
        self.refreshes: dict[str, str] = {}
        self.seen: OrderedDict[bytes, int] = OrderedDict()

    def find_credential(self, name: str) -> Credential:
        """Return a bot's credential; of one that does not exist, one that no secret opens."""
        return self.credentials.get(name) or Credential(name, secrets.token_bytes(32), {})

    def grant(self, credential: Credential, scope: str = "") -> Grant:
        """Return what a bot that has shown its secret may do."""
        rights, session = narrow_rights(credential.rights, scope)
        return Grant(credential.name, rights, session, self.clock_ms() + TOKEN_FOR_S * 1_000)

    def authenticate(self, params: Mapping[str, Any]) -> tuple[Grant, dict[str, Any]]:
        """Return the grant and the reply of public/auth."""
        kind = params.get("grant_type")
        if kind == "refresh_token":
            token = self.refreshes.pop(str(params.get("refresh_token", "")), "")
            known = self.grants.pop(token, None)
            if known is None or known.expires_ms <= self.clock_ms():
                raise refuse_login("the refresh token is unknown or has expired")
            grant = known._replace(expires_ms=self.clock_ms() + TOKEN_FOR_S * 1_000)
        elif kind in ("client_credentials", "client_signature"):
            credential = self.find_credential(str(params.get("client_id", "")))
            if kind == "client_credentials":
                self.check_secret(credential, str(params.get("client_secret", "")))
            else:
                self.check_signature(credential, params)
            grant = self.grant(credential, str(params.get("scope", "")))
        else:
            words = "client_credentials, client_signature or refresh_token"
            raise refuse_parameter("grant_type", words, kind)
        return grant, self.open(grant) | {"state": str(params.get("state", ""))}

    def open(self, grant: Grant) -> dict[str, Any]:
        """Remember a login and return its tokens; the oldest of too many ends."""
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        while len(self.grants) >= SESSIONS_MAX:
            oldest, _ = self.grants.popitem(last=False)
            self.refreshes = {one: token for one, token in self.refreshes.items() if token != oldest}
        self.grants[access] = grant
        self.refreshes[refresh] = access
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": TOKEN_FOR_S,
            "token_type": "bearer",
            "scope": grant.show_scope(),
            "sid": grant.session.removeprefix("session:"),
            "enabled_features": [],
        }

    def find(self, token: str) -> Grant | None:
        """Return the grant of an access token, or None if it is unknown or has expired."""
        grant = self.grants.get(token)
        return grant if grant is not None and grant.expires_ms > self.clock_ms() else None

    def check_secret(self, credential: Credential, secret: str) -> None:
        """Raise UNAUTHORIZED unless a secret is the credential's; in constant time."""
        if not hmac.compare_digest(credential.secret, secret.encode()):
            raise refuse_login("client_id and client_secret do not belong together")

    def check_mac(self, credential: Credential, text: str, timestamp: str, signature: str) -> None:
        """Raise UNAUTHORIZED unless a signature of a text is the credential's, of this minute, and new."""
        expected = hmac.new(credential.secret, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature.lower()):
            raise refuse_login("the signature is not that of client_id over the text that Deribit describes")
        now_ms = self.clock_ms()
        if not timestamp.isdigit() or abs(int(timestamp[:20]) - now_ms) > WINDOW_MS:
            raise refuse_login(f"the timestamp must be within {WINDOW_MS // 1_000} s of {now_ms} ms")
        while self.seen and next(iter(self.seen.values())) < now_ms:
            self.seen.popitem(last=False)
        digest = bytes.fromhex(expected)
        if digest in self.seen:
            raise refuse_login("this signature was used before")
        if len(self.seen) >= SIGNATURES_REMEMBERED:
            raise ApiError(AccessCode.TOO_MANY_REQUESTS, "too many signed requests; log in once instead")
        self.seen[digest] = now_ms + 2 * WINDOW_MS

    def check_signature(self, credential: Credential, params: Mapping[str, Any]) -> None:
        """Check a client_signature: HMAC-SHA256 of timestamp, nonce and data on three lines."""
        timestamp = str(params.get("timestamp", ""))
        text = f"{timestamp}\n{params.get('nonce', '')}\n{params.get('data', '')}"
        self.check_mac(credential, text, timestamp, str(params.get("signature", "")))

    def identify(self, header: str, method: str, uri: str, body: str) -> Grant | None:
        """Return the grant of an Authorization header, None if there is none; ApiError if it is wrong."""
        if header.startswith(HMAC_SCHEME):
            given = dict(HMAC_FIELD.findall(header))
            credential = self.find_credential(given.get("id", ""))
            timestamp, nonce = given.get("ts", ""), given.get("nonce", "")
            text = f"{timestamp}\n{nonce}\n{method}\n{uri}\n{body}\n"
            self.check_mac(credential, text, timestamp, given.get("sig", ""))
            return self.grant(credential)
        if header.startswith("Bearer "):
            grant = self.find(header.removeprefix("Bearer "))
            if grant is None:
                raise refuse_login("the access token is unknown or has expired")
            return grant
        if header.startswith("Basic "):
            try:
                name, _, secret = base64.b64decode(header[6:], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise refuse_login("the Basic header is not base64 of id:secret") from error
            credential = self.find_credential(name)
            self.check_secret(credential, secret)
            return self.grant(credential)
        return None
