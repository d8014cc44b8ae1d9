"""Bugs of session keys for the comparison of engine and model to catch, as in planted_bugs."""

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
)
# fmt: on
