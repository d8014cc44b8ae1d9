"""The programs behind the novate command. Wiring only; nothing imports them."""
