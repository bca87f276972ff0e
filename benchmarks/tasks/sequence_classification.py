"""What the sentiment experiments reach; each finished row goes at once into results/tasks/sequence_classification.json.

    python benchmarks/tasks/sequence_classification.py --resume [--only glove] [--seeds 3]

`finetuned` first trains a language model on the training texts alone (one line a review, nothing of val or test), and
counts that time too. `mixed` has reviews of one film on both sides of the split, to show what that is worth.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

from rows import RESULTS, ROOT, Row, Rows, train

CONFIGS = ROOT / "configs" / "experiments"
PRETRAINED = ROOT / "build" / "pretrained"
LANGUAGE_MODEL = [
    "data.name=none", "data.tokens=split", "data.fraction=1.0", "data.max_vocabulary=10000", "data.bptt=64",
    "model.cell=vanilla", "model.hidden_size=256", "model.layers=1", "model.embedding_size=128", "model.tied=true",
    "model.output_dropout=0.2", "model.input_dropout=0.1", "optimizer.name=adamw", "optimizer.lr=3e-3",
    "trainer.max_epochs=2", "trainer.batch_size=32",
]  # fmt: skip
"""Over language_modeling.yaml: the sizes of sentiment_finetuned.yaml, and two passes over the texts."""


@dataclass(frozen=True)
class Case:
    """One row."""

    experiment: str
    about: str
    overrides: tuple[str, ...] = ()


CASES = {
    "learned": Case("sentiment.yaml", "BiLSTM 64, words learned from scratch"),
    "glove": Case("sentiment_glove.yaml", "BiLSTM 64, words start with GloVe 50d; bigrams vote"),
    "word2vec": Case("sentiment_word2vec.yaml", "BiLSTM 64, words start with word2vec of the texts; bigrams vote"),
    "word2vec, alone": Case("sentiment_word2vec.yaml", "the same, no vote", ("model.bag=none",)),
    "minilm": Case("sentiment_pretrained.yaml", "BiLSTM 128 on MiniLM features and learned pieces; bigrams vote"),
    "finetuned": Case("sentiment_finetuned.yaml", "BiLSTM 256 from a language model of the texts; bigrams vote"),
    "learned, vote": Case("sentiment.yaml", "the same; bigrams vote", ("model.bag=1",)),
    "mixed": Case("sentiment.yaml", "as learned, but films on both sides", ("data.films=mixed",)),
    "sentences": Case("sentiment.yaml", "the same on Rotten Tomatoes' sentences, no transfer",
                      ("data.part=rotten_tomatoes", "data.max_length=64", "data.eval_max_length=64")),
}  # fmt: skip


def finetuned(case: Case, seed: int, name: str, threads: int) -> Row:
    """Pre-train on the training texts, then fine-tune; the row's times are of both.

    The language model stays in `PRETRAINED` for another fine-tuning of the same seed.
    """
    home = PRETRAINED / f"seed-{seed}"
    known = home / "row.json"
    if not known.is_file():
        text = write_text(CONFIGS / case.experiment, home / "text")
        made = train("pretraining", CONFIGS / "language_modeling.yaml", seed=seed, home=str(home),
                     overrides=[*LANGUAGE_MODEL, f"data.path={text}", f"trainer.threads={threads}"])  # fmt: skip
        known.write_text(json.dumps(made))
    first: Row = json.loads(known.read_text())
    row = train(name, CONFIGS / case.experiment, seed=seed, about=case.about, home=str(home),
                overrides=[f"init_from.run={first['run_id']}", f"trainer.threads={threads}"])  # fmt: skip
    row["pretraining"] = {key: first[key] for key in ("metrics", "wall_s", "cpu_s", "epochs", "overrides")}
    return {**row, "wall_s": row["wall_s"] + first["wall_s"], "cpu_s": row["cpu_s"] + first["cpu_s"]}


def write_text(experiment: Path, folder: Path) -> Path:
    """The words of each split of an experiment's texts, a line a text, as language models read folders."""
    from gatesweep.runs.experiment import load_experiment
    from gatesweep.tasks.classification.prepare import prepare
    from gatesweep.tasks.classification.source import dataset_of, read
    from gatesweep.tasks.text.tokens import word_tokens

    data = load_experiment(experiment, ["init_from=none"]).data
    made = prepare(read(dataset_of(data, print), data), data, place="reviews")
    folder.mkdir(parents=True, exist_ok=True)
    for split, file in (("train", "train.txt"), ("val", "valid.txt")):
        lines = (" ".join(word_tokens(text)) for text in made.sides[split].texts)
        (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep finished rows and go on after them")
    parser.add_argument("--only", choices=CASES, help="one case alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="1 where the machine is shared: rows say how many")
    arguments = parser.parse_args()
    rows = Rows(RESULTS / "sequence_classification.json", resume=arguments.resume)
    for seed in range(1, arguments.seeds + 1):
        for key, case in CASES.items():
            name = f"reviews, {key}"
            if (arguments.only not in (None, key)) or rows.has(name, seed):
                continue
            print(f"{name}, seed {seed}", flush=True)
            overrides = [*case.overrides, f"trainer.threads={arguments.threads}"]
            row = finetuned(case, seed, name, arguments.threads) if key == "finetuned" else train(
                name, CONFIGS / case.experiment, seed=seed, about=case.about, overrides=overrides)  # fmt: skip
            rows.add(row | {"show": ["test/accuracy", "test/auroc"]})
            print(rows.rows[-1]["metrics"], flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
