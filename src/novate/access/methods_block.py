"""Block trades: many legs, both sides' signatures, all or none. Law: BLOCK-1 to BLOCK-3.

Both sides sign one BlockTrade, so its nonces and its expiry are agreed before; either of them sends it.
"""

from typing import Any

from novate.access.block_terms import read_block_legs
from novate.access.combo_terms import NamedGrid
from novate.access.errors import ApiError, refuse_parameter
from novate.access.keyring import check_scope, require_speaker
from novate.access.market_payloads import name_block
from novate.access.order_record import Memo
from novate.access.parameters_desk import BlockTradeParameters, BlockTradesParameters, ExecuteBlockParameters
from novate.access.quantities import read_address, read_signature, read_unsigned
from novate.access.rfq_payloads import describe_block
from novate.access.trade_tape import Trade
from novate.access.venue import Caller, Venue
from novate.access.writes import Fresh, Write, check_freshness, check_nonce, show_receipt
from novate.execution.sequencer import Outcome
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.signing import compute_digest

TAKER = "taker"
Item = tuple[int, int, int, int]


def make_block(nonce: int, counter_nonce: int, expires_ns: int, items: tuple[Item, ...]) -> Command:
    """Return a block trade that nobody has signed yet."""
    command = make_command(
        CommandKind.BLOCK_TRADE, 0, nonce=nonce, counter_nonce=counter_nonce, expires_ns=expires_ns
    )
    return command._replace(items=items)


def prepare_execute_block(venue: Venue, given: ExecuteBlockParameters) -> Write:
    """Prepare private/execute_block_trade."""
    if given.role != TAKER:
        raise refuse_parameter("role", "taker: directions are those of the account", given.role)
    fresh = check_freshness(venue, given)
    check_scope(fresh.speaker, CommandKind.BLOCK_TRADE)
    counterparty = read_address(given.counterparty, "counterparty")
    cosigner = (
        read_address(given.counterparty_signer, "counterparty_signer")
        if given.counterparty_signer
        else counterparty
    )
    counter_nonce = read_unsigned(given.counterparty_nonce, "counterparty_nonce")
    check_counterparty(venue, counterparty, cosigner, counter_nonce)

    def find(name: str) -> NamedGrid:
        return venue.find_instrument(name)

    items = read_block_legs(given.trades, find)
    command = make_block(fresh.nonce, counter_nonce, fresh.expires_ns, items)
    cosignature = read_signature(given.counterparty_signature)
    command = command._replace(subject=counterparty, cosigner=cosigner, cosignature=cosignature)
    return begin_block(venue, fresh, command)


def check_counterparty(venue: Venue, counterparty: bytes, cosigner: bytes, counter_nonce: int) -> None:
    """Refuse a counterparty that cannot trade with this signature, as the law would. [KEY-1]"""
    account = venue.engine.find_account(counterparty)
    if account < 0:
        raise ApiError(Code.ACCOUNT_NOT_FOUND, "the counterparty must have made a deposit first")
    speaker = require_speaker(venue.engine, account, cosigner, venue.clock_ns())
    check_scope(speaker, CommandKind.BLOCK_TRADE)
    check_nonce(speaker, counter_nonce, "counterparty_nonce")


def begin_block(venue: Venue, fresh: Fresh, command: Command) -> Write:
    """Return the write of a cosigned block trade, both of whose signers are being recovered."""
    command = fresh.address(command)
    digest = compute_digest(command, venue.engine.names, venue.domain)
    signer = venue.gate.recover(digest, command.signature)
    cosigner = venue.gate.recover(digest, command.cosignature)
    return Write(command, digest, signer, Memo(), show_block, cosigner)


def show_block(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the block trade as its account sees it."""
    account = venue.engine.find_account(write.command.holder)
    return describe_block(venue.orders, write.memo.trades, account) | {"receipt": show_receipt(outcome)}


def list_blocks(venue: Venue, account: int) -> list[list[Trade]]:
    """Return the legs of each block trade of an account, newest block first, as far as trades are kept."""
    blocks: dict[int, list[Trade]] = {}
    for trade in venue.tape.list_account_trades(account):
        if trade.is_block:
            blocks.setdefault(trade.order_id, []).insert(0, trade)
    return list(blocks.values())


def get_block_trade(venue: Venue, caller: Caller, given: BlockTradeParameters) -> dict[str, Any]:
    """Return one of the account's block trades."""
    account = venue.require_account(caller)
    for trades in list_blocks(venue, account):
        if name_block(trades[0].order_id) == given.id:
            return describe_block(venue.orders, trades, account)
    raise ApiError(Code.ORDER_NOT_FOUND, f"no block trade {given.id!r} of the account is known", id=given.id)


def get_block_trades(venue: Venue, caller: Caller, given: BlockTradesParameters) -> dict[str, Any]:
    """Return the account's latest block trades, newest first."""
    account = venue.require_account(caller)
    currency = given.currency.upper()
    blocks = [
        trades
        for trades in list_blocks(venue, account)
        if currency in ("ANY", "USDC") or currency in {name_base(venue, trade) for trade in trades}
    ]
    return {
        "block_trades": [describe_block(venue.orders, trades, account) for trades in blocks[: given.count]],
        "next_start_id": name_block(blocks[given.count][0].order_id) if len(blocks) > given.count else None,
    }


def name_base(venue: Venue, trade: Trade) -> str:
    """Return the underlying of a trade."""
    return venue.market.name_underlying(venue.engine.instruments[trade.instrument])
