"""Who holds what by the published events alone: every trade, leg, assignment and expiry, and nothing else."""

from collections import Counter

from novate.execution.engine import Events
from novate.protocol.generated.codes import EventKind, InstrumentKind, Side
from novate.verification.replay import Replayer

NAMES = ("kind", "account", "maker_account", "instrument", "side", "lots")
TRADES = (EventKind.FILL, EventKind.LEG)
TAKEN_OVER = (EventKind.ASSIGNED, EventKind.DELEVERAGED)


class Tape:
    """Lots by (account, instrument). The replayer is asked only which instruments are combos."""

    def __init__(self, replayer: Replayer) -> None:
        self.replayer = replayer
        self.lots: Counter[tuple[int, int]] = Counter()

    def follow(self, events: Events) -> None:
        """Follow the events of one command."""
        for kind, account, maker, instrument, side, lots in zip(
            *(events[name].tolist() for name in NAMES), strict=True
        ):
            if kind in TRADES and self.replayer.state.instruments[instrument].kind != InstrumentKind.COMBO:
                self.move(maker, account, instrument, lots if side == Side.BUY else -lots)
            elif kind in TAKEN_OVER:
                self.move(account, maker, instrument, lots)
            elif kind == EventKind.SETTLED:
                self.lots[account, instrument] -= lots

    def move(self, giver: int, taker: int, instrument: int, lots: int) -> None:
        """Lots change hands."""
        self.lots[giver, instrument] -= lots
        self.lots[taker, instrument] += lots

    def list_lots(self, account: int) -> dict[int, int]:
        """What one account holds, by instrument."""
        return {
            instrument: lots
            for (who, instrument), lots in sorted(self.lots.items())
            if who == account and lots
        }
