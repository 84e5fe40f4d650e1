"""How long a call takes, beside the reference, and how much memory."""
