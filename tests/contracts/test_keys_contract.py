"""Keys.vy and Owners.vy: every kind of owner, every figure, and what the inbox then holds."""

import pytest
from eth_abi.abi import decode, encode
from eth_account.messages import _hash_eip191_message, encode_typed_data

from novate.protocol.frame import keccak256
from novate.settlement.compiler import OPTIMISATION_LEVELS
from novate.settlement.owner_signature import (
    KeyTerms,
    compute_subaccount,
    sign_digest,
    wrap_undeployed,
)
from tests.contracts.harness import START_S, STRANGER, Reverted
from tests.contracts.keys_world import (
    AUTHORISE_KEY,
    DEADLINE_S,
    DEVICE,
    GUARDIAN,
    KEY,
    OWNER,
    REVOKE_KEY,
    SETTLEMENT,
    TERMS,
    KeysWorld,
    compute_create2_address,
    wallet_code,
)

SALT = b"\x01" * 32


@pytest.fixture(params=OPTIMISATION_LEVELS)
def world(request: pytest.FixtureRequest) -> KeysWorld:
    """A fresh world at each optimisation level."""
    return KeysWorld(request.param)


def read_entry(world: KeysWorld) -> tuple[int, str, bytes]:
    """Return kind, account and data of the last entry, and check its hash."""
    log = world.logs[-1]
    topics, data = log.data
    cursor = int.from_bytes(topics[1], "big")
    account = "0x" + bytes(topics[2])[12:].hex()
    kind, asset, amount, content = decode(["uint8", "uint8", "uint256", "bytes"], bytes(data))
    types = ["uint64", "uint8", "address", "uint8", "uint256", "bytes32"]
    entry_hash = keccak256(encode(types, [cursor, kind, account, asset, amount, keccak256(content)]))
    assert entry_hash == world.view(world.inbox, "entryHash", cursor)
    return kind, account, content


def test_an_owner_authorises_and_revokes_by_itself(world: KeysWorld) -> None:
    """The owner's own transaction needs no signature; the inbox holds key and terms [SETTLE-36]."""
    owner = OWNER.address
    assert 1 == world.call(owner, world.keys, "authorise", 0, KEY, tuple(TERMS))
    kind, account, data = read_entry(world)
    assert (AUTHORISE_KEY, owner.lower()) == (kind, account)
    types = ["address", "uint32", *["uint64"] * 4, "uint32"]
    assert (KEY.lower(), *TERMS) == decode(types, data)
    assert 2 == world.call(owner, world.keys, "revoke", 7, KEY)
    kind, account, data = read_entry(world)
    assert (REVOKE_KEY, compute_subaccount(owner, 7).lower()) == (kind, account)
    assert (KEY.lower(),) == decode(["address"], data)


def test_anyone_brings_what_an_owner_signed(world: KeysWorld) -> None:
    """An EOA's signature authorises and revokes, for the owner's account and for its sub-account."""
    assert 1 == world.authorise(OWNER.address, world.sign(OWNER))
    assert (AUTHORISE_KEY, OWNER.address.lower()) == read_entry(world)[:2]
    signature = world.sign(OWNER, 1, subaccount=9)
    assert 2 == world.authorise(OWNER.address, signature, 1, subaccount=9)
    assert (AUTHORISE_KEY, compute_subaccount(OWNER.address, 9).lower()) == read_entry(world)[:2]
    assert 3 == world.revoke(OWNER.address, sign_digest(OWNER, world.digest_revoke(OWNER.address, 2)), 2)
    assert (REVOKE_KEY, OWNER.address.lower()) == read_entry(world)[:2]


def test_a_smart_account_signs(world: KeysWorld) -> None:
    """ERC-1271: the wallet's own judgement counts, and it may also send the transaction itself."""
    wallet = world.deploy_wallet("OneKeyWallet", OWNER.address)
    signature = sign_digest(OWNER, world.digest_authorise(wallet.address))
    assert 1 == world.authorise(wallet.address, signature)
    call = world.encode_call(world.keys, "revoke", 0, KEY)
    world.call(OWNER.address, wallet, "act", world.keys.address, call)
    assert (REVOKE_KEY, wallet.address.lower()) == read_entry(world)[:2]
    with pytest.raises(Reverted, match="not signed by the owner"):
        world.authorise(wallet.address, sign_digest(GUARDIAN, world.digest_authorise(wallet.address, 1)), 1)


def test_a_wallet_that_is_not_there_yet_signs(world: KeysWorld) -> None:
    """ERC-6492: the wallet is created first, then asked; what creates something else proves nothing."""
    factory = world.deploy_wallet("WalletFactory")
    code = wallet_code("OneKeyWallet", OWNER.address)
    wallet = compute_create2_address(factory.address, SALT, code)
    call = world.encode_call(factory, "create", code, SALT)
    other = world.encode_call(factory, "create", code, b"\x02" * 32)
    signature = sign_digest(OWNER, world.digest_authorise(wallet))
    with pytest.raises(Reverted, match="not signed by the owner"):
        world.authorise(wallet, signature)
    with pytest.raises(Reverted, match="not signed by the owner"):
        world.authorise(wallet, wrap_undeployed(factory.address, other, signature))
    assert 1 == world.authorise(wallet, wrap_undeployed(factory.address, call, signature))
    # Once it is there the same wrapping still works, and nothing is created a second time.
    again = sign_digest(OWNER, world.digest_authorise(wallet, 1))
    assert 2 == world.authorise(wallet, wrap_undeployed(factory.address, call, again), 1)
    assert 3 == world.authorise(wallet, sign_digest(OWNER, world.digest_authorise(wallet, 2)), 2)


