"""How the random venue's commands go wrong: one field out of its range, a foreign signer, an old nonce."""

from __future__ import annotations

from .keys import ZERO_ADDRESS
from .records import E6, LIMITS
from .world import DAY, INT64_MAX, INT64_MIN, SECOND, STRANGER, Command, World

EXTREMES = (-1, INT64_MAX, INT64_MIN)
MS, HOUR = SECOND // 1000, 3600 * SECOND


def spoiled(world: World, command: Command, percent: float) -> Command:
    """The command, or in `percent` of cases one whose authentication or time is wrong."""
    if not world.chance(percent):
        return command
    rng = world.rng
    kind = rng.randrange(6)
    if world.chance(40):
        _misname(world, command)
        return command
    if kind == 0:
        command["signer"] = STRANGER
    elif kind == 1:
        command["expires_ns"] = rng.choice((world.now, world.now - 1, 0, INT64_MIN))
    elif kind == 2:
        command["nonce"] = rng.choice((command["nonce"] - 1, 0, -1, INT64_MIN))
    elif kind == 3:
        command["time_ns"] = rng.choice((world.now - 1, 0, INT64_MIN)) if world.sequence else world.now
    elif kind == 4:
        command["expires_ns"] = world.now + 1
    else:
        command["nonce"] += rng.randrange(5)
    return command


def _misname(world: World, command: Command) -> None:
    """Somebody else's address wherever the command has one, or another nonce of the counterparty."""
    rng, accounts = world.rng, world.model.accounts
    names = [name for name in ("account", "subject", "cosigner", "counter_nonce") if name in command]
    if not names:
        command["signer"] = STRANGER
        return
    name = rng.choice(names)
    if name == "counter_nonce":
        command[name] = rng.choice((command[name] - 1, 0, -1, INT64_MIN))
        return
    known = [account.address for account in accounts]
    keys = [key.address for account in accounts for key in account.keys.values()]
    command[name] = rng.choice((STRANGER, ZERO_ADDRESS, command["signer"], *known[:4], *keys[:4]))


def wrong_values(world: World, command: Command) -> dict[str, tuple[int, ...]]:
    """For each field that a trader or the operator chooses: values at and beyond the ends of its range."""
    rng, model, now = world.rng, world.model, world.now
    count, next_id = len(model.instruments), model.house.next_order_id
    lots, far = command.get("lots", 1), 1 << 40
    return {
        "lots": (0, *EXTREMES, LIMITS["ORDER_LOTS_MAX"] + 1, LIMITS["ORDER_LOTS_MAX"]),
        "price_ticks": (
            0,
            *EXTREMES,
            LIMITS["PRICE_TICKS_MAX"] + 1,
            LIMITS["PRICE_TICKS_MAX"],
            50_001,
            50_000,
        ),
        "instrument": (*EXTREMES, count, count, rng.randrange(max(1, count))),
        "side": (2, *EXTREMES),
        "time_in_force": (4, *EXTREMES, rng.randrange(4)),
        "flags": (32, *EXTREMES, 12, 1, 17, 16, 3, 31),
        "display_lots": (*EXTREMES, lots, max(1, lots - 1), lots // 10, -(-lots // 10)),
        "valid_until_ns": (*EXTREMES, now, now - 1, now + 1, 1),
        "label": EXTREMES,
        "link": EXTREMES,
        "group": (0, 5, *EXTREMES, rng.randrange(1, 5)),
        "reference": (4, *EXTREMES, 0, rng.randrange(4)),
        "condition": (2, *EXTREMES),
        "trigger_atoms": (0, *EXTREMES, far, far - 1, 1),
        "trail_atoms": (0, *EXTREMES, far, far - 1, 1),
        "parent_id": (0, *EXTREMES, next_id, rng.randrange(1, next_id + 1)),
        "order_id": (0, *EXTREMES, next_id, rng.randrange(1, next_id + 1)),
        "timeout_ns": (*EXTREMES, 1, SECOND - 1, SECOND, DAY, DAY + 1),
        "cancel_on_disconnect": (2, *EXTREMES),
        "target": (*EXTREMES, len(model.accounts)),
        "tier": (*EXTREMES, 3, 2),
        "underlying": (2, *EXTREMES),
        "window_ns": (0, *EXTREMES, MS - 1, MS, HOUR, HOUR + 1),
        "frozen_ns": (*EXTREMES, 0, DAY, DAY + 1),
        "quantity_limit_lots": (0, *EXTREMES, LIMITS["GROSS_LOTS_MAX"], LIMITS["GROSS_LOTS_MAX"] + 1),
        "delta_limit_atoms": (*EXTREMES, 1, 1 << 60, (1 << 60) + 1),
        "vega_limit_atoms": (*EXTREMES, 1, 1 << 60, (1 << 60) + 1),
        "demand_e6": (-2, *EXTREMES, 0, E6, E6 + 1),
        "scope": (0, *EXTREMES, 31, 32, 1 << rng.randrange(5)),
        "key_expires_ns": (0, *EXTREMES, now, now + 1),
        "max_notional_atoms": (*EXTREMES, 1, 1 << 60, (1 << 60) + 1),
        "max_delta_atoms": (*EXTREMES, 1, 1 << 60, (1 << 60) + 1),
        "max_vega_atoms": (*EXTREMES, 1, 1 << 60, (1 << 60) + 1),
        "rate_per_minute": (*EXTREMES, 1, E6, E6 + 1),
        "subaccount": (0, *EXTREMES, (1 << 31) - 1, 1 << 31),
        "amount_atoms": (0, *EXTREMES, 1),
        "ratio": (0, *EXTREMES, LIMITS["COMBO_RATIO_MAX"], LIMITS["COMBO_RATIO_MAX"] + 1),
        "slice_notional_atoms": (0, *EXTREMES, 1, far - 1, far),
    }


def spoil_field(world: World, command: Command) -> Command:
    """Put one field of the command at or beyond an end of its range."""
    wrong = wrong_values(world, command)
    name = world.rng.choice([name for name in command if name in wrong])
    command[name] = world.rng.choice(wrong[name])
    return command


def spoil_item(world: World, kind: str, item: tuple[int, ...]) -> tuple[int, ...]:
    """One number of a quote or of a leg at or beyond an end of its range."""
    names = {
        "MASS_QUOTE": ("instrument", "price_ticks", "lots", "price_ticks", "lots"),
        "BLOCK_TRADE": ("instrument", "side", "lots", "price_ticks"),
        "LIST_COMBO": ("instrument", "ratio"),
    }
    place = world.rng.randrange(len(item))
    values = list(item)
    values[place] = world.rng.choice(wrong_values(world, {})[names[kind][place]])
    return tuple(values)
