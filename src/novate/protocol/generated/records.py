"""Generated from schema.toml by scripts/generate_schema.py; do not edit."""

import numpy as np

from novate.protocol.generated.codes import CommandKind

COMMAND = np.dtype(
    [
        ("kind", np.int64),
        ("sequence", np.int64),
        ("time_ns", np.int64),
        ("account", np.int64),
        ("nonce", np.int64),
        ("expires_ns", np.int64),
        ("instrument", np.int64),
        ("side", np.int64),
        ("time_in_force", np.int64),
        ("lots", np.int64),
        ("price_ticks", np.int64),
        ("order_id", np.int64),
        ("amount_atoms", np.int64),
        ("cursor", np.int64),
        ("underlying", np.int64),
        ("instrument_kind", np.int64),
        ("strike_atoms", np.int64),
        ("expiry_ns", np.int64),
        ("index_atoms", np.int64),
        ("confidence_e6", np.int64),
        ("forward_atoms", np.int64),
        ("svi_a_x48", np.int64),
        ("svi_b_x48", np.int64),
        ("svi_rho_x48", np.int64),
        ("svi_m_x48", np.int64),
        ("svi_sigma_x48", np.int64),
        ("observed_ns", np.int64),
        ("batch", np.int64),
        ("flags", np.int64),
        ("display_lots", np.int64),
        ("valid_until_ns", np.int64),
        ("label", np.int64),
        ("link", np.int64),
        ("group", np.int64),
        ("reference", np.int64),
        ("condition", np.int64),
        ("trigger_atoms", np.int64),
        ("trail_atoms", np.int64),
        ("parent_id", np.int64),
        ("timeout_ns", np.int64),
        ("cancel_on_disconnect", np.int64),
        ("target", np.int64),
        ("tier", np.int64),
        ("window_ns", np.int64),
        ("frozen_ns", np.int64),
        ("quantity_limit_lots", np.int64),
        ("delta_limit_atoms", np.int64),
        ("vega_limit_atoms", np.int64),
        ("first_item", np.int64),
        ("item_count", np.int64),
        ("key", np.int64),
        ("counter_account", np.int64),
        ("counter_key", np.int64),
        ("counter_nonce", np.int64),
        ("subject_account", np.int64),
        ("subject_key", np.int64),
        ("subject_words_0", np.int64),
        ("subject_words_1", np.int64),
        ("subject_words_2", np.int64),
        ("demand_e6", np.int64),
        ("slice_notional_atoms", np.int64),
        ("scope", np.int64),
        ("key_expires_ns", np.int64),
        ("max_notional_atoms", np.int64),
        ("max_delta_atoms", np.int64),
        ("max_vega_atoms", np.int64),
        ("rate_per_minute", np.int64),
        ("subaccount", np.int64),
    ]
)

EVENT = np.dtype(
    [
        ("sequence", np.int64),
        ("kind", np.int64),
        ("code", np.int64),
        ("account", np.int64),
        ("order_id", np.int64),
        ("instrument", np.int64),
        ("side", np.int64),
        ("price_ticks", np.int64),
        ("lots", np.int64),
        ("visible_lots", np.int64),
        ("maker_account", np.int64),
        ("maker_order_id", np.int64),
        ("amount_atoms", np.int64),
        ("maker_amount_atoms", np.int64),
        ("reason", np.int64),
    ]
)

ITEM = np.dtype(
    [
        ("instrument", np.int64),
        ("bid_ticks", np.int64),
        ("bid_lots", np.int64),
        ("ask_ticks", np.int64),
        ("ask_lots", np.int64),
        ("side", np.int64),
        ("lots", np.int64),
        ("price_ticks", np.int64),
        ("ratio", np.int64),
    ]
)

