"""Session keys as the replayer keeps them: who may sign for an account, what, how often, and up to where."""

from typing import NamedTuple


class KeyFigures(NamedTuple):
    """The figures of AUTHORIZE_KEY in the order of its fields; a limit or rate of 0 is none [KEY-3]."""

    scope: int
    expires_ns: int
    max_notional_atoms: int
    max_delta_atoms: int
    max_vega_atoms: int
    rate_per_minute: int


class SessionKey:
    """One active key of an account: its place, its figures, its own nonce, and what its minute counted."""

    __slots__ = ("address", "figures", "nonce", "place", "window_count", "window_start_ns")

    def __init__(self, place: int, address: bytes, figures: KeyFigures, nonce: int) -> None:
        self.place = place
        self.address = address
        self.figures = figures
        self.nonce = nonce
        self.window_start_ns = self.window_count = 0
