"""Cells stacked into models: the `model:` section, an encoder of sequences, heads, and the forecaster.

    config.py     ModelConfig            encoder.py    Encoder, Encoded         encoders.py    build_encoder
    recurrent.py  RecurrentEncoder       heads.py      ForecastHead             forecaster.py  Forecaster

    families.py   the families and their fields        family.py   what they share          budget.py  equal prices
    attention_encoder.py   transformer.py   tcn.py   xlstm.py   memory.py      one family each; what they are made of:
        self_attention.py, rotary.py, pooling.py, convolution.py, mlstm_block.py, slstm_block.py, block_diagonal.py,
        addressing.py, both_ways.py, padding.py, costs.py

    linear_cross_entropy.py   the loss of a large vocabulary; logit_chunks.py, softmax_rows.py and softmax_rows.c
                              are what it is made of

Importing the package, or `models.config`, imports no torch.
"""
