"""The real `transformers` opens what we write and computes what we compute, and the other way round."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import llm101
from llm101.inference import InferenceEngine
from llm101.model import ModelConfig, Transformer
from llm101.parameters.hugging_face_config import ARCHITECTURES, config_from_hugging_face
from llm101.parameters.model_folder import ModelFolderError, load_transformer, open_parameters, read_config, save_model
from llm101.tokenizer import END_OF_TEXT, Tokenizer

transformers = pytest.importorskip("transformers", reason="transformers is not installed; pip install '.[test]'")

STORYTELLER = Path(llm101.__file__).parent / "models" / "storyteller"
needs_storyteller = pytest.mark.skipif(
    not (STORYTELLER / "config.json").exists(), reason="llm101/models/storyteller is not there yet"
)

SIZES: dict[str, Any] = {
    "vocab_size": 257, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": None, "eos_token_id": None,
    "pad_token_id": None,
}  # fmt: skip
LINEAR: dict[str, Any] = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
LLAMA3: dict[str, Any] = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
YARN: dict[str, Any] = {
    "rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "original_max_position_embeddings": 16, "beta_fast": 4.0,
}  # fmt: skip
LAYERS: dict[str, Any] = {
    "use_sliding_window": True, "sliding_window": 9,
    "layer_types": ["full_attention", "sliding_attention", "full_attention"],
}  # fmt: skip
EXPERTS: dict[str, Any] = {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "llama tied": ("LlamaConfig", {"tie_word_embeddings": True, "rms_norm_eps": 1e-5}),
    "llama other base": ("LlamaConfig", {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
    "llama full heads": ("LlamaConfig", {"num_key_value_heads": 4, "head_dim": 16}),
    "llama linear": ("LlamaConfig", {"rope_parameters": LINEAR}),
    "llama llama3": ("LlamaConfig", {"rope_parameters": LLAMA3, "tie_word_embeddings": True}),
    "llama yarn": ("LlamaConfig", {"rope_parameters": YARN}),
    "llama yarn to the letter": (
        "LlamaConfig",
        {"rope_parameters": YARN | {"beta_slow": 0.5, "truncate": False, "mscale": 1.2, "mscale_all_dim": 0.7}},
    ),
    "llama biases": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", {"sliding_window": None}),
    "mistral window": ("MistralConfig", {"sliding_window": 7, "head_dim": 12}),
    "mistral yarn": ("MistralConfig", {"rope_parameters": YARN, "sliding_window": 20}),
    "qwen2": ("Qwen2Config", {"tie_word_embeddings": True}),
    "qwen2 window": ("Qwen2Config", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 0}),
    "qwen2 window from the second layer on": (
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1},
    ),
    "qwen2 yarn": ("Qwen2Config", {"rope_parameters": YARN | {"attention_factor": 1.4}}),
    "qwen3": ("Qwen3Config", {"head_dim": 16}),
    "qwen3 window": ("Qwen3Config", {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 0}),
    "qwen3 layers": ("Qwen3Config", {"attention_bias": True, **LAYERS}),
    "smollm3": ("SmolLM3Config", {"no_rope_layer_interval": 2}),
    "smollm3 layers": (
        "SmolLM3Config",
        {"no_rope_layers": [0, 1, 1], "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False, **LAYERS},
    ),
    "smollm3 window": (
        "SmolLM3Config",
        {"no_rope_layers": [1, 0, 0], "use_sliding_window": True, "sliding_window": 9},
    ),
    "mixtral": ("MixtralConfig", {"num_local_experts": 4, "sliding_window": None}),
    "mixtral window": ("MixtralConfig", {"num_local_experts": 3, "sliding_window": 9, "tie_word_embeddings": True}),
    "qwen3_moe": ("Qwen3MoeConfig", {**EXPERTS, "norm_topk_prob": True, "head_dim": 16}),
    "qwen3_moe some dense": ("Qwen3MoeConfig", {**EXPERTS, "mlp_only_layers": [0], "attention_bias": True}),
    "qwen3_moe every other": (
        "Qwen3MoeConfig",
        {**EXPERTS, "decoder_sparse_step": 2, "use_sliding_window": True, "sliding_window": 9},
    ),
    "qwen3_moe none": ("Qwen3MoeConfig", {**EXPERTS, "mlp_only_layers": [0, 1, 2], "tie_word_embeddings": True}),
}
SAVED_AS = {"mistral": "LlamaForCausalLM", "qwen3_moe none": "Qwen3ForCausalLM"}
"""A Mistral without its window is a Llama, and a Qwen3-MoE without experts a Qwen3."""
IDS = torch.randint(0, 257, (2, 40), generator=torch.Generator().manual_seed(0))
BYTES = Tokenizer("bytes", {bytes([b]): b for b in range(256)}, {END_OF_TEXT: 256})


@pytest.fixture(autouse=True)
def quietly(one_thread: None) -> Iterator[None]:
    """No progress bars or advice among the test results, no gradients, and one thread, enough for small models."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with torch.no_grad():
        yield


