"""How often the three hundred seeds together must meet each thing; about a third of what they met when written."""

QUOTAS: dict[str, int] = {}
