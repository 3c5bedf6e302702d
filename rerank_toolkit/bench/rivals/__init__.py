"""Other software that scores the same pairs with the same weights, each in an environment and a process of its own."""
