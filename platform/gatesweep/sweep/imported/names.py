"""What others call our keys, our metrics and some of our values.

A parameter's name is ours if it is a dotted key already; else it is looked up here, whatever its capitals, dashes and
dots (`Learning-Rate`, `learningRate`, `optimizer.learning_rate`); else it may be the name of a field that one section
alone has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

KEYS: dict[str, tuple[str, ...]] = {
    "optimizer.lr": ("lr", "learning_rate", "base_lr", "initial_lr", "max_lr"),
    "optimizer.name": ("optimizer", "optim", "opt", "optimizer_name", "optimizer_type"),
    "optimizer.momentum": ("momentum", "sgd_momentum"),
    "optimizer.weight_decay": ("weight_decay", "wd", "l2"),
    "optimizer.clip_norm": ("clip_norm", "grad_clip", "gradient_clip_val", "max_grad_norm", "clip", "clipnorm"),
    "trainer.batch_size": ("batch_size", "batch", "bs", "train_batch_size", "per_device_train_batch_size"),
    "trainer.max_epochs": ("epochs", "num_epochs", "n_epochs", "max_epochs", "num_train_epochs"),
    "trainer.accumulate": ("accumulate", "accumulate_grad_batches", "gradient_accumulation_steps"),
    "model.hidden_size": ("hidden_size", "hidden", "hidden_dim", "hidden_units", "units", "num_units", "n_hidden",
                          "rnn_units", "lstm_units", "rnn_size"),
    "model.layers": ("layers", "num_layers", "n_layers", "rnn_layers", "lstm_layers"),
    "model.dropout": ("dropout", "dropout_rate", "dropout_prob", "drop_rate"),
    "model.cell": ("cell", "cell_type", "rnn_type", "rnn_cell"),
    "schedule.name": ("schedule", "lr_schedule", "scheduler", "lr_scheduler"),
    "schedule.warmup_steps": ("warmup_steps", "num_warmup_steps"),
    "data.lookback": ("lookback", "window", "window_size", "seq_len", "sequence_length"),
    "seed": ("seed", "random_seed", "random_state"),
}  # fmt: skip
"""Our key -> theirs."""

USUAL = {theirs: ours for ours, names in KEYS.items() for theirs in names}
PARTS = ("model", "optimizer", "optim", "opt", "trainer", "training", "train", "schedule", "scheduler", "data",
         "hparams", "params", "hyperparameters", "config", "network", "net", "args")  # fmt: skip
"""What may stand before the last dot of a name of theirs without meaning something of its own."""

VALUES: dict[str, dict[str, str]] = {
    "model.cell": {"lstm": "vanilla", "peephole_lstm": "peephole", "elman": "rnn", "simple_rnn": "rnn"},
    "schedule.name": {"none": "constant", "onecycle": "one_cycle", "cosine_annealing": "cosine"},
}
"""Our key -> their value -> ours; capitals do not count."""

NAMED = ("model.cell", "schedule.name", "optimizer.name", "model.family")
"""Keys whose values are names."""

METRICS = {
    "acc": "accuracy", "perplexity": "ppl", "mean_absolute_error": "mae", "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse", "auc": "auroc", "f1_score": "f1", "word_error_rate": "wer",
    "char_error_rate": "cer",
}  # fmt: skip
SPLITS = {**dict.fromkeys(("val", "valid", "validation", "eval", "dev"), "val"), "train": "train", "training": "train",
          "test": "test"}  # fmt: skip


def plain(name: str) -> str:
    """A name without capitals, dashes and leading marks: `--batch-size`, `batchSize` -> `batch_size`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip().lstrip("-"))
    return re.sub(r"[-\s]+", "_", snake).lower()


def our_key(name: str, known: Iterable[str]) -> str | None:
    """Which of our keys a parameter of theirs is; none where nobody can know."""
    known, word = list(known), plain(name)
    if name in known:
        return name
    before, _, last = word.rpartition(".")
    for candidate in (word, USUAL.get(word)):
        if candidate in known:
            return candidate
    if before and not all(part in PARTS for part in before.split(".")):
        return None
    if before and last == "name":
        return USUAL.get(before.rpartition(".")[2])
    if USUAL.get(last) in known:
        return USUAL[last]
    fields = [key for key in known if key.rpartition(".")[2] == last and last != "name"]
    return fields[0] if len(fields) == 1 else None


def our_metric(name: str) -> tuple[str, bool]:
    """A metric of theirs as `<split>/<name>`, and whether its name said which split."""
    word = plain(name)
    match = re.fullmatch(r"([a-z]+)[/_.](.+)", word)
    if match and match[1] in SPLITS:
        return f"{SPLITS[match[1]]}/{METRICS.get(match[2], match[2])}", True
    return f"val/{METRICS.get(word, word)}", False


def our_value(key: str, value: object) -> object:
    """A name of theirs as ours: `Adam` -> `adam`, `torch.optim.SGD` -> `sgd`, `LSTM` -> `vanilla`."""
    if key not in NAMED or not isinstance(value, str):
        return value
    word = re.sub(r"[-\s]+", "_", value.strip().rpartition(".")[2]).lower()
    return VALUES.get(key, {}).get(word, word)
