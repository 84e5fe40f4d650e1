"""What the speeds of a run are relative to: the reference, a baseline in its place, or a second."""

from typing import NamedTuple

from search.run.records import DatasetSummary


class SpeedScale(NamedTuple):
    """What the speeds of a run are relative to.

    Args:
        compared_with: The reference or a baseline, in words; empty for samples per second.
    """

    compared_with: str

    @property
    def title(self) -> str:
        """The quantity as the title of an axis."""
        return f"speed-up over {self.compared_with}" if self.compared_with else "samples per second"

    @property
    def noun(self) -> str:
        """The quantity in a word: there is no speed-up over nothing."""
        return "speed-up" if self.compared_with else "speed"

    @property
    def unit(self) -> str:
        """What follows a figure."""
        return "x" if self.compared_with else "/s"

    @property
    def sentence_end(self) -> str:
        """What follows a figure with its unit in a sentence."""
        return f"as fast as {self.compared_with}" if self.compared_with else "(samples)"


def speed_scale(data: DatasetSummary | None) -> SpeedScale:
    """Return what the speeds of a run are relative to."""
    if data is None or data.reference_has_time:
        return SpeedScale("the reference")
    return SpeedScale(f"the baseline {data.timed_baseline}" if data.timed_baseline else "")
