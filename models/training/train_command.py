"""Trains `models/command.tflite` and writes its manifest: python -m models.training.train_command --seed 1

The same seed, packages and processor give the same file. Takes about ten minutes, and longer once for the voices and
scenes, which stay in the cache. Needs the `train` extra, flite, espeak-ng, and festival with its three voices.
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
    talk,
)
from models.training.command_rule import Rule, Tally, hear, judge
from models.training.features import INPUT_SCALE, dequantise
from models.training.voices import ALL_ENGINES

FOLDER = Path(__file__).parent.parent
SCENE_S = 12.0
CALIBRATED_SCENES = 30
HEARD_STEPS = 210  # of a scene, at a time
UNSURE_STEPS = 40
GRID = tuple(float(cutoff) for cutoff in np.round(np.arange(0.5, 0.99, 0.03), 2))
BATCH = 8
HARD = 1.5  # how much more a command that nobody said counts, the surer the model is of it
TARGET = {"sentences": 40.0, "words": 1000.0}  # false accepts per hour, of validation voices


def cached_examples(split: str, count: int, seed: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """`examples` of `split`, kept in the cache until a script that makes them changes."""
    names = ("voices", "kokoro", "vocabulary", "noise", "features", "texts", "command_data")
    sources = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in names)
    key = hashlib.sha256(sources + f"{split} {count} {seed} {SCENE_S}".encode()).hexdigest()[:16]
    kept = cache_dir() / "training" / f"command-{split}-{key}.npz"
    if not kept.exists():
        rows, labels = examples(Script(split, seed, ALL_ENGINES), count, SCENE_S, seed)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, rows=rows, labels=labels)
    with np.load(kept) as file:
        return file["rows"], file["labels"]


def targets(labels: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
    """[..., labels + 1]: one-hot, and in the last column how much a step counts."""
    hot = (labels[..., np.newaxis] == np.arange(len(LABELS))).astype(np.float32)
    weight = np.select([labels == IGNORED, labels == SILENCE, labels == OTHER], [0.0, 0.3, 1.0], 4.0)
    return np.concatenate([hot, weight[..., np.newaxis].astype(np.float32)], axis=-1)


def varied(
    rows: npt.NDArray[np.float32], labels: npt.NDArray[np.int8], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """Features [batch, frames, 40] and labels [batch, HEARD_STEPS] as if from further speakers and microphones.

    Each is a part of its scene, faster or slower, round the end to the beginning where need be; its channels are
    stretched and shifted (another vocal tract), then raised and lowered along a smooth curve (another microphone);
    some channels and some moments are blanked, so that none is relied on.
    """
    steps, frames, channels = np.arange(HEARD_STEPS), np.arange(HEARD_STEPS * STEP_FRAMES), np.arange(40)
    made = np.empty((len(rows), len(frames), 40), np.float32)
    told = np.empty((len(rows), len(steps)), np.int8)
    for sequence, label, new, new_label in zip(rows, labels, made, told, strict=True):
        speed, begin = rng.uniform(0.85, 1.18), int(rng.integers(0, len(label)))
        when = begin * STEP_FRAMES + frames * speed
        first, part = when.astype(int) % len(sequence), (when % 1)[:, np.newaxis].astype(np.float32)
        timed = sequence[first] * (1 - part) + sequence[(first + 1) % len(sequence)] * part
        new_label[:] = label[(begin + np.round(steps * speed).astype(int)) % len(label)]
        new_label[:UNSURE_STEPS][new_label[:UNSURE_STEPS] < len(COMMANDS)] = IGNORED  # their beginning was cut off
        source = np.clip(channels * (1 + rng.uniform(-0.1, 0.1)) + rng.uniform(-2, 2), 0, 39)
        low = np.minimum(source.astype(int), 38)
        new[:] = timed[:, low] * (low + 1 - source) + timed[:, low + 1] * (source - low)
        curve = rng.uniform(-1, 1)
        for waves in (1, 2, 3):
            curve = curve + rng.uniform(-0.7, 0.7) * np.cos(np.pi * waves * channels / 39 + rng.uniform(0, np.pi))
        new[:] = np.clip(new + curve * (new > 0), 0, 26)
        for _ in range(rng.integers(0, 2)):
            low_channel = int(rng.integers(0, 40))
            new[:, low_channel : low_channel + int(rng.integers(1, 7))] = 0
        for _ in range(rng.integers(0, 3)):
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
    shape = Shape(48, 5, ((5, 72), (9, 80), (13, 80), (17, 80)), 6, len(LABELS))
    model = shape.training_model(dropout=0.0)
    steps = epochs * (len(rows) // BATCH)
    rate = tf.keras.optimizers.schedules.CosineDecay(0.0, steps, alpha=0.01, warmup_target=0.003, warmup_steps=200)
    optimiser = tf.keras.optimizers.Adam(rate)

    commands = tf.constant([1.0] * len(COMMANDS) + [0.0] * (len(LABELS) - len(COMMANDS)))

    @tf.function
    def update(given: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(given, training=True)
            hot, weight = wanted[..., :-1], wanted[..., -1]
            loss = tf.nn.sigmoid_cross_entropy_with_logits(hot * 0.98 + 0.005, logits)
            surely_wrong = tf.stop_gradient(tf.sigmoid(logits)) * (1 - hot) * commands
            loss *= 1 + HARD * surely_wrong
            loss = tf.reduce_sum(tf.reduce_sum(loss, -1) * weight) / tf.reduce_sum(weight)
        optimiser.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    rng = np.random.default_rng([seed, 3])
    for epoch in range(epochs):
        order, losses = rng.permutation(len(rows)), []
        for at in range(0, len(rows) - BATCH + 1, BATCH):
            chosen = order[at : at + BATCH]
            heard, due = varied(dequantise(rows[chosen]), labels[chosen], rng)
            losses.append(float(update(heard, targets(due))))
        print(f"epoch {epoch + 1}/{epochs}: loss {np.mean(losses):.4f}", flush=True)
    return to_int8_tflite(Streaming(shape, model), list(rows[:CALIBRATED_SCENES]))


def tune(model: bytes, seed: int, count: int, hours: float) -> tuple[Rule, dict[str, Tally]]:
    """The cutoffs that keep to `TARGET` and lose the fewest commands, all on validation voices.

    Half of both targets is as good as one and none of the other. From the lowest cutoffs on, that command's is raised
    which saves the most false accepts for what it loses; the fewer a command has left, the dearer they are.
    """
    script = Script("validation", seed, ALL_ENGINES)
    heard = {"commands": hear(model, scenes(script, count, SCENE_S, seed))}
    heard |= {kinds: hear(model, talk(script, kinds, hours * 3600, seed)) for kinds in TARGET}
    recall = np.zeros((len(GRID), len(COMMANDS)))
    excess = np.zeros_like(recall)  # false accepts, in units of what the target allows
    for row, cutoff in enumerate(GRID):
        rule = Rule((cutoff,) * len(COMMANDS))
        recall[row] = judge(rule, heard["commands"]).recall
        for kinds, allowed in TARGET.items():
            tally = judge(rule, heard[kinds])
            excess[row] += tally.false_accepts / (tally.seconds / 3600) / allowed / len(TARGET)
    chosen, columns = np.zeros(len(COMMANDS), int), np.arange(len(COMMANDS))
    while excess[chosen, columns].sum() > 1 and (chosen < len(GRID) - 1).any():
        best = (-1.0, 0, 0)
        for column in columns:
            now = chosen[column]
            for row in range(now + 1, len(GRID)):
                saved = excess[now, column] - excess[row, column]
                lost = max((1 - recall[row, column]) ** 2 - (1 - recall[now, column]) ** 2, 0.0) + 1e-3
                best = max(best, (saved / lost, int(column), row))
        chosen[best[1]] = best[2]
    rule = Rule(tuple(GRID[row] for row in chosen))
    return rule, {kinds: judge(rule, made) for kinds, made in heard.items()}


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
    parser.add_argument("--scenes", type=int, default=2100, help="of 12 s, to train on")
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for command.tflite and command.json")
    given = parser.parse_args()
    model = train(given.seed, given.scenes, given.epochs)
    (given.out / "command.tflite").write_bytes(model)
    rule, tallies = tune(model, given.seed, 300, 1.0)
    text = json.dumps(manifest(model, rule, given.seed), indent=2) + "\n"
    (given.out / "command.json").write_text(text)
    print(f"{len(model)} bytes, sha256 {hashlib.sha256(model).hexdigest()}")
    said = ", ".join(f"{what} {tallies[what].false_accepts_per_hour:.1f}" for what in TARGET)
    print(f"validation: recall {tallies['commands'].recall.mean():.3f}, false accepts per hour of {said}")


if __name__ == "__main__":
    main()
