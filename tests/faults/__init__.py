"""One test for each line of the catalogue of faults."""
