"""The client's methods for desks: session keys, sub-accounts, transfers, block trades, requests for quotes
and combos.

A block is signed by both sides over one struct. Each side computes it from names, amounts and prices that it
was shown and agrees to, with the venue's own functions, and signs nothing that it has not computed.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from novate.access.block_terms import price_package, read_block_legs
from novate.access.client_link import VenueLink
from novate.access.client_signing import EXPIRES_AFTER_NS, read_money, write_decimal
from novate.access.combo_terms import PackageLeg, read_direction, read_package
from novate.access.errors import ApiError
from novate.access.key_terms import read_key_fields, read_subaccount
from novate.access.parameters_desk import AuthorizeKeyParameters, BlockLeg, RfqLeg, RfqPrice
from novate.access.quantities import Number, read_address
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import CommandKind, Side
from novate.protocol.generated.constants import NS_PER_S
from novate.protocol.signing import Names

Decimalish = Number | Decimal
UNSIGNED = {"account": "", "nonce": 0, "expires_ns": 0, "signature": ""}
RFQ_AHEAD_NS = 600 * NS_PER_S  # Longer than a request lives: its nonce stays above those of other writes.
Legs = Sequence[tuple[str, str, Decimalish]]
PricedLegs = Sequence[tuple[str, str, Decimalish, Decimalish]]
Items = tuple[tuple[int, int, int, int], ...]


def write_legs(legs: Legs) -> list[dict[str, str]]:
    """Return legs, given as (instrument_name, direction, amount), in the API's words."""
    return [
        {"instrument_name": name, "direction": direction, "amount": write_decimal(amount, "amount")}
        for name, direction, amount in legs
    ]


def write_priced_legs(legs: PricedLegs) -> list[dict[str, str]]:
    """Return legs, given as (instrument_name, direction, amount, price), in the API's words."""
    prices = [{"price": write_decimal(leg[3], "price")} for leg in legs]
    rows = write_legs([leg[:3] for leg in legs])
    return [row | price for row, price in zip(rows, prices, strict=True)]


