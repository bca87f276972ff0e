"""A BERT-type encoder as a layer (Devlin et al. 2019): token numbers in, a vector of each token out.

Read by `transformers` from a local folder, safetensors alone: nothing is downloaded, nothing unpickled, no code of the
folder's is run. Shape suffixes: B batch, T steps, D width.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gatesweep.errors import DataError, ShapeError, UserError

FILES = ("config.json", "model.safetensors", "vocab.txt")
INSTALL = "pip install 'gatesweep[pretrained]'"


def settings(folder: Path) -> dict[str, Any]:
    """The folder's config.json.

    Raises:
        DataError: a file is missing, or it is another kind of model.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(f"no {' and no '.join(missing)} in it", place=str(folder),
                        hint=f"a BERT-type encoder is a folder with {', '.join(FILES)}")  # fmt: skip
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if found.get("model_type") != "bert":
        raise DataError(f"is a model of type {found.get('model_type')!r}, and 'bert' is what is read here",
                        place=str(folder / "config.json"))  # fmt: skip
    return found


class BertTokens(nn.Module):
    """The last layer's output of every token.

    Raises:
        DataError: see `settings`.
        UserError: transformers is not installed.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        said = settings(folder)
        try:
            from transformers import BertModel
            from transformers.utils import logging
        except ImportError:
            raise UserError("a BERT-type encoder needs the package transformers", hint=INSTALL) from None
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self.bert = BertModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, add_pooling_layer=False, attn_implementation="sdpa"
        )
        self.output_size, self.longest = int(said["hidden_size"]), int(said["max_position_embeddings"])

    def forward(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """`vectors_BTD`; of padded steps they mean nothing.

        Raises:
            ShapeError: more steps than the encoder has positions.
        """
        if ids_BT.shape[1] > self.longest:
            raise ShapeError(f"{ids_BT.shape[1]} tokens, and the encoder has {self.longest} positions",
                             hint="data.max_length and data.eval_max_length bound them")  # fmt: skip
        mask_BT = torch.arange(ids_BT.shape[1], device=lengths_B.device) < lengths_B[:, None]
        vectors_BTD: Tensor = self.bert(input_ids=ids_BT, attention_mask=mask_BT.long()).last_hidden_state
        return vectors_BTD
