"""A reward model in this process: a sequence classifier of transformers with one output. Importing this imports torch.

A conversation goes through the model's own chat template, without a turn that is opened for an answer. Conversations of
like length share a pass, padded on the right. Nothing is cut: what is too long for the model is refused or left out.

Models like ArmoRM bring their own Python code and return a `score` beside their logits; that is the reward there. It is
run only where the user says so. Rejected: rewards over HTTP. Servers disagree on the route, the field and whether they
apply the template, and a reward that skipped it looks like any other number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from thinkscale.engines.local.loading import DTYPES, find_device
from thinkscale.errors import ModelError
from thinkscale.records import Message

UNBOUNDED_TOKENS = 1 << 20
"""Tokenizers without a limit state a number of thirty digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRequest:
    """A conversation to be judged, the last turn being the answer."""

    key: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewarded:
    """What the model says; None where the conversation is too long for it."""

    key: str
    num_tokens: int
    value: float | None


class RewardModel:
    """A classifier folder (or Hub id) as a judge of conversations."""

    def __init__(
        self,
        model: str,
        *,
        dtype: str = "float32",
        device: str = "auto",
        batch_tokens: int = 16384,
        max_tokens: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        """Raises ModelError on what cannot be loaded, has no chat template, or gives more than one number."""
        disable_progress_bar()  # type: ignore[no-untyped-call]  # ours shows what a user waits for
        self._device = find_device(device)
        if self._device.type == "cpu":
            torch.set_num_threads(1)
        self._tokenizer = _loaded_tokenizer(model, trust_remote_code)
        self._model = _loaded_model(model, dtype, trust_remote_code).to(self._device).eval()
        self._batch_tokens = batch_tokens
        made_for = _limit(self._model.config, self._tokenizer)
        if max_tokens is not None and max_tokens > made_for:
            raise ModelError(f"{model} was made for {made_for:,} tokens; max_tokens is {max_tokens:,}")
        self.max_tokens = max_tokens or made_for
        self.name = Path(model).name

    def rewards(self, requests: Sequence[RewardRequest]) -> list[Rewarded]:
        """One for each request, in order. Equal requests in equal company give equal bits."""
        ids = [self._ids(request) for request in requests]
        values: dict[int, float] = {}
        for group in self._groups(ids):
            values.update(zip(group, self._pass([ids[at] for at in group]), strict=True))
        return [
            Rewarded(key=request.key, num_tokens=len(ids[at]), value=values.get(at))
            for at, request in enumerate(requests)
        ]

    def _ids(self, request: RewardRequest) -> list[int]:
        turns = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
        except Exception as error:
            raise ModelError(
                f"the chat template of {self.name} cannot render a question and an answer: {error}"
            ) from error
        return cast("list[int]", self._tokenizer.encode(text, add_special_tokens=False))

    def _groups(self, ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Indices of those that share a pass: alike in length, and no more tokens than `batch_tokens`.

        A model without a padding token of its own reads the last token of each, so each has a pass alone.
        """
        fitting = sorted((at for at in range(len(ids)) if len(ids[at]) <= self.max_tokens), key=lambda at: len(ids[at]))
        most = self._batch_tokens if self._pad_id is not None else 0
        group: list[int] = []
        for at in fitting:
            if group and len(ids[at]) * (len(group) + 1) > most:
                yield group
                group = []
            group.append(at)
        if group:
            yield group

    @property
    def _pad_id(self) -> int | None:
        config = self._model.config
        config = config.get_text_config() if hasattr(config, "get_text_config") else config
        return cast("int | None", config.pad_token_id)

    @torch.inference_mode()
    def _pass(self, group: Sequence[Sequence[int]]) -> list[float]:
        width = max(map(len, group))
        pad = self._pad_id or 0
        ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in group], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in group], device=self._device)
        output = self._model(input_ids=ids, attention_mask=mask)
        score = getattr(output, "score", None)
        found = output.logits if score is None else score
        if found.numel() != len(group):
            raise ModelError(f"{self.name} gives {found.numel() // len(group)} numbers for an answer, not one")
        values = cast("list[float]", found.double().reshape(-1).tolist())
        if not all(value == value and abs(value) != float("inf") for value in values):  # noqa: PLR0124 - not a number
            raise ModelError(f"{self.name} gives a reward that is not a finite number; try dtype float32")
        return values


def _loaded_tokenizer(model: str, trust: bool) -> Any:  # noqa: ANN401 - tokenizers have no common typed base
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=trust)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load a tokenizer from {model}: {error}") from error
    if tokenizer.chat_template is None:
        raise ModelError(f"the tokenizer of {model} has no chat template, so a conversation cannot be rendered")
    return tokenizer


def _loaded_model(model: str, dtype: str, trust: bool) -> Any:  # noqa: ANN401
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}")
    try:
        loaded, report = AutoModelForSequenceClassification.from_pretrained(
            model, dtype=DTYPES[dtype], trust_remote_code=trust, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        hint = (
            "; it brings code of its own: set trust_remote_code: true if you trust it" if "code" in str(error) else ""
        )
        raise ModelError(f"cannot load a reward model from {model}: {error}{hint}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{model} is no reward model: it has no weights for {', '.join(missing[:3])}, which would be random"
        )
    if not trust and loaded.config.num_labels != 1:
        raise ModelError(f"{model} has {loaded.config.num_labels} labels; a reward model has one")
    return loaded


def _limit(config: Any, tokenizer: Any) -> int:  # noqa: ANN401
    stated = (getattr(config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None))
    return min((int(value) for value in stated if value and value < UNBOUNDED_TOKENS), default=UNBOUNDED_TOKENS)
