"""Where each cell comes from."""

from __future__ import annotations

_GREFF = "Greff, Srivastava, Koutník, Steunebrink & Schmidhuber 2017, LSTM: a search space odyssey, IEEE TNNLS 28(10)"
_FENG = "Feng, Tung, Ahmed, Bengio & Hajimirsadeghi 2024, Were RNNs all we needed?, arXiv:2410.01201"
_CHO = "Cho et al. 2014, Learning phrase representations using RNN encoder-decoder, EMNLP"

PAPERS: dict[str, str] = {
    "vanilla": "Hochreiter & Schmidhuber 1997, Long short-term memory, Neural Computation 9(8); "
               "Gers, Schmidhuber & Cummins 2000, Learning to forget, Neural Computation 12(10)",
    "peephole": "Gers & Schmidhuber 2000, Recurrent nets that time and count, IJCNN",
    "coupled": f"{_GREFF}: CIFG, without peepholes",
    "cifg": f"{_GREFF}: coupled input and forget gate",
    "nig": f"{_GREFF}: no input gate",
    "nfg": f"{_GREFF}: no forget gate",
    "nog": f"{_GREFF}: no output gate",
    "niaf": f"{_GREFF}: no input activation function",
    "noaf": f"{_GREFF}: no output activation function",
    "fgr": f"{_GREFF}: full gate recurrence",
    "gru": f"{_CHO}; the reset gate after the recurrent product, as torch.nn.GRU",
    "gru_before": f"{_CHO}; the reset gate before the recurrent product, as published",
    "rnn": "Elman 1990, Finding structure in time, Cognitive Science 14(2)",
    "slstm": "Beck et al. 2024, xLSTM: extended long short-term memory, NeurIPS, arXiv:2405.04517",
    "mlstm": "Beck et al. 2024, xLSTM: extended long short-term memory, NeurIPS, arXiv:2405.04517",
    "mingru": f"{_FENG}",
    "minlstm": f"{_FENG}",
}  # fmt: skip
