"""Further reference runs where an emulator knows least, instead of at random."""
