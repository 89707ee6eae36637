"""The closed trades of the three example archives, and the check that today's code still gives them."""
