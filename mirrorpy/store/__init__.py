"""The only writer below root: pool, generations, locks, state, and every write made durable."""
