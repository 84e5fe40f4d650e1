"""Classical models that every problem is compared with, as the network of an encoding."""
