"""EIP-712 digests of commands, computed by hand, and who signed them. Implements [AUTH-1].

The struct types are in schema.toml. Every string they hold comes from a closed set (an instrument's name, a
side, a time in force), so a digest is a handful of 32-byte words and two Keccak calls.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from coincurve import PrivateKey, PublicKey

from novate.protocol.command import Command
from novate.protocol.frame import keccak256
from novate.protocol.generated.codes import (
    CommandKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.generated.records import COMMAND_FIELDS, ITEM_STRUCT_TYPE, STRUCT_TYPE
from novate.protocol.instrument import InstrumentTerms, format_combo_name, format_instrument_name

DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
LOGIN_TYPE = "Login(address account,uint64 timestampMs,string nonce)"
HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
SIDE_NAME = {Side.BUY: "buy", Side.SELL: "sell"}
TIME_IN_FORCE_NAME = {member: member.name for member in TimeInForce}
FLAGS_NAME = {
    flags: ",".join(flag.name for flag in OrderFlag if flags & flag) for flags in range(2 * max(OrderFlag))
}
WORD_MODULUS = 1 << 256
ALL_INSTRUMENTS = -1


class Domain(NamedTuple):
    """The EIP-712 domain of one venue: chain id and the settlement contract's 20 bytes."""

    chain_id: int
    settlement: bytes

    def separator(self) -> bytes:
        """Return the domain separator."""
        return hash_domain(self.chain_id, self.settlement)


@lru_cache(maxsize=64)
def hash_domain(chain_id: int, settlement: bytes) -> bytes:
    """Return keccak256 of the encoded domain."""
    words = keccak256(DOMAIN_TYPE) + keccak256(b"novate") + keccak256(b"1")
    return keccak256(words + chain_id.to_bytes(32, "big") + settlement.rjust(32, b"\0"))


@lru_cache(maxsize=65_536)
def hash_text(text: str) -> bytes:
    """Return keccak256 of a string, as EIP-712 encodes it; cached, because the strings are few."""
    return keccak256(text.encode())


def encode_word(value: int) -> bytes:
    """Return the 32-byte two's complement of an integer."""
    return (value % WORD_MODULUS).to_bytes(
        32, "big"
    )  # Exact: a power of two, and Python's modulus is not negative.


class Names(NamedTuple):
    """The two look-ups that turn numbers into the names a signer reads; both may raise LookupError."""

    instrument: Callable[[int], str]
    underlying: Callable[[int], str]


def name_flags(flags: int) -> str:
    """Return the names of the set flags, in the order of their bits, joined by commas. [AUTH-1]

    Errors     ValueError if a bit has no name.
    """
    names = FLAGS_NAME.get(flags)
    if names is None:
        raise ValueError(f"flags {flags} hold a bit that the law does not know")
    return names


def encode_type(kind: CommandKind) -> str:
    """Return the EIP-712 type of a command, that of its items appended."""
    return STRUCT_TYPE[kind] + ITEM_STRUCT_TYPE.get(kind, "")


def describe_struct(command: Command, names: Names) -> list[tuple[str, str, int | str | bytes]]:
    """Return (type, name, value) of each field that the signer sees; addresses as 0x text, an array as its
    hash.

    Errors     LookupError if the command names an instrument or underlying that does not exist.
    """
    given = dict(zip(COMMAND_FIELDS[command.kind], command.values, strict=True))
    listed = STRUCT_TYPE[command.kind]
    fields = []
    for item in listed[listed.index("(") + 1 : -1].split(","):
        kind, name = item.split(" ")
        fields.append((kind, name, read_struct_value(name, command, given, names)))
    return fields


INTEGER_FIELD = {
    "sizeLots": "lots",
    "limitPriceTicks": "price_ticks",
    "orderId": "order_id",
    "amountAtoms": "amount_atoms",
    "nonce": "nonce",
    "expiresNs": "expires_ns",
    "indexAtoms": "index_atoms",
    "confidenceE6": "confidence_e6",
    "observedNs": "observed_ns",
    "expiryNs": "expiry_ns",
    "forwardAtoms": "forward_atoms",
    "aX48": "svi_a_x48",
    "bX48": "svi_b_x48",
    "rhoX48": "svi_rho_x48",
    "mX48": "svi_m_x48",
    "sigmaX48": "svi_sigma_x48",
    "displayLots": "display_lots",
    "validUntilNs": "valid_until_ns",
    "label": "label",
    "link": "link",
    "group": "group",
    "triggerAtoms": "trigger_atoms",
    "trailAtoms": "trail_atoms",
    "parentId": "parent_id",
    "timeoutNs": "timeout_ns",
    "cancelOnDisconnect": "cancel_on_disconnect",
    "windowNs": "window_ns",
    "frozenNs": "frozen_ns",
    "quantityLimitLots": "quantity_limit_lots",
    "deltaLimitAtoms": "delta_limit_atoms",
    "vegaLimitAtoms": "vega_limit_atoms",
    "accountNumber": "target",
    "tier": "tier",
    "demandE6": "demand_e6",
    "sliceNotionalAtoms": "slice_notional_atoms",
    "scope": "scope",
    "keyExpiresNs": "key_expires_ns",
    "maxNotionalAtoms": "max_notional_atoms",
    "maxDeltaAtoms": "max_delta_atoms",
    "maxVegaAtoms": "max_vega_atoms",
    "ratePerMinute": "rate_per_minute",
    "subaccount": "subaccount",
    "counterNonce": "counter_nonce",
}


