"""Properties that hold for every input that hypothesis thinks of."""
