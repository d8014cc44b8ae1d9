"""What wallets sign: our digests are those of eth-account, of published vectors, and of the client."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey
from eth_account.messages import _hash_eip191_message, encode_typed_data

from novate.access.client_signing import CommandSigner, KeySigner
from novate.access.signing_domain import STRUCT_TYPES, list_types
from novate.protocol.command import Command, make_command
from novate.protocol.frame import keccak256
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.records import COMMAND_FIELDS, HAS_SUBJECT, ITEM_STRUCT_TYPE, STRUCT_TYPE
from novate.protocol.signing import (
    DOMAIN_TYPE,
    Domain,
    Names,
    compute_digest,
    compute_login_digest,
    describe_struct,
    encode_type,
    encode_word,
    hash_domain,
    hash_struct,
    recover_signer,
)

from .harness import MAKER, SETTLEMENT, TAKER, run_venue

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "evm" / "ethers_eip712.json.gz"
DOMAIN = Domain(31_337, SETTLEMENT)
NAMES = Names(lambda number: "BTC_USDC-27MAR26-80000-C", lambda number: "BTC")
SIGNED_KINDS = list(STRUCT_TYPE)
ACCOUNT = KeySigner(MAKER).address
VALUES = {
    "side": 1,
    "time_in_force": 2,
    "instrument_kind": 0,
    "svi_rho_x48": -(1 << 46),
    "svi_m_x48": -5,
    "flags": 22,
    "reference": 2,
    "condition": 1,
    "cancel_on_disconnect": 1,
}
SUBJECT = KeySigner(TAKER).address
ITEMS: dict[CommandKind, tuple[tuple[int, ...], ...]] = {
    CommandKind.MASS_QUOTE: ((3, 1_000, 25, 1_010, 30), (4, 0, 0, 7, 1)),
    CommandKind.BLOCK_TRADE: ((3, 0, 25, 1_010), (4, 1, 30, 7)),
    CommandKind.LIST_COMBO: ((3, 1), (4, -2)),
}


def make_example(kind: CommandKind) -> Command:
    """A command of a kind, with a different value in every field."""
    fields = {name: VALUES.get(name, 1_000_003 * (at + 1)) for at, name in enumerate(COMMAND_FIELDS[kind])}
    if kind == CommandKind.LIST_INSTRUMENT:
        fields |= {"strike_atoms": 80_000_000_000, "expiry_ns": 1_774_598_400_000_000_000}
    command = make_command(kind, 0, ACCOUNT, b"", **fields)
    return command._replace(items=ITEMS.get(kind, ()), subject=SUBJECT if kind in HAS_SUBJECT else b"")


def read_message(command: Command) -> dict[str, Any]:
    """The struct of a command as a wallet takes it."""
    message: dict[str, Any] = {name: value for _, name, value in describe_struct(command, NAMES)}
    if command.kind in ITEM_STRUCT_TYPE:
        item_type = ITEM_STRUCT_TYPE[command.kind]
        names = [field["name"] for fields in list_types(item_type).values() for field in fields]
        rows = [[NAMES.instrument(item[0]), *item[1:]] for item in command.items]
        if command.kind == CommandKind.BLOCK_TRADE:
            rows = [[row[0], ("buy", "sell")[int(row[1])], *row[2:]] for row in rows]
        items = [dict(zip(names, row, strict=True)) for row in rows]
        message["quotes" if command.kind == CommandKind.MASS_QUOTE else "legs"] = items
    return message


def hash_with_eth_account(struct_type: str, message: dict[str, Any]) -> bytes:
    """The digest that eth-account computes for a struct in our domain."""
    domain = {
        "name": "novate",
        "version": "1",
        "chainId": DOMAIN.chain_id,
        "verifyingContract": "0x" + DOMAIN.settlement.hex(),
    }
    return bytes(_hash_eip191_message(encode_typed_data(domain, list_types(struct_type), message)))


@pytest.mark.parametrize("kind", SIGNED_KINDS, ids=lambda kind: kind.name)
def test_digest_is_that_of_eth_account(kind: CommandKind) -> None:
    """Each signed kind has the digest that an independent library computes from its struct type."""
    command = make_example(kind)
    expected = hash_with_eth_account(encode_type(kind), read_message(command))
    assert expected == compute_digest(command, NAMES, DOMAIN)


def test_every_instrument_at_once_is_signed_as_no_name() -> None:
    """CANCEL_ALL without an instrument signs the empty string."""
    command = make_command(CommandKind.CANCEL_ALL, 0, ACCOUNT, b"", instrument=-1, nonce=1, expires_ns=2)
    message = {"account": "0x" + ACCOUNT.hex(), "instrument": "", "label": 0, "group": 0}
    message |= {"nonce": 1, "expiresNs": 2}
    expected = hash_with_eth_account(STRUCT_TYPE[CommandKind.CANCEL_ALL], message)
    assert expected == compute_digest(command, NAMES, DOMAIN)


def test_login_digest_is_that_of_eth_account() -> None:
    """A login has the digest that an independent library computes."""
    message = {"account": "0x" + ACCOUNT.hex(), "timestampMs": 1_700_000_000_000, "nonce": "once"}
    expected = hash_with_eth_account(STRUCT_TYPES["Login"], message)
    assert expected == compute_login_digest(ACCOUNT, 1_700_000_000_000, "once", DOMAIN)


def test_client_signs_what_it_means() -> None:
    """The client's signature recovers to its account over the digest that it computed itself."""
    signer = CommandSigner(KeySigner(MAKER), DOMAIN)
    params = signer.sign(CommandKind.CANCEL, 7, 9, order_id=3)
    command = make_command(CommandKind.CANCEL, 0, ACCOUNT, b"", order_id=3, nonce=7, expires_ns=9)
    digest = compute_digest(command, NAMES, DOMAIN)
    assert ACCOUNT == recover_signer(digest, bytes.fromhex(params["signature"][2:]))
    assert ("7", "9", 31_337) == (params["nonce"], params["expires_ns"], params["chain_id"])


