"""Published claims and the experiments that check them."""
