"""Bugs for the comparison of engine and model to catch, and the random commands that reveal each: those of
orders and of the book, and those of time.

Each is what a careless hand might write, or a clause of the law read wrongly. `count` is the least that was
found among six seeds or more, so that all of them together take a few minutes of plain Python. The bugs of
risk and money are in planted_risk_bugs, those of liquidation in planted_liquidation_bugs.
"""

from typing import NamedTuple

from tests.model.mutant import Mutation


class Planted(NamedTuple):
    """A bug, and the random commands that reveal it."""

    name: str
    mutation: Mutation
    profile: str
    seed: int
    count: int


def plant(name: str, module: str, run: str, old: str, new: str) -> Planted:
    """Return a bug in a module of the engine or of the law; `run` is profile, seed and count."""
    profile, seed, count = run.split()
    return Planted(name, Mutation(f"{module}.py", old, new), profile, int(seed), int(count))


# fmt: off
ORDER_BUGS = (
    plant("maker fee skipped", "execution/matching", "crowd 2 64",
          "maker_fee *= lots",
          "maker_fee = 0"),
    plant("scenario rows not renewed", "execution/marking", "crowd 1 50",
          "floor, up, down, shift, row, basis_row",
          "floor, up, down, shift, row.copy(), basis_row"),
    plant("best price not renewed", "execution/order_book", "crowd 2 64",
          "if w.best[at] == ticks:",
          "if w.best[at] == ticks and book & 1:"),
    plant("last in, first out", "execution/matching", "crowd 5 95",
          'w.best[opposite])]["head"]',
          'w.best[opposite])]["tail"]'),
    plant("self-trade allowed", "execution/matching", "tiny 2 81",
          'if maker["account"] != account:',
          "if True:"),
    plant("post-only crosses", "execution/judging", "crowd 5 82",
          'if code == Code.OK and order["time_in_force"] == TimeInForce.POST_ONLY:',
          "if False:"),
    plant("touching prices do not cross", "execution/judging", "crowd 3 64",
          "price_ticks >= best if",
          "price_ticks > best if"),
    plant("a reduced order loses its place", "execution/replacing", "tiny 4 127",
          'return bool(same and order["lots"] <= old["lots"])',
          "return False"),
    plant("a refused order gives its nonce back", "execution/trading", "crowd 1 75",
         ("    if code != Code.OK:\n"
          "        emit_result(w, code, account, 0)\n"),
         ("    if code != Code.OK:\n"
          '        w.accounts[account]["nonce"] -= 1\n'
          "        emit_result(w, code, account, 0)\n")),
    plant("calendar not checked against the later series", "execution/market", "main 3 46",
          "if later != NONE and is_calendar_arbitrage(",
          "if False and is_calendar_arbitrage("),
    plant("expiry pays shorts short", "execution/ticking", "crash 3 396",
          '["cash_atoms"] += amount_atoms\n',
          '["cash_atoms"] += amount_atoms - (lots < 0)\n'),
    plant("gross limit off by one", "execution/judging", "crash 6 83",
          'portfolio["gross_lots"] + lots > GROSS_LOTS_MAX',
          'portfolio["gross_lots"] + lots >= GROSS_LOTS_MAX'),
    plant("a cancelled order still weighs", "execution/open_orders", "crowd 6 75",
          '    if order["lots"] > 0:\n',
          '    if order["lots"] > 0 and order["side"] == 0:\n'),
    plant("unrealised gains can be withdrawn", "execution/money", "main 2 196",
          " - max(0, compute_unrealised(w, account))",
          ""),
    plant("the other underlying's margin is free", "execution/ledger", "crowd 2 127",
          "return total + compute_initial_with_order(",
          "return compute_initial_with_order("),
    plant("stale marks trade", "execution/judging", "crash 1 186",
          "        return Code.MARK_STALE\n",
          "        return Code.OK\n"),
    plant("slots are a queue", "execution/open_orders", "crowd 3 75",
          'w.free_orders[house["free_order_count"]] = slot',
          'w.free_orders[house["free_order_count"]] = w.free_orders[0]; w.free_orders[0] = slot'),
    plant("the band has two sides", "execution/judging", "tiny 6 111",
          'loss_atoms = get_direction(order["side"]) * (limit_atoms - instrument["mark_atoms"])',
          'loss_atoms = abs(limit_atoms - instrument["mark_atoms"])'),
    plant("futures have the band of options", "execution/effective_price", "tiny 2 79",
          'parameters["futures_band_e6"] if is_linear(instrument["kind"]) else parameters["option_band_e6"]',
          'parameters["option_band_e6"]'),
    plant("prices found round for the order", "protocol/combos", "crowd 4 56",
          "if side == Side.BUY else div_ceil(",
          "if side == Side.SELL else div_ceil("),
    plant("volatility without its root of time", "execution/effective_price", "crowd 4 56",
          "mul_ratio_floor_e6(sqrt_x48(years_x48),",
          "mul_ratio_floor_e6(years_x48,"),
    plant("volatility orders repriced one by one", "execution/volatility_orders", "main 3 398",
         ("order_id), count, time_ns)\n"
          "        order_id = pop_due(w, start)\n"
          "    for place in range(count):\n"
          "        come_back(w, place, time_ns)"),
         ("order_id), 0, time_ns)\n"
          "        if count:\n"
          "            come_back(w, 0, time_ns)\n"
          "        order_id = pop_due(w, start)")),
    plant("fill-or-kill counts hidden lots beside an own order", "execution/judging", "tiny 4 197",
          "hidden_counts = hidden_counts or not has_open_order_in(",
          "hidden_counts = True or not has_open_order_in("),
    plant("fill-or-kill counts linked orders", "execution/judging", "crowd 3 77",
          'maker["flags"] & REDUCE_ONLY != 0 or maker["link"] != 0',
          'maker["flags"] & REDUCE_ONLY != 0'),
    plant("fill-or-kill reaches past an own order", "execution/judging", "main 5 457",
          'elif order["flags"] & CANCEL_MAKER == 0:',
          "elif False:"),
    plant("a reduce-only order is not cut", "execution/judging", "crowd 5 159",
          'order["lots"] = min(order["lots"], reducible)',
          "pass"),
    plant("a reduce-only maker opens a position", "execution/matching", "tiny 2 225",
          "lots = min(lots, compute_reducible_lots(w, maker))",
          "lots = lots if compute_reducible_lots(w, maker) > 0 else 0"),
    plant("the surplus rule is inverted", "execution/judging", "main 1 432",
          "compute_surplus_if_filled(w, order) >= equity",
          "compute_surplus_if_filled(w, order) < equity"),
    plant("both ends, and matching goes on", "execution/matching", "main 4 175",
          'self_trade = order["flags"] & CANCEL_MAKER == 0',
          'self_trade = order["flags"] & (CANCEL_MAKER | CANCEL_BOTH) == 0'),
    plant("an iceberg keeps its place", "execution/matching", "main 3 218",
         ("    unlink_order(w, slot)\n"
          '    order["visible_lots"] = compute_visible_lots(order["display_lots"], order["lots"])\n'
          '    order["priority"] = w.house[0]["sequence"]\n'
          "    append_order(w, slot)\n"),
         ('    order["visible_lots"] = compute_visible_lots(order["display_lots"], order["lots"])\n'
          '    order["priority"] = w.house[0]["sequence"]\n'
          '    at = find_level(w, order["instrument"] * 2 + order["side"], order["price_ticks"])\n'
          '    w.levels[at]["lots"] += order["visible_lots"]\n')),
    plant("a reduction takes visible lots first", "execution/replacing", "main 1 194",
          "reduce_level(w, slot, removed, max(0, removed - hidden))",
          'reduce_level(w, slot, removed, min(removed, order["visible_lots"]))'),
    plant("good till the tick after", "execution/timers", "crowd 6 100",
          'order["valid_until_ns"] > 0 and order["valid_until_ns"] <= time_ns',
          'order["valid_until_ns"] > 0 and order["valid_until_ns"] < time_ns'),
    plant("waiting orders are good till the tick after", "execution/timers", "main 3 398",
          'record["valid_until_ns"] > 0 and record["valid_until_ns"] <= time_ns',
          'record["valid_until_ns"] > 0 and record["valid_until_ns"] < time_ns'),
    plant("a dead man lives a tick longer", "execution/timers", "crowd 4 462",
          'account["dead_man_ns"] > 0 and account["dead_man_ns"] <= time_ns',
          'account["dead_man_ns"] > 0 and account["dead_man_ns"] < time_ns'),
    plant("a window includes its end", "execution/protection", "main 6 350",
          'time_ns >= started + group["window_ns"]',
          'time_ns > started + group["window_ns"]'),
    plant("good till date before the dead man's switch", "execution/ticking", "crowd 4 462",
         ("    cancel_due_accounts(w, time_ns)\n"
          "    cancel_expired_orders(w, time_ns)\n"),
         ("    cancel_expired_orders(w, time_ns)\n"
          "    cancel_due_accounts(w, time_ns)\n")),
    plant("a dead man's waiting orders live on", "execution/open_orders", "crowd 4 462",
         ("    if group == 0:\n"
          "        end_waiting_of"),
         ("    if group == 0 and reason != CancelReason.DEAD_MAN:\n"
          "        end_waiting_of")),
    plant("a dead man dies once more", "execution/timers", "crowd 4 500",
          '            account["dead_man_ns"] = 0\n',
          ""),
    plant("a disconnect needs no wish", "execution/timers", "main 6 113",
          "code = Code.DISCONNECT_NOT_ENABLED",
          "code = Code.OK"),
    plant("cancel-all hears no label", "execution/open_orders", "tiny 4 134",
          'if wanted and (label == 0 or order["label"] == label)',
          "if wanted"),
    plant("a maker's link ends nothing", "execution/matching", "crowd 1 189",
          "    if link != 0:\n",
          "    if False:\n"),
    plant("a link ends the filled order too", "execution/open_orders", "tiny 1 160",
          ' and order["order_id"] != except_id',
          ""),
    plant("a link ends only what is complete", "execution/matching", "tiny 1 160",
          "    if link != 0:\n",
          "    if link != 0 and completes:\n"),
    plant("a fired order ends no others", "execution/triggers", "tiny 4 172",
          '    if order["link"] != 0 and record["reference"] != TriggerReference.NONE:\n',
          "    if False:\n"),
    plant("children outlive a cancelled parent", "execution/open_orders", "tiny 5 172",
          "    end_children(w, account, order_id)\n",
         ("    if reason != CancelReason.USER:\n"
          "        end_children(w, account, order_id)\n")),
    plant("children fire when their parent is cancelled", "execution/open_orders", "tiny 4 172",
          "    end_children(w, account, order_id)\n",
         ("    from novate.execution.waiting import arm_children\n"
          "\n"
          "    arm_children(w, account, order_id)\n")),
    plant("children fire at the first partial fill", "execution/matching", "main 4 125",
          'get_direction(maker["side"]), maker["lots"] == lots',
          'get_direction(maker["side"]), True'),
    plant("a trail runs after the price", "execution/triggers", "crowd 4 171",
          "min(extreme, price_atoms) if above else max(extreme, price_atoms)",
          "max(extreme, price_atoms) if above else min(extreme, price_atoms)"),
    plant("a trigger above is strict", "execution/triggers", "crowd 3 484",
          "price_atoms >= threshold",
          "price_atoms > threshold"),
    plant("a trigger below is strict", "execution/triggers", "main 4 289",
          "price_atoms <= threshold",
          "price_atoms < threshold"),
    plant("the youngest ready order fires first", "execution/triggers", "crowd 2 138",
         ('        order_id = pop_id(w.ready, 0, house["ready_count"])\n'
          '        house["ready_count"] -= 1\n'),
         ('        house["ready_count"] -= 1\n'
          '        order_id = w.ready[house["ready_count"]]\n')),
    plant("triggers look at stale marks", "execution/triggers", "crash 1 259",
          '    if is_stale(market["index_atoms"], market["index_time_ns"], time_ns, w.parameters[0]):\n',
          "    if False:\n"),
    plant("waiting orders survive expiry", "execution/ticking", "crash 4 453",
          "    end_waiting_in(w, number, CancelReason.INSTRUMENT_EXPIRED)\n",
          ""),
)
# fmt: on
