"""Trains `models/command.tflite` and writes its manifest: python -m models.training.train_command --seed 1

The same seed, packages and processor give the same file. Takes about 15 minutes on one core, and once as long for the
voices, which stay in the cache. Needs the `train` extra, flite, espeak-ng, and festival with its three voices.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bodydouble.resources import cache_dir
from models.training.command_data import (
    COMMANDS,
    IGNORED,
    LABELS,
    OTHER,
    SILENCE,
    STEP_FRAMES,
    Script,
    examples,
    scenes,
)
from models.training.command_rule import Rule, Tally, run_model
from models.training.features import INPUT_SCALE, dequantise, features

FOLDER = Path(__file__).parent.parent
SCENE_S = 12.0
CALIBRATED_SCENES = 30


def cached_examples(split: str, count: int, seed: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """`examples` of `split`, kept in the cache until a script that makes them changes."""
    names = ("voices", "noise", "features", "texts", "command_data")
    sources = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in names)
    key = hashlib.sha256(sources + f"{split} {count} {seed} {SCENE_S}".encode()).hexdigest()[:16]
    kept = cache_dir() / "training" / f"command-{split}-{key}.npz"
    if not kept.exists():
        rows, labels = examples(Script(split, seed), count, SCENE_S, seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, rows=rows, labels=labels)
    with np.load(kept) as file:
        return file["rows"], file["labels"]


def targets(labels: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    """[..., labels + 1]: one-hot, and in the last column how much a step counts."""
    hot = (labels[..., np.newaxis] == np.arange(len(LABELS))).astype(np.float32)
    weight = np.select([labels == IGNORED, labels == SILENCE, labels == OTHER], [0.0, 0.3, 1.0], 2.5)
    return np.concatenate([hot, weight[..., np.newaxis].astype(np.float32)], axis=-1)


def varied(
    rows: npt.NDArray[np.float32], labels: npt.NDArray[np.int8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Features [batch, frames, 40] and labels [batch, steps] as if from further speakers and microphones.

    Each sequence runs faster or slower, round its end to its beginning where need be; its channels are stretched and
    shifted (another vocal tract), then raised and lowered along a smooth curve (another microphone); some channels
    and some moments are blanked, so that none is relied on.
    """
    made, told = np.empty_like(rows), np.empty_like(labels)
    frames, channels = np.arange(rows.shape[1]), np.arange(40)
    steps = np.arange(labels.shape[1])
    for sequence, label, new, new_label in zip(rows, labels, made, told, strict=True):
        speed, begin = rng.uniform(0.85, 1.18), int(rng.integers(0, len(steps)))
        when = begin * STEP_FRAMES + frames * speed
        first, part = when.astype(int) % len(frames), (when % 1)[:, np.newaxis].astype(np.float32)
        timed = sequence[first] * (1 - part) + sequence[(first + 1) % len(frames)] * part
        new_label[:] = label[(begin + np.round(steps * speed).astype(int)) % len(steps)]
        source = np.clip(channels * (1 + rng.uniform(-0.1, 0.1)) + rng.uniform(-2, 2), 0, 39)
        low = np.minimum(source.astype(int), 38)
        new[:] = timed[:, low] * (low + 1 - source) + timed[:, low + 1] * (source - low)
        curve = rng.uniform(-1, 1)
        for waves in (1, 2, 3):
            curve = curve + rng.uniform(-1.2, 1.2) * np.cos(np.pi * waves * channels / 39 + rng.uniform(0, np.pi))
        new[:] = np.clip(new + curve * (new > 0), 0, 26)
        for _ in range(rng.integers(0, 3)):
            low_channel = int(rng.integers(0, 40))
            new[:, low_channel : low_channel + int(rng.integers(1, 7))] = 0
        for _ in range(rng.integers(0, 6)):
            blank = int(rng.integers(0, len(new)))
            new[blank : blank + int(rng.integers(1, 8))] = 0
    return made, told


