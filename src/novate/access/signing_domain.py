"""What a wallet signs: the domain, the struct types, and how a refused signature is explained."""

from typing import Any

from novate.access.errors import ApiError
from novate.access.keyring import show_address
from novate.access.venue import Venue
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, Side
from novate.protocol.generated.records import ITEM_STRUCT_TYPE, SIGNED_BY
from novate.protocol.signing import LOGIN_TYPE, SIDE_NAME, describe_struct, encode_type

DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
USER_KINDS = [kind for kind in CommandKind if SIGNED_BY[kind] == "account"]


def list_types(text: str) -> dict[str, list[dict[str, str]]]:
    """Return the fields of each struct in an encoded type, by its name, as wallets want them."""
    types = {}
    for part in text.removesuffix(")").split(")"):
        name, _, body = part.partition("(")
        pairs = (item.split(" ") for item in body.split(","))
        types[name] = [{"name": field, "type": kind} for kind, field in pairs]
    return types


def name_struct(struct_type: str) -> str:
    """Return the primary type of an encoded struct type."""
    return struct_type[: struct_type.index("(")]


# Each primary type with the types that it refers to behind it, as EIP-712 encodes it.
STRUCT_TYPES = {name_struct(text): text for text in (*(encode_type(kind) for kind in USER_KINDS), LOGIN_TYPE)}


def describe_domain_fields(venue: Venue) -> dict[str, Any]:
    """Return the EIP-712 domain."""
    settlement = "0x" + venue.genesis.settlement.hex()
    return {
        "name": "novate",
        "version": "1",
        "chainId": venue.genesis.chain_id,
        "verifyingContract": settlement,
    }


def describe_domain(venue: Venue) -> dict[str, Any]:
    """Return the domain, every struct type that users sign, and the venue's time and identity."""
    return {
        "domain": describe_domain_fields(venue),
        "domain_separator": "0x" + venue.domain.separator().hex(),
        "chain_id": venue.genesis.chain_id,
        "settlement": "0x" + venue.genesis.settlement.hex(),
        "genesis_hash": "0x" + venue.genesis.hash.hex(),
        "time_ns": str(venue.clock_ns()),
        "sequence": venue.engine.sequence,
        "struct_types": STRUCT_TYPES,
        "types": describe_types() | {"EIP712Domain": DOMAIN_FIELDS},
    }


def describe_types() -> dict[str, list[dict[str, str]]]:
    """Return the fields of every struct that users sign."""
    types: dict[str, list[dict[str, str]]] = {}
    for text in STRUCT_TYPES.values():
        types |= list_types(text)
    return types


def describe_message(venue: Venue, command: Command) -> dict[str, Any]:
    """Return the struct as the server understood it.
    Integers of 64 bits as text, which every client reads exactly; a flag as true or false.
    """
    message: dict[str, Any] = {}
    for kind, name, value in describe_struct(command, venue.engine.names):
        if kind == "uint64":
            message[name] = str(value)
        elif kind == "bool":
            message[name] = bool(value)
        else:
            message[name] = describe_items(venue, command) if isinstance(value, bytes) else value
    return message


def describe_items(venue: Venue, command: Command) -> list[dict[str, str]]:
    """Return the quotes of a mass quote, or the legs of a block trade, as they are signed."""
    fields = [field["name"] for field in list_types(ITEM_STRUCT_TYPE[command.kind]).popitem()[1]]
    rows = []
    for item in command.items:
        values = [venue.engine.name_instrument(item[0]), *map(str, item[1:])]
        if command.kind == CommandKind.BLOCK_TRADE:
            values[1] = SIDE_NAME[Side(item[1])]
        rows.append(dict(zip(fields, values, strict=True)))
    return rows


def describe_signature_refusal(
    venue: Venue, digest: bytes, named: bytes, recovered: bytes, primary_type: str, message: dict[str, Any]
) -> ApiError:
    """Return SIGNATURE_INVALID with all that one needs to find the difference."""
    signer = show_address(named)
    shown = show_address(recovered) if recovered else None
    found = f"it recovers to {shown}" if shown else "it is not a signature with low s and v of 27 or 28"
    return ApiError(
        Code.SIGNATURE_INVALID,
        f"the signature is not {signer}'s over the {primary_type} below: {found}",
        signer=signer,
        digest="0x" + digest.hex(),
        domain=describe_domain_fields(venue),
        domain_separator="0x" + venue.domain.separator().hex(),
        primaryType=primary_type,
        type=STRUCT_TYPES[primary_type],
        message=message,
        recovered=shown,
    )
