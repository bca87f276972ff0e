"""Forecasting: the next `horizon` values of a series from the last `lookback` values and the calendar."""