SUBJECT_FIELDS = ("key", "receiver", "counterparty")


def read_struct_value(name: str, command: Command, given: dict[str, int], names: Names) -> int | str | bytes:
    """Return the value of one struct field."""
    if name in INTEGER_FIELD:
        return given[INTEGER_FIELD[name]]
    if name == "quotes":
        return hash_quotes(command, names)
    if name == "options":
        return name_flags(given["flags"])
    if name == "reference":
        return TriggerReference(given["reference"]).name
    if name == "condition":
        return TriggerCondition(given["condition"]).name
    if name == "legs":
        return hash_legs(command, names)
    if name == "account":
        return "0x" + command.holder.hex()
    if name in SUBJECT_FIELDS:
        return "0x" + command.subject.hex()
    if name == "side":
        return SIDE_NAME[Side(given["side"])]
    if name == "timeInForce":
        return TIME_IN_FORCE_NAME[TimeInForce(given["time_in_force"])]
    if name == "underlying":
        return names.underlying(given["underlying"])
    assert name == "instrument", "Invariant [AUTH-1]: every struct field has a source."
    if command.kind == CommandKind.LIST_INSTRUMENT:
        terms = InstrumentTerms(
            given["underlying"], given["instrument_kind"], given["strike_atoms"], given["expiry_ns"]
        )
        return format_instrument_name(names.underlying(terms.underlying), terms)
    if command.kind == CommandKind.LIST_COMBO:
        return format_combo_name([(ratio, names.instrument(number)) for number, ratio in command.items])
    return "" if given["instrument"] == ALL_INSTRUMENTS else names.instrument(given["instrument"])


def hash_struct(type_text: str, values: Sequence[tuple[str, str, int | str | bytes]]) -> bytes:
    """Return the EIP-712 struct hash of (type, name, value) fields of atomic types, strings and hashed
    arrays.
    """
    words = [hash_text(type_text)]
    for kind, _, value in values:
        if isinstance(value, bytes):
            words.append(value)
        elif kind == "string":
            words.append(hash_text(str(value)))
        elif kind == "address":
            words.append(bytes.fromhex(str(value)[2:]).rjust(32, b"\0"))
        else:
            words.append(encode_word(int(value)))
    return keccak256(b"".join(words))


PLACE_WORDS = struct.Struct(">32s12x20s32s32s32s24xQ24xQ32s24xQ24xQ24xQ24xQ24xQ24xQ")
CANCEL_WORDS = struct.Struct(">32s12x20s24xQ24xQ24xQ")
QUOTE_WORDS = struct.Struct(">32s32s24xQ24xQ24xQ24xQ")
PLACE_TYPE_HASH = keccak256(STRUCT_TYPE[CommandKind.PLACE].encode())
CANCEL_TYPE_HASH = keccak256(STRUCT_TYPE[CommandKind.CANCEL].encode())
LEG_WORDS = struct.Struct(">32s32s32s24xQ24xQ")
LEG_TYPE_HASH = keccak256(ITEM_STRUCT_TYPE[CommandKind.BLOCK_TRADE].encode())
QUOTE_TYPE_HASH = keccak256(ITEM_STRUCT_TYPE[CommandKind.MASS_QUOTE].encode())
SIDE_HASH = {side: keccak256(name.encode()) for side, name in SIDE_NAME.items()}
TIME_IN_FORCE_HASH = {member: keccak256(name.encode()) for member, name in TIME_IN_FORCE_NAME.items()}


def hash_place(command: Command, names: Names) -> bytes:
    """Return the struct hash of a PLACE."""
    instrument, side, time_in_force, lots, ticks, flags, *rest = command.values
    name = hash_text(names.instrument(instrument))
    pair = (SIDE_HASH[Side(side)], TIME_IN_FORCE_HASH[TimeInForce(time_in_force)])
    options = hash_text(name_flags(flags))
    return keccak256(
        PLACE_WORDS.pack(PLACE_TYPE_HASH, command.holder, name, *pair, lots, ticks, options, *rest)
    )


