"""Trains `models/vad.tflite` and writes its manifest: python -m models.training.train_vad --seed 1

The same seed, packages and processor give the same file. Takes about half an hour on one core, and longer once for
the voices, which stay in the cache. Needs the `train` extra, flite, espeak-ng, and festival with its three voices.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bodydouble.resources import cache_dir
from models.training.command_data import STEP_FRAMES, Script
from models.training.features import INPUT_SCALE, dequantise
from models.training.vad_data import DELAY_FRAMES, examples, step_labels
from models.training.voices import SPLITS

FOLDER = Path(__file__).parent.parent
SCENE_S = 12.0
CALIBRATED_SCENES = 30
BATCH = 16

# Chosen on the validation voices and on those that the rule was tuned on: speech begins with an output above the
# first and lasts while outputs exceed the second; below the third there is certainly none.
BEGIN, STAY, DENY = 190, 128, 60
# Frames that what is told lies back: what the labels do, and two steps more, since outputs fade after their speech.
LAG_FRAMES = DELAY_FRAMES + 2 * STEP_FRAMES


def cached_examples(split: str, count: int, seed: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Features and the labels of steps of `count` scenes, cached until a script that makes them changes."""
    names = ("voices", "kokoro", "noise", "features", "texts", "command_data", "labels", "vad_data")
    sources = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in names)
    key = hashlib.sha256(sources + f"{split} {count} {seed} {SCENE_S}".encode()).hexdigest()[:16]
    kept = cache_dir() / "training" / f"vad-{split}-{key}.npz"
    if not kept.exists():
        rows, speech = examples(Script(split, seed), count, SCENE_S, seed + SPLITS.index(split))
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, rows=rows, speech=speech)
    with np.load(kept) as file:
        rows, speech = file["rows"], file["speech"]
    steps = rows.shape[1] // STEP_FRAMES
    return rows[:, : steps * STEP_FRAMES], np.array([step_labels(spoken, steps) for spoken in speech])


def masked(rows: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Some channels and some moments of each sequence [batch, frames, 40] blanked, so that none is relied on."""
    rows = rows.copy()
    for sequence in rows:
        for _ in range(rng.integers(0, 3)):
            low = int(rng.integers(0, 40))
            sequence[:, low : low + int(rng.integers(1, 6))] = 0
        for _ in range(rng.integers(0, 6)):
            begin = int(rng.integers(0, len(sequence)))
            sequence[begin : begin + int(rng.integers(1, 8))] = 0
    return rows


def train(seed: int, count: int, epochs: int) -> bytes:
    """A trained and quantised model."""
    import tensorflow as tf

    from models.training.export import reproducible, to_int8_tflite
    from models.training.network import Shape, Streaming

    reproducible(seed)
    rows, labels = cached_examples("train", count, seed)
    unheard, truth = cached_examples("validation", max(count // 5, BATCH), seed)
    shape = Shape(20, 5, ((5, 22), (11, 22), (21, 22)), 2, 1)
    model = shape.training_model(dropout=0.05)
    steps = epochs * (len(rows) // BATCH)
    rate = tf.keras.optimizers.schedules.CosineDecay(0.0, steps, alpha=0.01, warmup_target=0.004, warmup_steps=100)
    optimiser = tf.keras.optimizers.Adam(rate)

    @tf.function
    def update(given: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(given, training=True)[..., 0]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(wanted * 0.98 + 0.01, logits))
        optimiser.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    rng = np.random.default_rng([seed, 13])
    for epoch in range(epochs):
        order, losses = rng.permutation(len(rows)), []
        for at in range(0, len(rows) - BATCH + 1, BATCH):
            chosen = order[at : at + BATCH]
            losses.append(float(update(masked(dequantise(rows[chosen]), rng), labels[chosen])))
        if (epoch + 1) % 10 == 0 or epoch + 1 == epochs:
            said = model(dequantise(unheard), training=False).numpy()[..., 0] > 0
            right = float(np.mean(said == (truth > 0.5)))
            print(f"epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.4f}, validation {right:.2%} right", flush=True)
    return to_int8_tflite(Streaming(shape, model), list(rows[:CALIBRATED_SCENES]))


def manifest(model: bytes, seed: int) -> dict[str, object]:
    """What a program must know to run the model."""
    return {
        "type": "vad",
        "description": "voice activity, for endpointing",
        "version": 1,
        "model": "vad.tflite",
        "sha256": hashlib.sha256(model).hexdigest(),
        "author": "The bodydouble authors",
        "trained_languages": ["en"],
        "input": {"shape": [1, STEP_FRAMES, 40], "type": "int8", "scale": INPUT_SCALE, "zero_point": -128},
        "output": {"shape": [1, 1], "type": "uint8", "scale": 1 / 256, "zero_point": 0},
        "feature_step_size": 10,
        "begin": BEGIN,
        "stay": STAY,
        "deny": DENY,
        "lag_frames": LAG_FRAMES,
        "seed": seed,
    }


def main() -> None:
    """Train and write model and manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder of vad.tflite and vad.json")
    given = parser.parse_args()
    model = train(given.seed, given.scenes, given.epochs)
    given.out.joinpath("vad.tflite").write_bytes(model)
    given.out.joinpath("vad.json").write_text(json.dumps(manifest(model, given.seed), indent=2) + "\n")
    print(f"{len(model)} bytes, sha256 {hashlib.sha256(model).hexdigest()}")


if __name__ == "__main__":
    main()