def test_without_the_precompile_no_device_is_an_owner() -> None:
    """On a chain where 0x100 is an empty account the call succeeds with nothing, and that is a refusal."""
    world = KeysWorld()
    with pytest.raises(Reverted, match="not signed by the owner"):
        world.authorise(DEVICE.address, DEVICE.sign_raw(world.digest_authorise(DEVICE.address)))


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "no scope": ({"terms": TERMS._replace(scope=0)}, "scope out of range"),
    "wide scope": ({"terms": TERMS._replace(scope=32)}, "scope out of range"),
    "expired": ({"terms": TERMS._replace(expires_ns=START_S * 10**9)}, "key already expired"),
    "notional": ({"terms": TERMS._replace(max_notional_atoms=2**60 + 1)}, "limit too large"),
    "delta": ({"terms": TERMS._replace(max_delta_atoms=2**60 + 1)}, "limit too large"),
    "vega": ({"terms": TERMS._replace(max_vega_atoms=2**60 + 1)}, "limit too large"),
    "rate": ({"terms": TERMS._replace(rate_per_minute=10**6 + 1)}, "rate too large"),
    "zero key": ({"key": "0x" + "00" * 20}, "key must not be zero"),
    "own key": ({"key": OWNER.address}, "key must not be the account's"),
    "far subaccount": ({"subaccount": 2**31}, "subaccount too large"),
    "late": ({"deadline_s": START_S - 1}, "signature expired"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_law_would_refuse_is_refused(name: str) -> None:
    """Figures out of range cost their sender a revert instead of everybody an entry [KEY-3]."""
    world = KeysWorld()
    changes, reason = REFUSED[name]
    with pytest.raises(Reverted, match=reason):
        world.authorise(OWNER.address, world.sign(OWNER, **changes), **changes)
    if name != "late":
        arguments = (changes.get("subaccount", 0), changes.get("key", KEY))
        terms: KeyTerms = changes.get("terms", TERMS)  # type: ignore[assignment]
        with pytest.raises(Reverted, match=reason):
            world.call(OWNER.address, world.keys, "authorise", *arguments, tuple(terms))
    assert 0 == world.count()


def test_extreme_terms_are_accepted() -> None:
    """The largest figures of the law pass, and the deadline's own second still counts."""
    world = KeysWorld()
    terms = KeyTerms(31, 2**64 - 1, 2**60, 2**60, 2**60, 10**6)
    world.now_s = DEADLINE_S
    signature = world.sign(OWNER, 2**256 - 1, terms=terms, subaccount=2**31 - 1)
    changes = {"terms": terms, "subaccount": 2**31 - 1}
    assert 1 == world.authorise(OWNER.address, signature, 2**256 - 1, **changes)
    assert world.view(world.keys, "isUsed", OWNER.address, 2**256 - 1)
    assert not world.view(world.keys, "isUsed", OWNER.address, 2**256 - 2)


def make_typed_data(world: KeysWorld) -> dict[str, object]:
    """Return an authorisation as a wallet shows it."""
    names = ("owner", "subaccount", "key", "scope", "expiresNs", "maxNotional", "maxDelta", "maxVega")
    kinds = ("address", "uint32", "address", "uint32", *["uint64"] * 4)
    rest = (
        ("ratePerMinute", "uint32"),
        ("generation", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint64"),
    )
    fields = [*zip(names, kinds, strict=True), *rest]
    values = (OWNER.address, 0, KEY, *TERMS, 0, 0, DEADLINE_S)
    domain = [("name", "string"), ("version", "string"), ("chainId", "uint256")]
    domain.append(("verifyingContract", "address"))
    return {
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain],
            "AuthoriseKeyOnChain": [{"name": name, "type": kind} for name, kind in fields],
        },
        "primaryType": "AuthoriseKeyOnChain",
        "domain": {"name": "novate", "version": "1", "chainId": 31337, "verifyingContract": SETTLEMENT},
        "message": dict(zip([name for name, _ in fields], values, strict=True)),
    }


def test_a_wallet_shows_what_it_signs() -> None:
    """The digest is the one that a wallet computes from the typed data, field by field."""
    world = KeysWorld()
    message = encode_typed_data(full_message=make_typed_data(world))
    assert _hash_eip191_message(message) == world.digest_authorise(OWNER.address)
    assert world.view(world.keys, "domainSeparator") == world.domain.separator()
    assert 1 == world.authorise(OWNER.address, sign_digest(OWNER, _hash_eip191_message(message)))


def test_keys_are_wired_right_or_not_at_all() -> None:
    """A Keys without its parts, or whose judge could write to the inbox itself, cannot be created."""
    world = KeysWorld()
    zero, inbox, owners = "0x" + "00" * 20, world.inbox.address, world.owners.address
    for arguments in ((zero, owners, SETTLEMENT), (inbox, STRANGER, SETTLEMENT), (inbox, inbox, SETTLEMENT)):
        with pytest.raises(Reverted):
            world.deploy_own("Keys", *arguments)
    with pytest.raises(Reverted, match="settlement must not be zero"):
        world.deploy_own("Keys", inbox, owners, zero)
