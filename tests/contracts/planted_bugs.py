"""Planted bugs of the contracts of custody, each with the attack that it lets succeed, and the catalogue."""

from collections.abc import Callable

from tests.contracts import attacks_quorum as quorum
from tests.contracts import attacks_settlement as settlement
from tests.contracts import attacks_vault as vault
from tests.contracts.harness import Mutation

Attack = Callable[[Mutation | None], None]


def drop(contract: str, line: str) -> Mutation:
    """Leave one check out."""
    return contract, line, "assert True"


VAULT: dict[str, tuple[Mutation, Attack]] = {
    "no nullifier is written": (
        ("Vault", "self.claimedWords[batchNumber][place >> 8] = word + bit", "assert True"),
        vault.attack_by_claiming_twice,
    ),
    "the nullifier is not read": (
        ("Vault", 'assert word & bit == 0, "already claimed"', "assert True"),
        vault.attack_by_claiming_twice,
    ),
    "one bit serves a whole word": (
        ("Vault", "bit: uint256 = 1 << (place & 255)", "bit: uint256 = 1"),
        vault.attack_by_claiming_neighbours,
    ),
    "finality is not asked": (
        drop("Vault", 'assert final, "batch is not final"'),
        vault.attack_by_claiming_early,
    ),
    "the proof is not compared": (
        drop("Vault", 'assert node == root, "proof does not match"'),
        vault.attack_by_forged_proof,
    ),
    "the leaf does not name the asset": (
        (
            "Vault",
            "abi_encode(batchNumber, index, asset, account, amount)",
            "abi_encode(batchNumber, index, convert(1, uint8), account, amount)",
        ),
        vault.attack_by_another_asset,
    ),
    "an empty batch proves anything": (
        (
            "Vault",
            'assert root != empty(bytes32), "batch has no withdrawals"',
            "if root == empty(bytes32):\n        self._pay(token, account, amount)\n        return",
        ),
        vault.attack_by_empty_root,
    ),
    "a reservation is not used up": (
        ("Vault", "self.payableAt[leaf] = 0\n    self.reservedAtoms[asset] -= amount", "assert True"),
        vault.attack_by_releasing_twice,
    ),
    "a reservation does not wait": (
        drop("Vault", 'assert block.timestamp >= payable_at, "too early"'),
        vault.attack_by_releasing_early,
    ),
    "the limit forgets what left": (
        ("Vault", "self.clearAt[asset] = end", "assert True"),
        vault.attack_by_draining_in_a_day,
    ),
    "the limit has no bound": (
        ("Vault", "end = min(end, block.timestamp + WAIT_S_MAX)", "assert True"),
        vault.attack_by_waiting_for_ever,
    ),
    "a pause may follow a pause": (
        drop("Vault", 'assert block.timestamp >= self.pausedAt + PAUSE_INTERVAL_S, "paused too recently"'),
        vault.attack_by_pausing_for_ever,
    ),
    "a pause does not end": (
        ("Vault", "self.pausedUntil = block.timestamp + PAUSE_S", "self.pausedUntil = max_value(uint256)"),
        vault.attack_by_pausing_for_ever,
    ),
    "anyone is the guardian": (
        (
            "Vault",
            'assert msg.sender == guardian, "only the guardian"\n    assert block',
            "assert block",
        ),
        vault.attack_by_pausing_as_a_stranger,
    ),
    "anyone is the escape": (
        drop("Vault", 'assert msg.sender == escape, "only the escape"'),
        vault.attack_by_posing_as_escape,
    ),
    "the escape pays while the venue lives": (
        drop("Vault", 'assert frozen_at > 0, "not frozen"'),
        vault.attack_by_escaping_before_the_freeze,
    ),
    "deposits go on after the freeze": (
        drop("Vault", 'assert frozen_at == 0, "frozen"'),
        vault.attack_by_depositing_after_the_freeze,
    ),
    "the asked amount is credited": (
        ("Vault", "received: uint256 = balance_after - balance_before", "received: uint256 = 1000"),
        vault.attack_by_token_fee,
    ),
    "a false transfer counts as paid": (
        (
            "Vault",
            'transfer(account, amount, default_return_value=True)\n    assert success, "transfer refused"',
            "transfer(account, amount, default_return_value=True)\n    assert True",
        ),
        vault.attack_by_false_transfer,
    ),
    "what left is not measured": (
        drop("Vault", 'assert balance_before == balance_after + amount, "wrong amount left"'),
        vault.attack_by_moving_twice,
    ),
    "a permit that fails refuses the deposit": (
        ("Vault", "success: bool = raw_call(token, data, revert_on_failure=False)", "raw_call(token, data)"),
        vault.attack_by_spending_the_permit_first,
    ),
    "the payer is credited": (
        (
            "Vault",
            "self._deposit(asset, account, amount)\n\n\n@external\ndef depositWithPermit",
            "self._deposit(asset, msg.sender, amount)\n\n\n@external\ndef depositWithPermit",
        ),
        vault.attack_by_stealing_credit,
    ),
    "the lock is off": (("Vault", "#pragma nonreentrancy on", ""), vault.attack_by_entering_twice),
    "anyone empties a box": (
        drop("DepositBox", 'assert msg.sender == boxes, "only the boxes"'),
        vault.attack_by_emptying_a_box,
    ),
    "all share one box": (
        (
            "DepositBoxes",
            "salt: bytes32 = keccak256(abi_encode(account))",
            "salt: bytes32 = keccak256(abi_encode(vault))",
        ),
        vault.attack_by_recovering_of_another,
    ),
}
SETTLEMENT: dict[str, tuple[Mutation, Attack]] = {
    "anyone enters deposits": (
        drop("Inbox", 'assert msg.sender == vault, "only the vault"'),
        settlement.attack_by_entering_forged_entries,
    ),
    "everything posted is final": (
        (
            "Settlement",
            "self._read(self.records[number], 0), uint256) + finalityDelay",
            "self._read(self.records[number], 0), uint256)",
        ),
        vault.attack_by_claiming_early,
    ),
    "history may fork": (
        drop(
            "Settlement", 'assert header.previousStateRoot == self.stateRoot, "previous state root differs"'
        ),
        settlement.attack_by_forking_history,
    ),
    "a number may come again": (
        drop("Settlement", 'assert header.number == self.batchCount + 1, "number must be the next"'),
        settlement.attack_by_replaying_a_batch,
    ),
    "zero is a root": (
        drop("Settlement", 'assert header.stateRoot != empty(bytes32), "state root must not be zero"'),
        settlement.attack_by_a_zero_root,
    ),
    "anyone is the operator": (
        drop("Settlement", 'assert msg.sender == operator, "only the operator"'),
        settlement.attack_by_a_false_operator,
    ),
    "deposits may be invented": (
        drop("Settlement", 'assert header.inboxCursor <= entry_count, "inbox cursor beyond the inbox"'),
        settlement.attack_by_inventing_deposits,
    ),
    "deposits may be forgotten": (
        drop("Settlement", 'assert header.inboxCursor >= self._read(last, 64), "inbox cursor went back"'),
        settlement.attack_by_forgetting_deposits,
    ),
    "sequences may be skipped": (
        (
            "Settlement",
            "header.firstSequence == self._read(last, 128) + 1",
            "header.firstSequence > self._read(last, 128)",
        ),
        settlement.attack_by_skipping_sequences,
    ),
    "time may go back": (
        drop("Settlement", 'assert header.timeNs >= self._read(last, 192), "time went back"'),
        settlement.attack_by_time_travel,
    ),
    "batches follow the freeze": (
        (
            "Settlement",
            'assert self.frozenAt == 0, "frozen"\n    if bond',
            "if bond",
        ),
        settlement.attack_by_posting_after_the_freeze,
    ),
    "finality follows the freeze": (
        ("Settlement", "if self.frozenAt > 0 or number > self.batchCount:", "if number > self.batchCount:"),
        settlement.attack_by_finality_after_the_freeze,
    ),
    "anyone freezes": (
        drop("Settlement", 'assert msg.sender == escape, "only the escape"'),
        settlement.attack_by_freezing_as_a_stranger,
    ),
    "any header opens a batch": (
        drop(
            "Settlement",
            'assert keccak256(abi_encode(header)) == self.headerHash[header.number], "header was not posted"',
        ),
        settlement.attack_by_a_foreign_header,
    ),
    "an upgrade waits for nothing": (
        ("Settlement", 'assert block.timestamp >= ready_at, "too early"', "assert True"),
        settlement.attack_by_upgrading_at_once,
    ),
    "an announcement never lapses": (
        drop("Settlement", 'assert block.timestamp < ready_at + ADOPTION_WINDOW_S, "announcement lapsed"'),
        settlement.attack_by_an_old_announcement,
    ),
    "anyone is the governor": (
        drop("Settlement", 'assert msg.sender == governor, "only the governor"'),
        settlement.attack_by_upgrading_as_a_stranger,
    ),
    "a broken rung stops everything": (
        (
            "Settlement",
            "if not success or len(answer) < 32:\n        return 0",
            'assert success, "rung failed"',
        ),
        settlement.attack_by_a_broken_rung,
    ),
    "an upgrade forgets what was final": (
        (
            "Settlement",
            "self.finalFloor = self._find_last_final()\n    self.nextReadyAt = 0",
            "self.nextReadyAt = 0",
        ),
        settlement.attack_by_a_broken_rung,
    ),
    "no bond is needed": (
        drop("Settlement", 'assert bonded, "bond is too small"'),
        settlement.attack_by_posting_without_a_bond,
    ),
}
ZERO_SIGNER = (
    "Validators",
    """        signer: address = self._recover(digest, signature)
        assert convert(signer, uint256) > last, "signers must ascend"
        assert self.seatEpoch[signer] == epoch_, "signer is no member"
""",
    """        signer: address = ecrecover(digest, signature.v, signature.r, signature.s)
        assert signer == empty(address) or self.seatEpoch[signer] == epoch_, "signer is no member"
""",
)
QUORUM: dict[str, tuple[Mutation, Attack]] = {
    "one signature is enough": (
        drop("Validators", 'assert len(signatures) >= self.quorum, "too few signatures"'),
        quorum.attack_by_too_few_signatures,
    ),
    "signers may repeat": (
        (
            "Validators",
            'assert convert(signer, uint256) > last, "signers must ascend"',
            "assert True",
        ),
        quorum.attack_by_one_signature_thrice,
    ),
    "high s is taken": (
        drop("Validators", 'assert convert(signature.s, uint256) <= HALF_ORDER, "signature is malleable"'),
        quorum.attack_by_malleated_twin,
    ),
    "anyone attests": (
        drop("Validators", 'assert self.seatEpoch[signer] == epoch_, "signer is no member"'),
        quorum.attack_by_outsiders,
    ),
    "the zero signer has a seat": (ZERO_SIGNER, quorum.attack_by_zero_signer),
    "the chain id is not signed": (
        (
            "Validators",
            'keccak256(b"1"), chain.id, settlement)',
            'keccak256(b"1"), convert(1, uint256), settlement)',
        ),
        quorum.attack_by_another_chain,
    ),
    "the deployment is not signed": (
        ("Validators", "chain.id, settlement)", "chain.id, insurance)"),
        quorum.attack_by_another_deployment,
    ),
    "epochs are not signed": (
        (
            "Validators",
            "self._hash_attestation(self.epoch, number, header_hash)",
            "self._hash_attestation(1, number, header_hash)",
        ),
        quorum.attack_by_old_epoch,
    ),
    "one member names the next set": (
        (
            "Validators",
            "self._require_quorum(self._digest(message), signatures)\n    self._seat",
            "self._seat",
        ),
        quorum.attack_by_seizing_the_set,
    ),
    "half is a quorum": (
        drop("Validators", 'assert 3 * quorum_ > 2 * len(members), "quorum too small"'),
        quorum.attack_by_a_small_quorum,
    ),
    "batches may be skipped": (
        drop("Validators", 'assert number == self.attestedCount + 1, "number must be the next"'),
        quorum.attack_by_skipping_a_batch,
    ),
    "stakes leave at once": (
        drop("Validators", 'assert block.timestamp >= self.leavingAt[msg.sender], "too early"'),
        quorum.attack_by_leaving_before_the_slash,
    ),
    "the stakeless vote": (
        (
            "Validators",
            "if self.stakeOf[msg.sender] < stakeMin:\n        self._unseat(msg.sender)",
            "assert True",
        ),
        quorum.attack_by_leaving_and_voting,
    ),
    "one header is two": (
        drop("Validators", 'assert first_hash != second_hash, "headers are the same"'),
        quorum.attack_by_framing_a_validator,
    ),
    "what leaves cannot be slashed": (
        ("Validators", "self.stakeOf[validator] + self.leavingOf[validator]", "self.stakeOf[validator]"),
        quorum.attack_by_equivocating,
    ),
    "the leaving bond cannot be slashed": (
        ("Bond", "units: uint256 = self.amount + self.leavingAmount", "units: uint256 = self.amount"),
        quorum.attack_by_two_receipts,
    ),
    "anyone signs for the operator": (
        drop("Bond", 'assert signer == self._operator(), "signer is another"'),
        quorum.attack_by_framing_the_operator,
    ),
    "one receipt is two": (
        drop("Bond", 'assert first_hash != second_hash, "receipts are the same"'),
        quorum.attack_by_one_receipt_twice,
    ),
    "types do not differ": (
        (
            "Bond",
            "keccak256(abi_encode(keccak256(HEADER_TYPE), number, second_hash))",
            "keccak256(abi_encode(keccak256(RECEIPT_TYPE), number, second_hash))",
        ),
        quorum.attack_by_confusing_types,
    ),
    "the posted header may be presented": (
        drop("Bond", 'assert posted != signed_hash, "headers are the same"'),
        quorum.attack_by_posting_another_header,
    ),
    "the bond leaves at once": (
        drop("Bond", 'assert block.timestamp >= self.leavingAt, "too early"'),
        quorum.attack_by_withdrawing_the_bond,
    ),
}
BUGS = VAULT | SETTLEMENT | QUORUM
# The catalogue of attacks that these contracts face, and the undefended twins that each one beats. SET-04,
# attacks on the compiler, is the house rules'; SET-06 has no signed number here.
CATALOGUE = {
    "SIG-01 a malleated duplicate": ("high s is taken", "signers may repeat"),
    "SIG-02 replay on another chain, deployment or epoch": (
        "the chain id is not signed",
        "the deployment is not signed",
        "epochs are not signed",
    ),
    "SIG-03 the zero signer": ("the zero signer has a seat",),
    "SIG-05 one type for another": ("types do not differ", "the leaf does not name the asset"),
    "SIG-07 a permit that was used first": ("a permit that fails refuses the deposit",),
    "SET-01 re-entrancy, also to read": ("the lock is off",),
    "SET-02 tokens with fees, lies and double moves": (
        "the asked amount is credited",
        "a false transfer counts as paid",
        "what left is not measured",
    ),
    "SET-03 a batch again, out of order, on another root or on none": (
        "a number may come again",
        "sequences may be skipped",
        "history may fork",
        "zero is a root",
    ),
    "SET-05 seizing the set-up, a threshold of nothing": (
        "half is a quorum",
        "one member names the next set",
    ),
}
