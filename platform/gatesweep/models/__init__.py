"""Cells stacked into models: the `model:` section, an encoder of sequences, heads, and the forecaster.

    config.py   ModelConfig        recurrent.py   RecurrentEncoder        heads.py   ForecastHead        forecaster.py

Importing the package, or `models.config`, imports no torch.
"""
