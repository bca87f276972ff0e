"""What a sweep found: the offline page, the table of trials and the terminal's summary, from plain data."""

from gatesweep.report.view import Baseline, Outcome, SweepView, TrialView

__all__ = ["Baseline", "Outcome", "SweepView", "TrialView"]
