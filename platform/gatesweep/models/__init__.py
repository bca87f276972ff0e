"""Cells stacked into models: the `model:` section, an encoder of sequences, heads, and the forecaster.

    config.py     ModelConfig            encoder.py    Encoder, Encoded         encoders.py    build_encoder
    recurrent.py  RecurrentEncoder       heads.py      ForecastHead             forecaster.py  Forecaster

    linear_cross_entropy.py   the loss of a large vocabulary; logit_chunks.py, softmax_rows.py and softmax_rows.c
                              are what it is made of

Importing the package, or `models.config`, imports no torch.
"""
