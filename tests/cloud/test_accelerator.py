"""The roofline against published measurements, its behaviour, and its errors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodydouble.cloud.accelerator import Accelerator, Fleet
from bodydouble.cloud.catalogue import chips, find_chip, find_model, models
from bodydouble.cloud.errors import FleetError, MemoryFitError, ModelNameError
from bodydouble.errors import ExitCode

TOLERANCE = 0.35


@dataclass(frozen=True)
class Measured:
    """One published row: one request alone, times in milliseconds; `weight_bytes` where it is not bf16."""

    source: str
    fleet: str
    model: str
    input_tokens: int
    output_tokens: int
    tpot_ms: float
    ttft_ms: float
    weight_bytes: float | None = None
    ttft_tolerance: float = TOLERANCE


NEURON = "aws-neuron-sdk benchmarks, {}"
# One MFU for all models is too low for the largest one: its wider matrices keep the chips busier.
ROWS = [
    Measured(NEURON.format("trn1.32xl, TP32, int8"), "trn1:16", "llama-3-8b", 128, 3968, 5.86, 14.75, 1),
    Measured(NEURON.format("trn1.32xl, TP32"), "trn1:16", "llama-3-70b", 2048, 2048, 26.2, 547),
    Measured(NEURON.format("inf2.48xl, TP24, int8"), "inf2:12", "llama-3-8b", 128, 3968, 6.42, 25, 1),
    Measured(NEURON.format("inf2.48xl, TP24"), "inf2:12", "llama-3-70b", 128, 1024, 32.47, 80),
    Measured(NEURON.format("trn2.48xl, TP64"), "trn2:16", "llama-3.3-70b", 10_000, 1500, 19.66, 814),
    Measured(
        NEURON.format("trn2.48xl, TP64"), "trn2:16", "llama-3.1-405b", 10_000, 1500, 37.9, 2442, ttft_tolerance=0.7
    ),
    Measured("NVIDIA NIM, 2 H100, FP8", "h100:2", "llama-3.3-70b", 5000, 500, 18.6, 407, 1),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.fleet}-{row.model}-{row.input_tokens}")
def test_within_a_third_of_what_was_measured(row: Measured) -> None:
    model = find_model(row.model)
    if row.weight_bytes:
        model = model.model_copy(update={"bytes_per_weight": row.weight_bytes})
    accelerator = Accelerator(model, Fleet.parse(row.fleet))
    ttft_ms = accelerator.prefill_s(row.input_tokens) * 1e3
    tpot_ms = accelerator.decode_s(row.output_tokens, row.input_tokens) / row.output_tokens * 1e3
    print(
        f"{row.source}: TPOT {tpot_ms:.2f} ms, measured {row.tpot_ms} ({tpot_ms / row.tpot_ms - 1:+.0%});"
        f" TTFT {ttft_ms:.1f} ms, measured {row.ttft_ms} ({ttft_ms / row.ttft_ms - 1:+.0%})"
    )
    assert tpot_ms == pytest.approx(row.tpot_ms, rel=TOLERANCE)
    assert ttft_ms == pytest.approx(row.ttft_ms, rel=row.ttft_tolerance)


def test_the_formula_by_hand() -> None:
    """Llama 3.3 70B on one trn2 instance, with the arithmetic written out."""
    accelerator = Accelerator(find_model("llama-3.3-70b"), Fleet.parse("trn2:16"))
    allreduce = 2 * 80 * 90e-6
    read = 2 * 70.6e9 / (16 * 2.9e12 * 0.7)
    # 64 ranks share 8 key/value heads, so each head is held 8 times.
    cache_per_token = 2 * 80 * 8 * 128 * 2 * 8 / (16 * 2.9e12 * 0.7)
    assert accelerator.token_s(0) == pytest.approx(read + allreduce)
    assert accelerator.token_s(1000) == pytest.approx(read + allreduce + 1000 * cache_per_token)
    compute = (2 * 70.6e9 * 1000 + 2 * 80 * 8192 * 1000**2) / (16 * 667e12 * 0.2)
    assert accelerator.prefill_s(1000) == pytest.approx(0.008 + compute + allreduce)
    # A short prompt takes as long as reading the weights and its cache.
    assert accelerator.prefill_s(1) == pytest.approx(0.008 + read + cache_per_token + allreduce)


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 100_000))
def test_decoding_is_the_sum_of_its_tokens(tokens: int, context: int) -> None:
    accelerator = Accelerator(find_model("llama-3.1-8b"), Fleet.parse("h100:1"))
    total = sum(accelerator.token_s(context + number) for number in range(tokens))
    assert accelerator.decode_s(tokens, context) == pytest.approx(total)


@settings(deadline=None)
@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_a_longer_prompt_is_never_sooner(one: int, other: int) -> None:
    accelerator = Accelerator(find_model("llama-3.1-8b"), Fleet.parse("inf2:2"))
    short, long = sorted((one, other))
    assert 0 < accelerator.prefill_s(short) <= accelerator.prefill_s(long)


def test_more_chips_are_quicker_up_to_an_instance() -> None:
    """What a fleet has beyond one instance serves other users."""
    model = find_model("llama-3.1-8b")
    times = [Accelerator(model, Fleet(find_chip("trn2"), count)).token_s(1000) for count in (1, 4, 16, 64)]
    assert times[0] > times[1] > times[2] == times[3]


def test_one_gpu_needs_no_all_reduce() -> None:
    accelerator = Accelerator(find_model("llama-3.1-8b"), Fleet.parse("h100"))
    assert accelerator.token_s(0) == pytest.approx(2 * 8.03e9 / (3.35e12 * 0.7))


def test_eight_bit_weights_compute_at_the_eight_bit_peak() -> None:
    model = find_model("llama-3.1-8b")
    narrow = model.model_copy(update={"bytes_per_weight": 1})
    fleet = Fleet.parse("h100:1")
    assert Accelerator(narrow, fleet).prefill_s(4000) < 0.6 * Accelerator(model, fleet).prefill_s(4000)


def test_a_model_that_does_not_fit_says_what_would() -> None:
    with pytest.raises(MemoryFitError) as caught:
        Accelerator(find_model("llama-3.3-70b"), Fleet.parse("trn1:4"))
    assert caught.value.message == (
        "llama-3.3-70b needs 134 GiB for its weights and 8192 tokens, trn1:4 offers 115 GiB"
    )
    assert caught.value.hint == "use --fleet trn1:5 or more"
    assert caught.value.exit_code == ExitCode.USAGE
    Accelerator(find_model("llama-3.3-70b"), Fleet.parse("trn1:5"))  # the cure cures


def test_a_model_that_no_instance_holds() -> None:
    with pytest.raises(MemoryFitError, match="an instance has 12 chips at most: use a smaller model"):
        Accelerator(find_model("llama-3.1-405b"), Fleet.parse("inf2:100"))


@pytest.mark.parametrize(
    "text", ["trn2:0", "trn2:-1", "trn2:", "trn2:x", "trn2:1.5", "trn2:٣", "trn2:9999999", "trn2:1:2"]
)
def test_a_fleet_without_a_count(text: str) -> None:
    with pytest.raises(
        FleetError, match=r"does not say how many chips \(use CHIP:N with N from 1 to 100000\)"
    ) as caught:
        Fleet.parse(text)
    assert caught.value.exit_code == ExitCode.USAGE


def test_an_unknown_chip_and_an_unknown_model() -> None:
    with pytest.raises(FleetError) as no_chip:
        Fleet.parse("abacus:4")
    assert str(no_chip.value).startswith("there is no chip 'abacus' (use one of b200, h100")
    with pytest.raises(ModelNameError) as no_model:
        find_model("hal-9000")
    assert str(no_model.value).startswith("there is no model 'hal-9000' (use one of llama-3-70b")
    assert no_model.value.exit_code == no_chip.value.exit_code == ExitCode.USAGE


def test_every_entry_of_the_catalogue_is_sourced_and_usable() -> None:
    assert {"trn1", "inf2", "trn2", "h100"} <= set(chips())
    assert {"llama-3.1-8b", "llama-3.3-70b"} <= set(models())
    for entry in (*chips().values(), *models().values()):
        assert all(len(source) > 20 for source in entry.sources), entry.name
    ids = [model.bedrock_id for model in models().values()]
    assert len(set(ids)) == len(ids)
    for model in models().values():
        assert find_model(model.bedrock_id) is model is find_model(model.name)
        for chip in chips().values():
            try:
                accelerator = Accelerator(model, Fleet(chip, chip.chips_per_instance))
            except MemoryFitError:
                continue
            assert 0 < accelerator.token_s(100) <= accelerator.prefill_s(100) < 10


def test_fleets_are_shown_as_they_are_written() -> None:
    assert str(Fleet.parse("trn2:16")) == "trn2:16"
    assert str(Fleet.parse("h100")) == "h100:1"
    assert dataclasses.is_dataclass(Fleet)
