"""What a posting transaction may pay: the market's price, a cap above it, the steps of a replacement.

A price above the cap is never paid. The batch waits, an alarm says so, and it goes on when the market falls.
Implements [SETTLE-30].
"""

from typing import NamedTuple

import msgspec

GWEI = 1_000_000_000
# Nodes replace a waiting transaction only for a tenth more of everything, and one with blobs for double.
BUMP_DIVISOR = 8


class PostingHeld(RuntimeError):
    """Posting waits, and somebody should know. It is tried again; nothing was lost."""


class Fees(NamedTuple):
    """Wei per gas: the priority fee, the maximum fee, and the maximum per blob gas (0 without blobs)."""

    tip_wei: int
    fee_wei: int
    blob_fee_wei: int


class FeePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How posting pays. Caps are wei per gas and per blob gas; `stuck_blocks` pass before a price is raised.

    `window` transactions wait at once. The limit of gas is fixed, because a batch behind another cannot be
    estimated.
    """

    tip_wei: int = GWEI
    fee_cap_wei: int = 150 * GWEI
    blob_fee_cap_wei: int = 150 * GWEI
    stuck_blocks: int = 3
    window: int = 8
    gas_limit: int = 400_000
    # The floor of EIP-7623 for a byte that is not zero.
    gas_per_tail_byte: int = 40

    def price(self, base_fee_wei: int, blob_base_fee_wei: int, has_blobs: bool) -> Fees:
        """Return the fees at the market: room for the base fee to double, within the cap.

        Errors     PostingHeld if even the next block would cost more than the cap.
        """
        tip = self.tip_wei if base_fee_wei else 0
        if base_fee_wei + tip > self.fee_cap_wei:
            raise PostingHeld(
                f"gas costs {base_fee_wei + tip} wei, more than the cap of {self.fee_cap_wei}; posting waits"
            )
        if has_blobs and blob_base_fee_wei > self.blob_fee_cap_wei:
            raise PostingHeld(
                f"blob gas costs {blob_base_fee_wei} wei, more than the cap of {self.blob_fee_cap_wei};"
                " posting waits"
            )
        blob_fee = min(2 * blob_base_fee_wei, self.blob_fee_cap_wei) if has_blobs else 0
        return Fees(tip, min(2 * base_fee_wei + tip, self.fee_cap_wei), blob_fee)

    def replace(
        self, before: Fees, base_fee_wei: int, blob_base_fee_wei: int, has_blobs: bool
    ) -> Fees | None:
        """Return the fees with which a node lets a transaction take the place of one that paid `before`.

        They are at least those of the market. None if they would pass a cap.
        """
        market = self.price(base_fee_wei, blob_base_fee_wei, has_blobs)
        doubled = has_blobs or before.blob_fee_wei > 0
        tip, fee, blob_fee = (
            max(now, 2 * old if doubled else old + old // BUMP_DIVISOR + 1)
            for old, now in zip(before, market, strict=True)
        )
        if not (has_blobs or before.blob_fee_wei):
            blob_fee = 0
        if fee > self.fee_cap_wei or blob_fee > self.blob_fee_cap_wei:
            return None
        return Fees(min(tip, fee), fee, blob_fee)
