"""A venue's settings and clock on disk: what must be the same after a restart."""

import time
from pathlib import Path
from typing import Any

import msgspec

from novate.settlement.files import replace_file

CONFIG_NAME = "venue.json"
LOCK_NAME = "lock"
# What an operator may put into a data directory, even before there is a venue.
LISTING_NAME = "listing.toml"
SLICES_NAME = "slices.toml"
STANDBY_NAME = "standby.toml"
SERVE_NAME = "serve.toml"
OPERATOR_NAMES = (LISTING_NAME, SLICES_NAME, STANDBY_NAME, SERVE_NAME)
NS_PER_S = 1_000_000_000


class VenueError(RuntimeError):
    """A data directory that cannot be created or opened; the message says what to do."""


class VenueSetup(msgspec.Struct, frozen=True, kw_only=True):
    """How to create a venue. `rate` is venue seconds per wall second; `base_time_ns` 0 means now.

    `underlyings`, `limits`, `parameters` and `fee_tiers` are those of the genesis file. [GENESIS-1]
    """

    underlyings: list[dict[str, Any]]
    limits: dict[str, int]
    parameters: dict[str, int]
    fee_tiers: list[dict[str, int]]
    base_time_ns: int = 0
    rate: float = 1.0
    chain_id: int = 31_337
    finality_delay_s: int = 2
    batch_interval_s: float = 2.0
    oracle_count: int = 3
    quorum: int = 2


class VenueConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What DIR/venue.json holds."""

    base_time_ns: int
    wall_time_ns: int
    rate: float
    chain_id: int
    batch_interval_s: float
    oracle_count: int

    def write(self, folder: Path) -> None:
        """Write the file as the last step of a creation."""
        replace_file(folder / CONFIG_NAME, msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def read_config(folder: Path) -> VenueConfig:
    """Return the configuration of a data directory; VenueError if there is none."""
    path = folder / CONFIG_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=VenueConfig)
    except FileNotFoundError as error:
        raise VenueError(f"{folder} holds no venue: {path.name} is missing") from error
    except msgspec.MsgspecError as error:
        raise VenueError(f"{path} cannot be read: {error}") from error


class VenueClock:
    """Venue time: a base plus elapsed wall time at a rate; the same after a restart."""

    def __init__(self, config: VenueConfig) -> None:
        self.config = config

    def time_ns(self) -> int:
        """Return the venue's time in ns UTC."""
        elapsed_ns = time.time_ns() - self.config.wall_time_ns
        return self.config.base_time_ns + int(elapsed_ns * self.config.rate)

    def time_s(self) -> int:
        """Return the venue's time in whole seconds, for the embedded chain's blocks."""
        return self.time_ns() // NS_PER_S