def test_server_publishes_what_is_signed(tmp_path: Path) -> None:
    """public/get_domain gives the types and the domain from which any wallet computes our digests."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as client:
            described = await client.call("public/get_domain")
            domain = described["domain"]
            words = (
                keccak256(DOMAIN_TYPE)
                + keccak256(domain["name"].encode())
                + keccak256(domain["version"].encode())
            )
            words += encode_word(domain["chainId"]) + bytes.fromhex(domain["verifyingContract"][2:]).rjust(
                32, b"\0"
            )
            assert described["domain_separator"] == "0x" + keccak256(words).hex()
            assert described["genesis_hash"] == "0x" + venue.genesis.hash.hex()
            orders = {"Place", "Replace", "Cancel", "CancelAll", "PlaceTrigger", "MassQuote"}
            others = {"Withdraw", "Login", "Protect", "SetMmp", "Backstop", "Insure"}
            desk = {"AuthorizeKey", "RevokeKey", "CreateSubaccount", "Transfer", "BlockTrade"}
            assert orders | others | desk == set(described["struct_types"])
            parts = {"Quote", "Leg", "EIP712Domain"}
            assert orders | others | desk | parts == set(described["types"])

    asyncio.run(scenario())


def is_ours(case: dict[str, Any]) -> bool:
    """Whether a published case is within what our structs use.
    One flat struct of addresses, integers and strings.
    """
    fields = case["types"][case["primaryType"]]
    flat = len(case["types"]) == 1 and all(
        field["type"] in ("string", "address")
        or (field["type"].startswith(("uint", "int")) and "[" not in field["type"])
        for field in fields
    )
    return flat and all(case["data"][field["name"]] is not None for field in fields)


def hash_any_domain(domain: dict[str, Any]) -> bytes:
    """The separator of a published domain, whose fields vary from case to case."""
    kinds = {
        "name": "string",
        "version": "string",
        "chainId": "uint256",
        "verifyingContract": "address",
        "salt": "bytes32",
    }
    present = [name for name in kinds if domain.get(name) is not None]
    words = [
        keccak256(("EIP712Domain(" + ",".join(f"{kinds[name]} {name}" for name in present) + ")").encode())
    ]
    for name in present:
        value = domain[name]
        if kinds[name] == "string":
            words.append(keccak256(value.encode()))
        elif kinds[name] == "uint256":
            words.append(encode_word(int(value)))
        else:
            words.append(bytes.fromhex(value[2:]).rjust(32, b"\0"))
    return keccak256(b"".join(words))


@pytest.mark.skipif(
    not VECTORS.is_file(), reason="the published EIP-712 vectors are not beside this checkout"
)
def test_published_vectors() -> None:
    """Our struct hash gives the digest of each published case that consists of types we use."""
    cases = [case for case in json.loads(gzip.decompress(VECTORS.read_bytes())) if is_ours(case)]
    assert len(cases) >= 50
    for case in cases:
        fields = case["types"][case["primaryType"]]
        text = (
            case["primaryType"] + "(" + ",".join(f"{field['type']} {field['name']}" for field in fields) + ")"
        )
        values = [
            (field["type"], field["name"], value if field["type"] in ("string", "address") else int(value))
            for field in fields
            for value in [case["data"][field["name"]]]
        ]
        digest = keccak256(b"\x19\x01" + hash_any_domain(case["domain"]) + hash_struct(text, values))
        assert case["digest"] == "0x" + digest.hex(), case["name"]


def test_domain_separator_is_one_function() -> None:
    """The cached separator of the law is that of the published rule."""
    domain = {
        "name": "novate",
        "version": "1",
        "chainId": DOMAIN.chain_id,
        "verifyingContract": "0x" + DOMAIN.settlement.hex(),
    }
    assert hash_any_domain(domain) == hash_domain(DOMAIN.chain_id, DOMAIN.settlement)


def test_worked_example_of_the_guide() -> None:
    """The digest and signature that docs/guides/api.md works out are the ones that this code computes."""
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "api.md").read_text()
    key = PrivateKey(b"\x01" * 32)
    names = Names(lambda number: "BTC_USDC-27MAR26-80000-C", lambda number: "")
    fields = {"instrument": 0, "side": 0, "time_in_force": 0, "lots": 25, "price_ticks": 300}
    command = make_command(
        CommandKind.PLACE,
        0,
        KeySigner(key).address,
        b"",
        nonce=1,
        expires_ns=2_000_000_000_000_000_000,
        **fields,
    )
    domain = Domain(31_337, b"\x5e" * 20)
    digest = compute_digest(command, names, domain)
    signature = KeySigner(key).sign(digest)
    for value in (KeySigner(key).address, domain.separator(), digest, signature):
        assert value.hex() in guide
