"""Prints how well the committed model hears commands: python -m models.training.evaluate_command

All voices are the test voices: training never hears them, and no cutoff is computed on them. The model runs in
tflite-micro. Recordings of people can be added: `--other FOLDER` of speech that holds no command by itself, and
`--said yes:FILE` of a command. Needs the `train` extra, flite and espeak-ng.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from models.training import noise
from models.training.command_data import COMMANDS, Line, Scene, Script, Spoken, talk
from models.training.command_rule import Rule, Tally, hear, judge
from models.training.voices import ALL_ENGINES, RATE_HZ, Samples, speak, speakers

FOLDER = Path(__file__).parent.parent
SEED = 1
SNRS_DB = (60, 20, 10, 5)
NATURAL = ("flite", "kokoro", "piper", "kokoro-en")


def load() -> tuple[bytes, Rule]:
    """The committed model, checked against its manifest, and its rule."""
    manifest = json.loads((FOLDER / "command.json").read_text())
    cutoffs = tuple(manifest["probability_cutoffs"][command] for command in COMMANDS)
    rule = Rule(cutoffs, manifest["sliding_window_size"], manifest["hold_off_steps"])
    return (FOLDER / manifest["model"]).read_bytes(), rule


def clip(said: Samples, label: int, kind: str, snr_db: float, rng: np.random.Generator, room: bool = False) -> Scene:
    """One utterance after 1.5 s of noise and before 1 s of it."""
    speech = np.concatenate([np.zeros(RATE_HZ * 3 // 2, np.float32), said, np.zeros(RATE_HZ, np.float32)])
    if room:
        speech = noise.reverberate(speech, noise.impulse_response(0.4, 3.0, rng))
    murmurers = speakers("test", ("espeak-ng",)) if kind == "babble" else []
    murmur = [speak("I would rather not say anything about it.", voice) for voice in murmurers]
    mixed = noise.mix(speech, noise.noise(kind, speech.size, rng, murmur), snr_db)
    return Scene(noise.to_pcm(mixed * np.float32(0.5)), (Spoken(label, 1.5, 1.5 + said.size / RATE_HZ),))


def commands(lines: list[Line], snr_db: float, room: bool = False) -> Iterator[Scene]:
    """Each of the lines once, over noises in turn."""
    rng = np.random.default_rng([SEED, int(snr_db), room])
    for i, line in enumerate(lines):
        yield clip(speak(line.text, line.voice), line.label, noise.KINDS[i % len(noise.KINDS)], snr_db, rng, room)


def noises(script: Script, seconds: float) -> Iterator[Scene]:
    """All noises in turn, babble among them, a minute each, at levels from faint to loud."""
    rng = np.random.default_rng([SEED, 2])
    said = [speak(line.text, line.voice) for line in script.sentences[:20]]
    for i in range(int(seconds / 60)):
        made = noise.noise(noise.KINDS[i % len(noise.KINDS)], 60 * RATE_HZ, rng, said)
        yield Scene(noise.to_pcm(made * np.float32(10 ** (rng.uniform(-60, -12) / 20))), ())


def recording(path: Path) -> npt.NDArray[np.float32]:
    """A recording as mono at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(soxr.resample(samples.mean(axis=1), rate_hz, RATE_HZ, "HQ"), np.float32)


def recordings(folder: Path) -> Iterator[Scene]:
    """Every recording in `folder`, each after 1 s of faint noise."""
    rng = np.random.default_rng([SEED, 3])
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".wav", ".flac", ".ogg")):
        samples = np.concatenate([np.zeros(RATE_HZ, np.float32), recording(path), np.zeros(RATE_HZ, np.float32)])
        faint = noise.noise("pink", samples.size, rng) * np.float32(1e-3)
        yield Scene(noise.to_pcm(samples + faint), ())


def main() -> None:
    """Print the tables of the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="of other speech, and as much of noise")
    parser.add_argument("--other", type=Path, action="append", default=[], help="folder of recorded speech")
    parser.add_argument("--said", action="append", default=[], metavar="COMMAND:FILE", help="recording of a command")
    given = parser.parse_args()
    model, rule = load()
    script = Script("test", SEED, ALL_ENGINES)
    lines = [line for of_command in script.commands for line in of_command]
    columns = [(f"{snr} dB" if snr < 60 else "clean", snr, False) for snr in SNRS_DB] + [("room, 20 dB", 20, True)]
    table = {}
    for title, snr_db, room in columns:
        for group, engines in (("natural", NATURAL), ("espeak-ng", ("espeak-ng",))):
            chosen = [line for line in lines if line.voice.engine in engines]
            table[title, group] = judge(rule, hear(model, commands(chosen, snr_db, room)))
    print_recall(table, [title for title, *_ in columns])
    print_confusion(table["10 dB", "natural"])
    print("\n| what | hours | false accepts per hour | of which |\n| --- | --- | --- | --- |")
    sources = [
        (f"{kinds} by test voices", talk(script, kinds, given.hours * 3600, SEED)) for kinds in ("sentences", "words")
    ]
    sources += [("noise", noises(script, given.hours * 3600))]
    sources += [(folder.name, recordings(folder)) for folder in given.other]
    for what, made in sources:
        tally = judge(rule, hear(model, made))
        which = ", ".join(f"{c} {n}" for c, n in zip(COMMANDS, tally.false_accepts, strict=True) if n)
        print(f"| {what} | {tally.seconds / 3600:.2f} | {tally.false_accepts_per_hour:.1f} | {which or '-'} |")
    for said in given.said:
        command, _, path = said.partition(":")
        scene = clip(recording(Path(path)), COMMANDS.index(command), "pink", 60, np.random.default_rng(SEED))
        heard = [COMMANDS[d.label] for d in rule.decide(hear(model, [scene])[0].outputs)]
        print(f"recording of {command}: heard {', '.join(heard) or 'nothing'}")


def print_recall(table: dict[tuple[str, str], Tally], titles: list[str]) -> None:
    """Recall in per cent, natural voices / espeak-ng's."""
    groups = ("natural", "espeak-ng")
    print(f"| command | {' | '.join(titles)} |\n| --- |{' --- |' * len(titles)}")
    for i, command in enumerate(COMMANDS):
        cells = [" / ".join(f"{table[title, group].recall[i] * 100:.0f}" for group in groups) for title in titles]
        print(f"| {command} | {' | '.join(cells)} |")
    for name, figure in (("mean recall", lambda t: t.recall.mean()), ("heard as another", lambda t: t.mistaken)):
        cells = [" / ".join(f"{figure(table[title, group]) * 100:.1f}" for group in groups) for title in titles]
        print(f"| **{name}** | {' | '.join(cells)} |")
    delays = np.concatenate([table[titles[0], group].delays_s for group in groups])
    print(f"\ndecided after the end of a clean command: median {np.median(delays):.2f} s, ", end="")
    print(f"95 % within {np.percentile(delays, 95):.2f} s")


def print_confusion(tally: Tally) -> None:
    """Rows that were said, columns that were heard."""
    print(f"\n| said | {' | '.join(COMMANDS)} | nothing |\n| --- |{' --- |' * (len(COMMANDS) + 1)}")
    for command, row in zip(COMMANDS, tally.confusion, strict=True):
        print(f"| {command} | {' | '.join(str(n) if n else '' for n in row)} |")


if __name__ == "__main__":
    main()
