"""What a kill, a failing disk and a power cut leave behind, at every operation on the filesystem."""
