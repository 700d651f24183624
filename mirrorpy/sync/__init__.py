"""One repository brought up to date: the story from lock to report."""
