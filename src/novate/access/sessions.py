"""Who is reading: wallet-signed logins and the bearer tokens they earn.
A token can read one account and do nothing else.

A login is a signed struct with a time and a nonce. It is accepted near its time and once, so that who
overhears it cannot open a session with it.
"""

import secrets
from collections import OrderedDict
from typing import NamedTuple

from novate.access.errors import ApiError
from novate.access.limits import NS_PER_S
from novate.protocol.generated.codes import AccessCode

LOGIN_WINDOW_NS = 300 * NS_PER_S
NS_PER_MS = 1_000_000
LOGINS_REMEMBERED = 100_000


class Session(NamedTuple):
    """An authenticated reader of the account at an address; `signer` is the key that logged in."""

    address: bytes
    expires_ns: int
    refresh_token: str
    signer: bytes


class SessionTable:
    """Open sessions by token; the oldest ends when there are too many."""

    def __init__(self, sessions_max: int, session_for_s: int) -> None:
        self.sessions_max = sessions_max
        self.session_for_s = session_for_s
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        self.refreshes: dict[str, str] = {}
        self.used: OrderedDict[tuple[bytes, str], int] = OrderedDict()

    def check_login(self, address: bytes, timestamp_ms: int, nonce: str, time_ns: int) -> None:
        """Raise UNAUTHORIZED unless the login is of this time and new."""
        if abs(timestamp_ms * NS_PER_MS - time_ns) > LOGIN_WINDOW_NS:
            message = "the login's timestamp must be within 300 s of the venue's time"
            raise ApiError(
                AccessCode.UNAUTHORIZED, message, timestamp=timestamp_ms, venue_timestamp=time_ns // NS_PER_MS
            )
        if (address, nonce) in self.used:
            raise ApiError(AccessCode.UNAUTHORIZED, "the login was used before; sign one with another nonce")

    def open(self, address: bytes, signer: bytes, time_ns: int) -> str:
        """Return the access token of a new session."""
        token, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        while len(self.sessions) >= self.sessions_max:
            _, oldest = self.sessions.popitem(last=False)
            self.refreshes.pop(oldest.refresh_token, None)
        self.sessions[token] = Session(address, time_ns + self.session_for_s * NS_PER_S, refresh, signer)
        self.refreshes[refresh] = token
        return token

    def remember_login(self, address: bytes, nonce: str, time_ns: int) -> None:
        """Remember a login until its window has passed.
        Refuse it if there is no room, for then it could be replayed.
        """
        while self.used and next(iter(self.used.values())) < time_ns:
            self.used.popitem(last=False)
        if len(self.used) >= LOGINS_REMEMBERED:
            raise ApiError(AccessCode.TOO_MANY_REQUESTS, "too many logins; try again in some minutes")
        self.used[address, nonce] = time_ns + 2 * LOGIN_WINDOW_NS

    def find(self, token: str, time_ns: int) -> Session | None:
        """Return the session of a token, or None if it is unknown or has expired."""
        session = self.sessions.get(token)
        return session if session is not None and session.expires_ns > time_ns else None

    def refresh(self, refresh_token: str, time_ns: int) -> str:
        """Return the token of a new session in place of the old one, or raise UNAUTHORIZED."""
        token = self.refreshes.pop(refresh_token, "")
        session = self.sessions.pop(token, None)
        if session is None or session.expires_ns <= time_ns:
            raise ApiError(AccessCode.UNAUTHORIZED, "the refresh token is unknown or has expired")
        return self.open(session.address, session.signer, time_ns)