def hash_quotes(command: Command, names: Names) -> bytes:
    """Return the hash of a MASS_QUOTE's array of quotes."""
    hashes = [
        keccak256(QUOTE_WORDS.pack(QUOTE_TYPE_HASH, hash_text(names.instrument(item[0])), *item[1:]))
        for item in command.items
    ]
    return keccak256(b"".join(hashes))


def hash_legs(command: Command, names: Names) -> bytes:
    """Return the hash of a BLOCK_TRADE's array of legs.

    Errors     ValueError for a side that is neither.
    """
    hashes = []
    for instrument, side, lots, price_ticks in command.items:
        name = hash_text(names.instrument(instrument))
        hashes.append(
            keccak256(LEG_WORDS.pack(LEG_TYPE_HASH, name, SIDE_HASH[Side(side)], lots, price_ticks))
        )
    return keccak256(b"".join(hashes))


def compute_digest(command: Command, names: Names, domain: Domain) -> bytes:
    """Return the 32-byte digest that the command's signer signs.

    Errors     LookupError, ValueError or struct.error if a field has no place in the struct.
    """
    if command.kind == CommandKind.PLACE:
        body = hash_place(command, names)
    elif command.kind == CommandKind.CANCEL:
        body = keccak256(CANCEL_WORDS.pack(CANCEL_TYPE_HASH, command.holder, *command.values))
    else:
        body = hash_struct(encode_type(command.kind), describe_struct(command, names))
    return keccak256(b"\x19\x01" + domain.separator() + body)


def compute_login_digest(account: bytes, timestamp_ms: int, nonce: str, domain: Domain) -> bytes:
    """Return the digest of a Login struct, which opens a private session and can do nothing else."""
    values: list[tuple[str, str, int | str | bytes]] = [
        ("address", "account", "0x" + account.hex()),
        ("uint64", "timestampMs", timestamp_ms),
        ("string", "nonce", nonce),
    ]
    return keccak256(b"\x19\x01" + domain.separator() + hash_struct(LOGIN_TYPE, values))


def compute_address(public_key: PublicKey) -> bytes:
    """Return the 20-byte address of a public key."""
    return keccak256(public_key.format(compressed=False)[1:])[12:]


def recover_signer(digest: bytes, signature: bytes) -> bytes:
    """Return the address that signed, or empty bytes if the signature is not a strict one.

    Strict means 65 bytes, v of 27 or 28, r and s in range and s at most half the order: `recover` itself
    accepts the malleated twin of a signature, so the twin is refused here.
    """
    if len(signature) != 65 or signature[64] not in (27, 28):
        return b""
    if int.from_bytes(signature[32:64], "big") > HALF_ORDER:
        return b""
    try:
        key = PublicKey.from_signature_and_message(
            signature[:64] + bytes([signature[64] - 27]), digest, hasher=None
        )
    except ValueError:
        return b""  # coincurve says so of r or s out of range; the caller reports SIGNATURE_INVALID.
    except Exception as error:  # coincurve raises a bare Exception when no key fits.
        if type(error) is not Exception:
            raise
        return b""
    return compute_address(key)


def sign_digest(digest: bytes, key: PrivateKey) -> bytes:
    """Return the 65-byte signature (r, s, v) of a digest, deterministic (RFC 6979) and with low s."""
    raw = key.sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes([raw[64] + 27])


def sign_command(command: Command, names: Names, domain: Domain, key: PrivateKey) -> Command:
    """Return the command with its signer and signature filled in; where it names an account, that stays and
    the key signs for it. [KEY-1]
    """
    signer = compute_address(key.public_key)
    addressed = command._replace(signer=signer, account=b"" if command.account == signer else command.account)
    return addressed._replace(signature=sign_digest(compute_digest(addressed, names, domain), key))


def cosign_command(command: Command, names: Names, domain: Domain, key: PrivateKey) -> Command:
    """Return a BLOCK_TRADE with the counterparty's signature filled in, over the digest that the account
    signs. [BLOCK-1]
    """
    signature = sign_digest(compute_digest(command, names, domain), key)
    return command._replace(cosigner=compute_address(key.public_key), cosignature=signature)


def compute_subaccount_address(owner: bytes, subaccount: int) -> bytes:
    """Return the address of an owner's sub-account. [SUB-1]"""
    return keccak256(owner + subaccount.to_bytes(32, "big"))[12:]