class DeskClient(VenueLink):
    """Every write of the venue that is not an order, a quote or a payment; reads go through `call`."""

    # Session keys.

    async def authorize_key(
        self,
        key: str,
        scope: str,
        expiration_timestamp: int,
        max_notional: Decimalish = 0,
        max_delta: Decimalish = 0,
        max_vega: Decimalish = 0,
        rate_per_minute: int = 0,
    ) -> dict[str, Any]:
        """Let the key of an address sign for this account until a time in milliseconds, within limits in USDC
        (0: none). `scope` is one or more of trade, cancel, quote, block, transfer, with spaces between them.
        A key that is active gets the new figures.
        """
        params = {
            "key": key,
            "scope": scope,
            "expiration_timestamp": expiration_timestamp,
            "max_notional": write_decimal(max_notional, "max_notional"),
            "max_delta": write_decimal(max_delta, "max_delta"),
            "max_vega": write_decimal(max_vega, "max_vega"),
            "rate_per_minute": rate_per_minute,
        }
        try:
            fields = read_key_fields(msgspec.convert(params | UNSIGNED, AuthorizeKeyParameters))
            subject = read_address(key, "key")
        except (ApiError, msgspec.ValidationError) as error:
            raise ValueError(str(error)) from error
        result: dict[str, Any] = await self.write(
            "private/authorize_key", CommandKind.AUTHORIZE_KEY, params, fields, subject=subject
        )
        return result

    async def revoke_key(self, key: str) -> dict[str, Any]:
        """End a key: from the next command on nothing that it signed is taken."""
        subject = read_address(key, "key")
        result: dict[str, Any] = await self.write(
            "private/revoke_key", CommandKind.REVOKE_KEY, {"key": key}, {}, subject=subject
        )
        return result

    async def list_keys(self) -> list[dict[str, Any]]:
        """Return the account's active keys."""
        rows: list[dict[str, Any]] = await self.call("private/list_keys")
        return rows

    # Sub-accounts.

    async def create_subaccount(self, subaccount: int) -> dict[str, Any]:
        """Open the sub-account of a number of one's own choice; `address` of the result is its address."""
        fields = {"subaccount": read_subaccount(subaccount)}
        result: dict[str, Any] = await self.write(
            "private/create_subaccount", CommandKind.CREATE_SUBACCOUNT, {"subaccount": subaccount}, fields
        )
        return result

    async def transfer(self, amount_usdc: Decimalish, destination: str) -> dict[str, Any]:
        """Send USDC to the address of another account of the same owner."""
        text = write_decimal(amount_usdc, "amount")
        params = {"amount": text, "currency": "USDC", "destination": destination}
        fields = {"amount_atoms": read_money(text)}
        subject = read_address(destination, "destination")
        method = "private/submit_transfer_between_subaccounts"
        result: dict[str, Any] = await self.write(
            method, CommandKind.TRANSFER, params, fields, subject=subject
        )
        return result

    # Block trades.

    def compose_block(
        self,
        counterparty: str,
        trades: PricedLegs,
        counterparty_nonce: int,
        expires_ns: int | None = None,
        nonce: int | None = None,
    ) -> dict[str, Any]:
        """Return a block trade that this account has signed: the parameters of private/execute_block_trade
        but for the counterparty's signature, which cosign_block adds.

        `trades` are (instrument_name, direction, amount, price) as this account trades them;
        `counterparty_nonce` is what the counterparty, or its key, wants to sign with (its `reserve_nonce`).
        """
        rows = write_priced_legs(trades)
        expiry = self.clock_ns() + EXPIRES_AFTER_NS if expires_ns is None else expires_ns
        commands = self.require_signer()
        command = self.make_block(
            commands.account,
            read_address(counterparty, "counterparty"),
            self.read_items(rows),
            (self.reserve_nonce() if nonce is None else nonce, counterparty_nonce, expiry),
        )
        signed = commands.complete(command, self.make_names())
        return signed | {
            "counterparty": counterparty,
            "counterparty_nonce": str(counterparty_nonce),
            "trades": rows,
        }

    def cosign_block(self, proposal: Mapping[str, Any]) -> dict[str, Any]:
        """Return a block trade that another account has composed with this account's signature added.

        What is signed is what the proposal's `trades` say, in which `direction` is the other account's.
        ValueError if the proposal is for another counterparty. Blocks want a key of their own: once the other
        side has sent one, the signer's next ordinary write is refused with nonce_replayed, and those after it
        are numbered higher.
        """
        commands = self.require_signer()
        if read_address(proposal["counterparty"]) != commands.account:
            raise ValueError(f"the block is for {proposal['counterparty']}")
        figures = tuple(int(proposal[name]) for name in ("nonce", "counterparty_nonce", "expires_ns"))
        items = self.read_items(proposal["trades"])
        command = self.make_block(read_address(proposal["account"]), commands.account, items, figures)
        signature = commands.sign_struct(command, self.make_names())
        parties = commands.name_parties()
        signer = {"counterparty_signer": parties["signer"]} if "signer" in parties else {}
        return {**proposal, "counterparty_signature": signature, **signer}

    async def execute_block(self, cosigned: Mapping[str, Any]) -> dict[str, Any]:
        """Trade a block that both sides have signed; either side, or anyone, may send it."""
        result: dict[str, Any] = await self.call("private/execute_block_trade", dict(cosigned))
        if read_address(cosigned["account"]) == self.require_signer().account:
            self.nonces.raise_to(int(cosigned["nonce"]))
        return result

    def reserve_nonce(self) -> int:
        """Return a nonce for a block, which other writes of the next ten minutes do not use up."""
        return self.nonces.reserve(RFQ_AHEAD_NS)

    def make_names(self) -> Names:
        """Return the names of instruments as they are signed."""
        numbered = self.number_names()
        return Names(lambda number: numbered[number], lambda number: "")

    def make_block(
        self, account: bytes, counterparty: bytes, items: Items, figures: Sequence[int]
    ) -> Command:
        """Return an unsigned BLOCK_TRADE; `figures` are nonce, counterparty's nonce and expiry."""
        nonce, counter_nonce, expires_ns = figures
        command = make_command(
            CommandKind.BLOCK_TRADE,
            0,
            account,
            b"",
            nonce=nonce,
            counter_nonce=counter_nonce,
            expires_ns=expires_ns,
        )
        return command._replace(items=items, subject=counterparty)

    def read_items(self, trades: Sequence[Mapping[str, Any]]) -> Items:
        """Return the signed legs of a block; ValueError for what is off a grid."""
        try:
            return read_block_legs(msgspec.convert(list(trades), list[BlockLeg]), self.find_instrument)
        except (ApiError, msgspec.ValidationError) as error:
            raise ValueError(str(error)) from error

    # Requests for quotes.

    async def create_block_rfq(self, legs: Legs, label: str = "") -> dict[str, Any]:
        """Ask makers for prices of legs, given as (instrument_name, direction, amount). The venue turns the
        directions so that they do not tell which side is wanted.
        """
        params = {"legs": write_legs(legs), "nonce": str(self.reserve_nonce()), "label": label}
        result: dict[str, Any] = await self.call("private/create_block_rfq", params)
        return result

    async def quote_block_rfq(
        self,
        rfq: Mapping[str, Any],
        direction: str,
        prices: Mapping[str, Decimalish],
        valid_for_s: int = 30,
        label: str = "",
    ) -> dict[str, Any]:
        """Answer a request with a firm quote: buy or sell its package at a price for each leg.

        The signature is over the whole block trade, so give a key of its own to quotes: whatever the same key
        signs later, with a higher nonce, takes an older quote back.
        """
        commands = self.require_signer()
        rows = [
            {"instrument_name": name, "price": write_decimal(price, "price")}
            for name, price in prices.items()
        ]
        package = self.read_request(rfq)
        async with self.sending:
            nonce, expires_ns = self.nonces.take(), self.clock_ns() + valid_for_s * NS_PER_S
            items = self.price(package, rows, Side(1 - read_direction(direction)))
            figures = (int(rfq["nonce"]), nonce, expires_ns)
            command = self.make_block(read_address(rfq["taker"]), commands.account, items, figures)
            params = commands.name_parties() | {
                "block_rfq_id": rfq["block_rfq_id"],
                "direction": direction,
                "legs": rows,
                "label": label,
                "nonce": str(nonce),
                "expires_ns": str(expires_ns),
                "signature": commands.sign_struct(command, self.make_names()),
            }
            future = await self.send("private/add_block_rfq_quote", params)
        result: dict[str, Any] = await self.wait("private/add_block_rfq_quote", future)
        return result

    async def accept_block_rfq(self, rfq: Mapping[str, Any], quote: Mapping[str, Any]) -> dict[str, Any]:
        """Trade at a maker's quote, all legs or none, and return {block_trades, receipt}.

        `rfq` is what create_block_rfq has returned, `quote` one of its bids or asks.
        """
        commands = self.require_signer()
        side = Side(1 - read_direction(quote["direction"]))
        items = self.price(self.read_request(rfq), quote["legs"], side)
        figures = (int(rfq["nonce"]), int(quote["counterparty_nonce"]), int(quote["expires_ns"]))
        command = self.make_block(commands.account, read_address(quote["maker"]), items, figures)
        params = commands.complete(command, self.make_names()) | {
            "block_rfq_id": rfq["block_rfq_id"],
            "block_rfq_quote_id": quote["block_rfq_quote_id"],
            "direction": "buy" if side == Side.BUY else "sell",
        }
        # Whatever comes of it, the law has seen this nonce, and later ones must be greater.
        self.nonces.raise_to(figures[0])
        result: dict[str, Any] = await self.call("private/accept_block_rfq", params)
        return result

    async def cancel_block_rfq(self, block_rfq_id: int) -> dict[str, Any]:
        """End a request of one's own."""
        result: dict[str, Any] = await self.call("private/cancel_block_rfq", {"block_rfq_id": block_rfq_id})
        return result

    async def cancel_block_rfq_quote(self, block_rfq_quote_id: int) -> dict[str, Any]:
        """Take a quote back."""
        params = {"block_rfq_quote_id": block_rfq_quote_id}
        result: dict[str, Any] = await self.call("private/cancel_block_rfq_quote", params)
        return result

    def read_request(self, rfq: Mapping[str, Any]) -> tuple[PackageLeg, ...]:
        """Return the package of a request as the venue has shown it."""
        names = ("instrument_name", "direction", "amount")
        legs = msgspec.convert([{name: leg[name] for name in names} for leg in rfq["legs"]], list[RfqLeg])
        try:
            return read_package(legs, self.find_instrument)
        except ApiError as error:
            raise ValueError(str(error)) from error

    def price(self, package: Sequence[PackageLeg], rows: Iterable[Mapping[str, Any]], side: Side) -> Items:
        """Return the signed legs of a package at given prices, for a taker on a side."""
        prices = [RfqPrice(row["instrument_name"], row["price"]) for row in rows]
        try:
            return price_package(package, prices, side)
        except ApiError as error:
            raise ValueError(str(error)) from error

    # Combos.

    async def create_combo(self, legs: Legs) -> dict[str, Any]:
        """Return the combo of legs, given as (instrument_name, direction, amount), and learn to trade it. If
        the first leg of its own list is sold, the combo is the other way round: its legs say.
        """
        result: dict[str, Any] = await self.call("private/create_combo", {"trades": write_legs(legs)})
        await self.load_instruments()
        return result