COMMAND_FIELDS: dict[CommandKind, tuple[str, ...]] = {
    CommandKind.DEPOSIT: ("cursor", "amount_atoms",),
    CommandKind.WITHDRAW: ("amount_atoms", "nonce", "expires_ns",),
    CommandKind.PLACE: ("instrument", "side", "time_in_force", "lots", "price_ticks", "flags", "display_lots", "valid_until_ns", "label", "link", "nonce", "expires_ns",),
    CommandKind.REPLACE: ("order_id", "lots", "price_ticks", "nonce", "expires_ns",),
    CommandKind.CANCEL: ("order_id", "nonce", "expires_ns",),
    CommandKind.CANCEL_ALL: ("instrument", "label", "group", "nonce", "expires_ns",),
    CommandKind.LIST_INSTRUMENT: ("underlying", "instrument_kind", "strike_atoms", "expiry_ns", "nonce", "expires_ns",),
    CommandKind.INDEX: ("underlying", "index_atoms", "confidence_e6", "observed_ns",),
    CommandKind.SURFACE: ("underlying", "expiry_ns", "forward_atoms", "svi_a_x48", "svi_b_x48", "svi_rho_x48", "svi_m_x48", "svi_sigma_x48", "observed_ns",),
    CommandKind.TICK: (),
    CommandKind.SEAL: ("batch",),
    CommandKind.PLACE_TRIGGER: ("instrument", "side", "time_in_force", "lots", "price_ticks", "flags", "display_lots", "valid_until_ns", "label", "link", "reference", "condition", "trigger_atoms", "trail_atoms", "parent_id", "nonce", "expires_ns",),
    CommandKind.PROTECT: ("timeout_ns", "cancel_on_disconnect", "nonce", "expires_ns",),
    CommandKind.DISCONNECT: ("target",),
    CommandKind.SET_MMP: ("group", "underlying", "window_ns", "frozen_ns", "quantity_limit_lots", "delta_limit_atoms", "vega_limit_atoms", "nonce", "expires_ns",),
    CommandKind.MASS_QUOTE: ("group", "nonce", "expires_ns",),
    CommandKind.SET_TIER: ("target", "tier", "nonce", "expires_ns",),
    CommandKind.BACKSTOP: ("demand_e6", "nonce", "expires_ns",),
    CommandKind.SET_SLICE: ("underlying", "slice_notional_atoms", "nonce", "expires_ns",),
    CommandKind.INSURE: ("amount_atoms", "nonce", "expires_ns",),
    CommandKind.AUTHORIZE_KEY: ("scope", "key_expires_ns", "max_notional_atoms", "max_delta_atoms", "max_vega_atoms", "rate_per_minute", "nonce", "expires_ns",),
    CommandKind.REVOKE_KEY: ("nonce", "expires_ns",),
    CommandKind.CREATE_SUBACCOUNT: ("subaccount", "nonce", "expires_ns",),
    CommandKind.TRANSFER: ("amount_atoms", "nonce", "expires_ns",),
    CommandKind.BLOCK_TRADE: ("nonce", "counter_nonce", "expires_ns",),
    CommandKind.LIST_COMBO: ("nonce", "expires_ns",),
}

SIGNED_BY: dict[CommandKind, str] = {
    CommandKind.DEPOSIT: "",
    CommandKind.WITHDRAW: "account",
    CommandKind.PLACE: "account",
    CommandKind.REPLACE: "account",
    CommandKind.CANCEL: "account",
    CommandKind.CANCEL_ALL: "account",
    CommandKind.LIST_INSTRUMENT: "operator",
    CommandKind.INDEX: "oracle",
    CommandKind.SURFACE: "oracle",
    CommandKind.TICK: "",
    CommandKind.SEAL: "",
    CommandKind.PLACE_TRIGGER: "account",
    CommandKind.PROTECT: "account",
    CommandKind.DISCONNECT: "",
    CommandKind.SET_MMP: "account",
    CommandKind.MASS_QUOTE: "account",
    CommandKind.SET_TIER: "operator",
    CommandKind.BACKSTOP: "account",
    CommandKind.SET_SLICE: "operator",
    CommandKind.INSURE: "account",
    CommandKind.AUTHORIZE_KEY: "account",
    CommandKind.REVOKE_KEY: "account",
    CommandKind.CREATE_SUBACCOUNT: "account",
    CommandKind.TRANSFER: "account",
    CommandKind.BLOCK_TRADE: "account",
    CommandKind.LIST_COMBO: "operator",
}

HAS_SUBJECT: frozenset[CommandKind] = frozenset({CommandKind.AUTHORIZE_KEY, CommandKind.REVOKE_KEY, CommandKind.TRANSFER, CommandKind.BLOCK_TRADE})
COSIGNED: frozenset[CommandKind] = frozenset({CommandKind.BLOCK_TRADE})

