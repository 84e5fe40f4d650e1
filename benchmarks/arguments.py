"""The command line of benchmarks: `--help` prints the docstring of the file and runs nothing."""

import argparse


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of a benchmark's arguments, described by its module's docstring."""
    return argparse.ArgumentParser(
        usage=argparse.SUPPRESS,
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
