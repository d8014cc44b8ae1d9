"""The client's half of signing.
Instruments as the client knows them, exact conversions, nonces, and signed parameters.

A client never signs what the server tells it to sign: it computes the digest itself, with the law's own
code, from the instrument's name and from lots and ticks that it converted itself.
"""

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from coincurve import PrivateKey

from novate.access.errors import ApiError
from novate.access.quantities import Exact, Number, read_decimal, read_usdc_atoms
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import CommandKind
from novate.protocol.signing import (
    Domain,
    Names,
    compute_address,
    compute_digest,
    compute_login_digest,
    sign_digest,
)

EXPIRES_AFTER_NS = 60_000_000_000
Items = tuple[tuple[int, ...], ...]
NO_NAMES: Mapping[int, str] = MappingProxyType({})


class Signer(Protocol):
    """Something that holds a key: a wallet, a hardware device, a file."""

    @property
    def address(self) -> bytes:
        """The 20 bytes of the account."""

    def sign(self, digest: bytes) -> bytes:
        """Return 65 bytes: r, s (low), v of 27 or 28."""


class KeySigner:
    """A key in memory."""

    def __init__(self, key: PrivateKey) -> None:
        self.key = key
        self.address = compute_address(key.public_key)

    def sign(self, digest: bytes) -> bytes:
        """Return the deterministic signature of a digest."""
        return sign_digest(digest, self.key)


class ClientInstrument(NamedTuple):
    """What the client needs of an instrument: its name, its two grids and its number at the venue. A combo's
    price of zero is `tick_offset` ticks.
    """

    name: str
    lots_per_unit: int
    tick_atoms: int
    number: int = 0
    tick_offset: int = 0


def to_decimal(value: Number | Decimal, name: str) -> Exact:
    """Return an exact decimal of a number as a person would write it."""
    return read_decimal(format(value, "f") if isinstance(value, Decimal) else value, name)


def write_decimal(value: Number | Decimal, name: str) -> str:
    """Return plain decimal text, which loses nothing on its way."""
    exact = to_decimal(value, name)
    return format(Decimal(exact.digits).scaleb(-exact.decimals), "f")


def read_money(text: str) -> int:
    """Return the atoms of an amount of USDC; ValueError off the grid."""
    try:
        return read_usdc_atoms(text)
    except ApiError as error:
        raise ValueError(str(error)) from error


class NonceClock:
    """Strictly increasing nonces: nanoseconds of the wall clock, or one more than the last."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.clock_ns = clock_ns
        self.last = 0
        self.last_reserved = 0

    def take(self) -> int:
        """Return the next nonce."""
        self.last = max(self.last + 1, self.clock_ns())
        return self.last

    def reserve(self, ahead_ns: int) -> int:
        """Return a nonce above those that will be taken in the next `ahead_ns`; only `raise_to` makes later
        ones greater.
        """
        self.last_reserved = max(self.last_reserved + 1, self.last + 1, self.clock_ns() + ahead_ns)
        return self.last_reserved

    def raise_to(self, used: int) -> None:
        """Never return a nonce up to this one, which the account has used."""
        self.last = max(self.last, used)


class CommandSigner:
    """Signs commands for one account of one venue: the signer's own, unless `account` names another."""

    def __init__(self, signer: Signer, domain: Domain, account: bytes = b"") -> None:
        self.signer = signer
        self.domain = domain
        self.account = account or signer.address

    def sign(
        self,
        kind: CommandKind,
        nonce: int,
        expires_ns: int,
        name: str = "",
        items: Items = (),
        numbered: Mapping[int, str] = NO_NAMES,
        subject: bytes = b"",
        **fields: int,
    ) -> dict[str, Any]:
        """Return the parameters that every write carries.

        `name` is what an instrument or underlying field stands for, `numbered` has the names of items.
        """
        names = Names(lambda number: numbered.get(number, name), lambda number: name)
        command = make_command(kind, 0, self.account, b"", nonce=nonce, expires_ns=expires_ns, **fields)
        return self.complete(command._replace(items=items, subject=subject), names)

    def complete(self, command: Command, names: Names) -> dict[str, Any]:
        """Return the signed parameters of a command."""
        return self.name_parties() | {
            "nonce": str(command.get("nonce")),
            "expires_ns": str(command.get("expires_ns")),
            "chain_id": self.domain.chain_id,
            "signature": self.sign_struct(command, names),
        }

    def sign_struct(self, command: Command, names: Names) -> str:
        """Return the signature of a command's struct as text."""
        return "0x" + self.signer.sign(compute_digest(command, names, self.domain)).hex()

    def name_parties(self) -> dict[str, str]:
        """Return the account, and who signs for it if that is not itself."""
        parties = {"account": "0x" + self.account.hex()}
        if self.account != self.signer.address:
            parties["signer"] = "0x" + self.signer.address.hex()
        return parties

    def sign_login(self, timestamp_ms: int, nonce: str) -> dict[str, Any]:
        """Return the parameters of public/auth."""
        digest = compute_login_digest(self.account, timestamp_ms, nonce, self.domain)
        return self.name_parties() | {
            "grant_type": "wallet_signature",
            "timestamp": timestamp_ms,
            "nonce": nonce,
            "signature": "0x" + self.signer.sign(digest).hex(),
        }