def random_model(family: str) -> Any:
    """A model of transformers whose parameters are all random, norms and biases too."""
    config_class, changes = FAMILIES[family]
    config = getattr(transformers, config_class)(**(SIZES | changes))
    model = transformers.AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model.eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_both_compute_the_same_logits_from_the_same_folder(family: str, tmp_path: Path) -> None:
    theirs = random_model(family)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_transformer(tmp_path / "theirs")
    expected = theirs(IDS).logits
    assert expected.std() > 0.5  # logits that are all alike would prove nothing
    assert torch.allclose(ours(IDS), expected, atol=1e-4, rtol=0)
    assert ours.config.n_parameters == theirs.num_parameters()

    save_model(tmp_path / "ours", ours, dtype=torch.float32)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert type(again).__name__ == SAVED_AS.get(family, type(theirs).__name__)
    assert again.dtype == torch.float32
    assert torch.equal(again(IDS).logits, expected)
    assert load_transformer(tmp_path / "ours").config == ours.config


@pytest.mark.parametrize(
    "family", sorted(FAMILIES.keys() - {"llama tied", "llama full heads", "qwen2 window", "qwen3 window"})
)
def test_both_write_the_same_64_tokens_and_score_them_alike(family: str, tmp_path: Path) -> None:
    theirs = random_model(family)
    theirs.save_pretrained(tmp_path)
    engine = InferenceEngine(load_transformer(tmp_path), BYTES, start_ids=(), end_ids=())
    prompt = IDS[0, :24].tolist()
    scored, written = [engine.prefill(prompt)], list(prompt)
    for _ in range(64):  # the most likely token, again and again
        written.append(int(scored[-1].argmax()))
        scored.append(engine.decode_step(written[-1]))
    assert written == theirs.generate(IDS[:1, :24], max_new_tokens=64, do_sample=False)[0].tolist()
    expected = theirs(torch.tensor([written])).logits[0, 23:]
    assert torch.allclose(torch.stack(scored), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", ["llama", "llama linear", "llama llama3", "llama yarn"])
def test_far_away_both_turn_as_far(family: str, tmp_path: Path) -> None:
    theirs = random_model(family)
    theirs.save_pretrained(tmp_path)
    positions = 130_000 + 7 * torch.arange(40).expand(2, 40)
    expected = theirs(IDS, position_ids=positions).logits
    assert torch.allclose(load_transformer(tmp_path)(IDS, positions=positions), expected, atol=1e-4, rtol=0)
    assert not torch.allclose(theirs(IDS).logits, expected, atol=0.1)


def test_the_window_is_shorter_than_the_text_and_matters(tmp_path: Path) -> None:
    theirs = random_model("mistral window")
    windowed = theirs(IDS).logits
    theirs.config.sliding_window = None
    assert not torch.allclose(theirs(IDS).logits, windowed, atol=1e-2)


@pytest.mark.parametrize("family", ["llama other base", "llama linear", "llama llama3", "qwen2 yarn"])
@pytest.mark.parametrize("word", ["rope_type", "type"])
def test_a_config_of_transformers_4_is_the_same_model(tmp_path: Path, family: str, word: str) -> None:
    theirs = random_model(family)
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    rope = config.pop("rope_parameters")
    theta, kind = rope.pop("rope_theta"), rope.pop("rope_type")
    scaling = None if kind == "default" else {word: kind, **rope}
    (tmp_path / "config.json").write_text(json.dumps(config | {"rope_theta": theta, "rope_scaling": scaling}))
    assert torch.allclose(load_transformer(tmp_path)(IDS), theirs(IDS).logits, atol=1e-4, rtol=0)


def test_shards_as_transformers_writes_them_are_read(tmp_path: Path) -> None:
    theirs = random_model("qwen2")
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    theirs.save_pretrained(tmp_path / "whole")
    sharded, whole = open_parameters(tmp_path / "shards"), open_parameters(tmp_path / "whole")
    assert len(sharded.files) > len(whole.files) == 1
    assert (sharded.n_parameters, sharded.fingerprint()) == (whole.n_parameters, whole.fingerprint())
    assert torch.allclose(load_transformer(tmp_path / "shards")(IDS), theirs(IDS).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_the_same_model_on_both_sides(tmp_path: Path, dtype: torch.dtype) -> None:
    config = ModelConfig(vocab_size=300, d_model=32, n_layers=2, n_heads=4)
    save_model(tmp_path, Transformer(config).initialise(seed=0), dtype=dtype)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert theirs.dtype == dtype
    assert torch.allclose(load_transformer(tmp_path)(IDS), theirs.float()(IDS).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_what_a_config_leaves_out_is_what_transformers_takes_it_for(family: str) -> None:
    sizes = {"vocab_size": 512, "hidden_size": 256, "num_hidden_layers": 40, "num_attention_heads": 32}
    said = {"model_type": family, "intermediate_size": 96, **sizes}
    in_full = transformers.AutoConfig.for_model(**said).to_dict()
    assert len(in_full) > len(said) + 10
    assert config_from_hugging_face(said) == config_from_hugging_face(in_full)
    windowed = said | {"sliding_window": 7} | ({} if family in ("mistral", "mixtral") else {"use_sliding_window": True})
    if family != "llama":
        in_full = transformers.AutoConfig.for_model(**windowed).to_dict()
        assert config_from_hugging_face(windowed) == config_from_hugging_face(in_full)
        assert config_from_hugging_face(windowed).sliding_window == 7


@pytest.mark.parametrize(
    ("config_class", "changes"),
    [
        ("LlamaConfig", {"hidden_act": "gelu"}),
        ("LlamaConfig", {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}}),
        ("Qwen2Config", {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}),
        ("GemmaConfig", {}),
    ],
)
def test_what_we_would_compute_wrongly_is_refused(tmp_path: Path, config_class: str, changes: dict[str, Any]) -> None:
    getattr(transformers, config_class)(**(SIZES | changes)).save_pretrained(tmp_path)
    with pytest.raises(ModelFolderError, match=r"config.json (asks for|describes)"):
        config_from_hugging_face(read_config(tmp_path))


TEXTS = ["Once upon a time", " two  spaces\n\nand a line", "naïve café 🙂 don't 12345", "", "<|endoftext|>", "日本語"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokenizer]:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer.train(["Once upon a time there was a time for naïve cats. Don't!"] * 9, vocab_size=280)
    model = Transformer(ModelConfig(vocab_size=280, d_model=32, n_layers=2, n_heads=4)).initialise(seed=0)
    save_model(folder, model, tokenizer, dtype=torch.float32)
    return folder, tokenizer


def same_ids(folder: Path, ours: Tokenizer) -> None:
    for theirs in (
        transformers.AutoTokenizer.from_pretrained(folder),
        transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")),
    ):
        assert len(theirs) == ours.vocab_size
        for text in TEXTS:
            ids = ours.encode(text, allow_special=True)
            assert theirs(text)["input_ids"] == ids, text
            assert theirs.decode(ids, clean_up_tokenization_spaces=False) == text


def test_the_saved_tokenizer_gives_the_same_ids(saved: tuple[Path, Tokenizer]) -> None:
    same_ids(*saved)


def test_generating_stops_at_the_end_token_that_we_wrote(saved: tuple[Path, Tokenizer]) -> None:
    folder, tokenizer = saved
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    end = tokenizer.end_id
    assert theirs.generation_config.eos_token_id == end
    theirs.model.norm.weight.zero_()  # all logits alike, so that the one bias below decides
    theirs.lm_head = torch.nn.Linear(32, 280)
    theirs.lm_head.bias[end] = 100.0
    out = theirs.generate(torch.tensor([[5, 6]]), max_new_tokens=9, do_sample=False, pad_token_id=end)
    assert out.tolist() == [[5, 6, end]]


PROMPTS = [
    "Once upon a time", "The Golden Gate Bridge is", "Tom and Lily went to the park", "A big dog", "One day, a girl",
    "The sun was", "In the forest there was", "Hello, said", "Mia had a red ball", "The cat sat on", "It was cold",
    "Ben's mother", "The Eiffel Tower is", "They played all day and", "The little bird wanted to", "Far away", "He",
    "Anna looked at the sky", "There was an old man who", "The end of the story",
]  # fmt: skip


@needs_storyteller
@pytest.mark.parametrize("n_prompts", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_the_storyteller_tells_the_same_stories_in_transformers(n_prompts: int) -> None:
    ours, tokenizer = load_transformer(STORYTELLER), Tokenizer.from_file(STORYTELLER / "tokenizer.json")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(STORYTELLER).float()
    theirs.generation_config.eos_token_id = None  # go on for 64 tokens, whatever comes
    assert len(PROMPTS) == 20
    for prompt in PROMPTS[:n_prompts]:
        ids = torch.tensor([tokenizer.encode(prompt)])
        story = theirs.generate(ids, max_new_tokens=64, do_sample=False, pad_token_id=0)
        assert story.shape[1] == ids.shape[1] + 64
        logits = ours(story)
        # Given the same beginning we choose their next token, at each of the 64 places: so we tell the same story.
        assert torch.equal(logits[:, ids.shape[1] - 1 : -1].argmax(-1), story[:, ids.shape[1] :]), prompt
        assert (logits - theirs(story).logits).abs().max() < 1e-4, prompt


@needs_storyteller
def test_the_storytellers_folder_is_complete_for_transformers() -> None:
    tokenizer = Tokenizer.from_file(STORYTELLER / "tokenizer.json")
    same_ids(STORYTELLER, tokenizer)
    config = read_config(STORYTELLER)
    assert config["eos_token_id"] == tokenizer.end_id
    assert config["vocab_size"] == tokenizer.vocab_size
