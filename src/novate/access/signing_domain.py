"""What a wallet signs: the domain, the struct types, and how a refused signature is explained."""

from typing import Any

from novate.access.errors import ApiError
from novate.access.venue import Venue
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.generated.records import SIGNED_BY, STRUCT_TYPE
from novate.protocol.signing import LOGIN_TYPE, describe_struct

DOMAIN_FIELDS = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
USER_KINDS = [kind for kind in CommandKind if SIGNED_BY[kind] == "account"]


def list_fields(struct_type: str) -> list[dict[str, str]]:
    """Return the fields of an encoded struct type, as wallets want them."""
    pairs = (item.split(" ") for item in struct_type[struct_type.index("(") + 1 : -1].split(","))
    return [{"name": name, "type": kind} for kind, name in pairs]


def name_struct(struct_type: str) -> str:
    """Return the primary type of an encoded struct type."""
    return struct_type[: struct_type.index("(")]


STRUCT_TYPES = {name_struct(text): text for text in (*(STRUCT_TYPE[kind] for kind in USER_KINDS), LOGIN_TYPE)}


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
        "types": {name: list_fields(text) for name, text in STRUCT_TYPES.items()}
        | {"EIP712Domain": DOMAIN_FIELDS},
    }


def describe_message(venue: Venue, command: Command) -> dict[str, Any]:
    """Return the struct as the server understood it.
    Integers of 64 bits as text, which every client reads exactly.
    """
    fields = describe_struct(command, venue.engine.names)
    return {name: str(value) if kind == "uint64" else value for kind, name, value in fields}


def describe_signature_refusal(
    venue: Venue, digest: bytes, recovered: bytes, primary_type: str, message: dict[str, Any]
) -> ApiError:
    """Return SIGNATURE_INVALID with all that one needs to find the difference."""
    shown = "0x" + recovered.hex() if recovered else None
    found = f"it recovers to {shown}" if shown else "it is not a signature with low s and v of 27 or 28"
    return ApiError(
        Code.SIGNATURE_INVALID,
        f"the signature is not {message['account']}'s over the {primary_type} below: {found}",
        digest="0x" + digest.hex(),
        domain=describe_domain_fields(venue),
        domain_separator="0x" + venue.domain.separator().hex(),
        primaryType=primary_type,
        type=STRUCT_TYPES[primary_type],
        message=message,
        recovered=shown,
    )
