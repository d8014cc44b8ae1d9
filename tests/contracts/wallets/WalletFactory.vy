#pragma version 0.4.3
#pragma evm-version cancun
"""
@title WalletFactory
@notice Creates a wallet where CREATE2 puts it.
"""


@external
def create(code: Bytes[4096], salt: bytes32) -> address:
    return raw_create(code, salt=salt)