def train(seed: int, count: int, epochs: int) -> bytes:
    """A trained and quantised model."""
    import tensorflow as tf

    from models.training.export import reproducible, to_int8_tflite
    from models.training.network import Shape, Streaming

    reproducible(seed)
    rows, labels = cached_examples("train", count, seed)
    shape = Shape(40, 5, ((5, 48), (9, 56), (13, 56), (17, 56)), 6, len(LABELS))
    model = shape.training_model(dropout=0.15)
    batch = 16
    steps = epochs * (len(rows) // batch)
    rate = tf.keras.optimizers.schedules.CosineDecay(0.0, steps, alpha=0.01, warmup_target=0.003, warmup_steps=200)
    optimiser = tf.keras.optimizers.Adam(rate)

    @tf.function
    def update(given: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(given, training=True)
            hot, weight = wanted[..., :-1], wanted[..., -1]
            loss = tf.nn.sigmoid_cross_entropy_with_logits(hot * 0.98 + 0.005, logits)
            loss = tf.reduce_sum(tf.reduce_sum(loss, -1) * weight) / tf.reduce_sum(weight)
        optimiser.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    rng = np.random.default_rng([seed, 3])
    for epoch in range(epochs):
        order, losses = rng.permutation(len(rows)), []
        for at in range(0, len(rows) - batch + 1, batch):
            chosen = order[at : at + batch]
            heard, due = varied(dequantise(rows[chosen]), labels[chosen], rng)
            losses.append(float(update(heard, targets(due))))
        print(f"epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.4f}", flush=True)
    return to_int8_tflite(Streaming(shape, model), list(rows[:CALIBRATED_SCENES]))


def tune(model: bytes, seed: int, count: int) -> tuple[Rule, Tally]:
    """The cutoffs that serve the validation voices best: each command's lowest that gives few false accepts."""
    made = list(scenes(Script("validation", seed), count, SCENE_S, seed))
    outputs = run_model(model, [features(scene.pcm) for scene in made])
    grid = np.round(np.arange(0.3, 0.96, 0.05), 2)
    tallies = []
    for cutoff in grid:
        rule, tally = Rule((float(cutoff),) * len(COMMANDS)), Tally()
        for scene, output in zip(made, outputs, strict=True):
            tally.add(scene.spoken, rule.decide(output), SCENE_S)
        tallies.append(tally)
    hours = count * SCENE_S / 3600
    cost = np.array([(1 - t.recall) * 100 + t.false_accepts / hours + _taken(t) for t in tallies])
    rule = Rule(tuple(float(grid[i]) for i in np.argmin(cost, axis=0)))
    tally = Tally()
    for scene, output in zip(made, outputs, strict=True):
        tally.add(scene.spoken, rule.decide(output), SCENE_S)
    return rule, tally


def _taken(tally: Tally) -> npt.NDArray[np.float64]:
    """How many in a hundred commands were heard as this other command."""
    return (tally.confusion[:, :-1].sum(axis=0) - np.diag(tally.confusion)) / max(tally.confusion.sum(), 1) * 1200


def manifest(model: bytes, rule: Rule, seed: int) -> dict[str, object]:
    """What a program must know to run the model."""
    return {
        "type": "command",
        "description": "twelve spoken commands",
        "version": 1,
        "model": "command.tflite",
        "sha256": hashlib.sha256(model).hexdigest(),
        "author": "The bodydouble authors",
        "trained_languages": ["en"],
        "labels": list(LABELS),
        "commands": len(COMMANDS),
        "input": {"shape": [1, 3, 40], "type": "int8", "scale": INPUT_SCALE, "zero_point": -128},
        "output": {"shape": [1, len(LABELS)], "type": "uint8", "scale": 1 / 256, "zero_point": 0},
        "feature_step_size": 10,
        "sliding_window_size": rule.window,
        "hold_off_steps": rule.hold_off,
        "probability_cutoffs": dict(zip(COMMANDS, rule.cutoffs, strict=True)),
        "seed": seed,
    }


def main() -> None:
    """Train, tune, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=2000, help="of 12 s, to train on")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for command.tflite and command.json")
    given = parser.parse_args()
    model = train(given.seed, given.scenes, given.epochs)
    (given.out / "command.tflite").write_bytes(model)
    rule, tally = tune(model, given.seed, 300)
    text = json.dumps(manifest(model, rule, given.seed), indent=2) + "\n"
    (given.out / "command.json").write_text(text)
    print(f"{len(model)} bytes, sha256 {hashlib.sha256(model).hexdigest()}")
    print(f"validation: recall {tally.recall.mean():.3f}, false accepts per hour {tally.false_accepts_per_hour:.1f}")


if __name__ == "__main__":
    main()
