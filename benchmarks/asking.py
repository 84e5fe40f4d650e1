"""How a benchmark is asked: `--help` tells what its file says of it, and runs nothing."""

import argparse


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser of a benchmark's arguments, described by its module's docstring."""
    return argparse.ArgumentParser(
        usage=argparse.SUPPRESS,
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
