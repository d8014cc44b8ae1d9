"""Bugs of session keys, sub-accounts, transfers, blocks and combos for the comparison of engine and model to
catch, as in planted_bugs.
"""

from tests.model.planted_bugs import plant

# fmt: off
DESK_BUGS = (
    plant("a key uses the account's nonce", "execution/authentication", "desk 3 75",
          'if nonce <= key["nonce"]:',
          'if nonce <= w.accounts[number]["nonce"]:'),
    plant("who may trade may cancel", "execution/authentication", "desk 1 201",
          "        return CANCEL\n",
          "        return CANCEL | TRADE\n"),
    plant("triggers are beyond a key", "execution/authentication", "desk 6 124",
          " or kind == CommandKind.PLACE_TRIGGER:",
          ":"),
    plant("what is too much is counted too", "execution/authentication", "desk 3 200",
          "        return Code.KEY_RATE\n",
         ('        key["window_count"] += 1\n'
          "        return Code.KEY_RATE\n")),
    plant("what is too much gives its nonce back", "execution/authentication", "desk 3 200",
         ('    key["nonce"] = nonce\n'
          '    w.accounts[number]["dirty"] = 1\n'
          '    return count_command(key, command["time_ns"])\n'),
         ('    code = count_command(key, command["time_ns"])\n'
          "    if code == Code.OK:\n"
          '        key["nonce"] = nonce\n'
          "    return code\n")),
    plant("the retired nonce is forgotten", "execution/keys", "desk 6 106",
          'key["nonce"] = w.accounts[account]["retired_nonce"]',
          'key["nonce"] = 0'),
    plant("the last key retired decides", "execution/keys", "desk 1 649",
          'max(account["retired_nonce"], key["nonce"])',
          'key["nonce"]'),
    plant("new figures renew the nonce", "execution/keys", "desk 6 200",
          "    if not known:\n        open_key",
          "    if True:\n        open_key"),
    plant("a limit must not be met", "protocol/key_limits", "desk 1 127",
          "<= limit_atoms\n",
          "< limit_atoms\n"),
    plant("a fall is measured upwards", "protocol/key_limits", "desk 3 86",
          "held_atoms + down_atoms >= -limit_atoms",
          "held_atoms + up_atoms >= -limit_atoms"),
    plant("both directions are measured", "protocol/key_limits", "desk 4 184",
         ("    if change_atoms > 0:\n"
          "        return held_atoms + up_atoms <= limit_atoms\n"
          "    return "),
          "    return held_atoms + up_atoms <= limit_atoms and "),
    plant("delta leaves out what is open", "execution/key_limits", "desk 1 588",
          'portfolio["delta_up_atoms"] + lots * max(0, delta)',
          "lots * max(0, delta)"),
    plant("quotes have no notional", "execution/key_limits", "desk 4 156",
          'gather_portfolio(w, account, underlying, False)',
          'w.portfolios[account, underlying]'),
    plant("quotes that stay are measured", "execution/quotes", "desk 5 436",
          'if command["key"] > 0 and placed > 0:',
          'if command["key"] > 0:'),
    plant("a block's key is not measured", "execution/blocks", "desk 3 84",
          "    if key > 0:\n",
          "    if False:\n"),
    plant("a refused block stays", "execution/blocks", "desk 3 100",
          "        unfill_legs(w, command, items)\n",
          ""),
    plant("the counterparty's margin is not looked at", "execution/blocks", "desk 3 89",
          'code = judge_party(w, command, items, counter, command["counter_key"], -1)',
          "code = Code.OK"),
    plant("the counterparty's nonce is not used up", "execution/blocks", "desk 3 75",
         ("        code = verify_party(w, command, counter, "
          'command["counter_key"], command["counter_nonce"])\n'),
         ('        kept = w.accounts[counter]["nonce"]\n'
          "        code = verify_party(w, command, counter, "
          'command["counter_key"], command["counter_nonce"])\n'
          '        w.accounts[counter]["nonce"] = kept\n')),
    plant("the offset of a combo's price is forgotten", "protocol/combos", "desk 3 86",
          "return (price_ticks - tick_offset) * tick_atoms",
          "return price_ticks * tick_atoms"),
    plant("all legs are traded one way", "execution/order_positions", "desk 3 98",
          "return side if ratio > 0 else 1 - side",
          "return side"),
    plant("a combo's difference is paid by the seller", "execution/order_positions", "desk 3 100",
         ("    pay_cash(w, other, direction * lots * difference - maker_fee)\n"
          "    pay_cash(w, taker, -direction * lots * difference - taker_fee)\n"),
         ("    pay_cash(w, other, -direction * lots * difference - maker_fee)\n"
          "    pay_cash(w, taker, direction * lots * difference - taker_fee)\n")),
)
# fmt: on