STRUCT_TYPE: dict[CommandKind, str] = {
    CommandKind.WITHDRAW: "Withdraw(address account,uint64 amountAtoms,uint64 nonce,uint64 expiresNs)",
    CommandKind.PLACE: "Place(address account,string instrument,string side,string timeInForce,uint64 sizeLots,uint64 limitPriceTicks,string options,uint64 displayLots,uint64 validUntilNs,uint64 label,uint64 link,uint64 nonce,uint64 expiresNs)",
    CommandKind.REPLACE: "Replace(address account,uint64 orderId,uint64 sizeLots,uint64 limitPriceTicks,uint64 nonce,uint64 expiresNs)",
    CommandKind.CANCEL: "Cancel(address account,uint64 orderId,uint64 nonce,uint64 expiresNs)",
    CommandKind.CANCEL_ALL: "CancelAll(address account,string instrument,uint64 label,uint64 group,uint64 nonce,uint64 expiresNs)",
    CommandKind.LIST_INSTRUMENT: "ListInstrument(string instrument,uint64 nonce,uint64 expiresNs)",
    CommandKind.INDEX: "IndexPrice(string underlying,uint64 indexAtoms,uint64 confidenceE6,uint64 observedNs)",
    CommandKind.SURFACE: "Surface(string underlying,uint64 expiryNs,uint64 forwardAtoms,int64 aX48,int64 bX48,int64 rhoX48,int64 mX48,int64 sigmaX48,uint64 observedNs)",
    CommandKind.PLACE_TRIGGER: "PlaceTrigger(address account,string instrument,string side,string timeInForce,uint64 sizeLots,uint64 limitPriceTicks,string options,uint64 displayLots,uint64 validUntilNs,uint64 label,uint64 link,string reference,string condition,uint64 triggerAtoms,uint64 trailAtoms,uint64 parentId,uint64 nonce,uint64 expiresNs)",
    CommandKind.PROTECT: "Protect(address account,uint64 timeoutNs,bool cancelOnDisconnect,uint64 nonce,uint64 expiresNs)",
    CommandKind.SET_MMP: "SetMmp(address account,uint64 group,string underlying,uint64 windowNs,uint64 frozenNs,uint64 quantityLimitLots,uint64 deltaLimitAtoms,uint64 vegaLimitAtoms,uint64 nonce,uint64 expiresNs)",
    CommandKind.MASS_QUOTE: "MassQuote(address account,uint64 group,Quote[] quotes,uint64 nonce,uint64 expiresNs)",
    CommandKind.SET_TIER: "SetTier(uint64 accountNumber,uint64 tier,uint64 nonce,uint64 expiresNs)",
    CommandKind.BACKSTOP: "Backstop(address account,int64 demandE6,uint64 nonce,uint64 expiresNs)",
    CommandKind.SET_SLICE: "SetSlice(string underlying,uint64 sliceNotionalAtoms,uint64 nonce,uint64 expiresNs)",
    CommandKind.INSURE: "Insure(address account,uint64 amountAtoms,uint64 nonce,uint64 expiresNs)",
    CommandKind.AUTHORIZE_KEY: "AuthorizeKey(address account,address key,uint64 scope,uint64 keyExpiresNs,uint64 maxNotionalAtoms,uint64 maxDeltaAtoms,uint64 maxVegaAtoms,uint64 ratePerMinute,uint64 nonce,uint64 expiresNs)",
    CommandKind.REVOKE_KEY: "RevokeKey(address account,address key,uint64 nonce,uint64 expiresNs)",
    CommandKind.CREATE_SUBACCOUNT: "CreateSubaccount(address account,uint64 subaccount,uint64 nonce,uint64 expiresNs)",
    CommandKind.TRANSFER: "Transfer(address account,address receiver,uint64 amountAtoms,uint64 nonce,uint64 expiresNs)",
    CommandKind.BLOCK_TRADE: "BlockTrade(address account,address counterparty,Leg[] legs,uint64 nonce,uint64 counterNonce,uint64 expiresNs)",
    CommandKind.LIST_COMBO: "ListCombo(string instrument,uint64 nonce,uint64 expiresNs)",
}

ITEM_FIELDS: dict[CommandKind, tuple[str, ...]] = {
    CommandKind.MASS_QUOTE: ("instrument", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots",),
    CommandKind.BLOCK_TRADE: ("instrument", "side", "lots", "price_ticks",),
    CommandKind.LIST_COMBO: ("instrument", "ratio",),
}

ITEMS_MAX: dict[CommandKind, int] = {
    CommandKind.MASS_QUOTE: 128,
    CommandKind.BLOCK_TRADE: 16,
    CommandKind.LIST_COMBO: 4,
}

ITEM_STRUCT_TYPE: dict[CommandKind, str] = {
    CommandKind.MASS_QUOTE: "Quote(string instrument,uint64 bidTicks,uint64 bidLots,uint64 askTicks,uint64 askLots)",
    CommandKind.BLOCK_TRADE: "Leg(string instrument,string side,uint64 sizeLots,uint64 priceTicks)",
}

OPTIONAL_FIELDS = ("flags", "display_lots", "valid_until_ns", "label", "link", "group", "trigger_atoms", "trail_atoms", "parent_id",)
