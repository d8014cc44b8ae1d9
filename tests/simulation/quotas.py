"""How often the three hundred seeds must meet each thing: about a third of what they met at first."""

QUOTAS: dict[str, int] = {}
