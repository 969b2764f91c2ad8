#!/usr/bin/env python3
"""Judges how well speech came through: PESQ, STOI, delay, gaps.

One pair:   judge.py [--narrow] [--json] REFERENCE.wav HEARD.wav
Many pairs: judge.py --batch JOBS.json      one JSON line per job, in their order

A job is {"name": ..., "reference": ..., "heard": ..., "scores": ["wide", "narrow"]}.
The files are 16-bit mono WAV of any rate. The heard file is aligned with the
reference first, as a whole and then segment by segment, so the scores say
nothing about delay; delay is told beside them:

  wide, narrow   PESQ of ITU-T P.862.2 at 16 kHz, P.862.1 at 8 kHz; mean and least
                 over segments of 4.5 s that hold speech. Identical sound has 4.64
                 and 4.55. Judge what went through G.711 by "narrow" only.
  stoi           short-time objective intelligibility, 0 to 1, mean over segments;
                 at 16 kHz inside, so all that G.711 takes away counts too
  delay_ms       of the whole, and the least and the greatest of any segment
  gaps           places where the reference speaks and nothing is heard for 20 ms
                 or more; how many, and the longest in ms; up to 3.4 kHz, so that an
                 "s" that G.711 takes away is none

Exit code 0: judged; 2: it could not be (one line on standard error says why).
Deterministic: the same files give the same figures.
"""

import argparse
import json
import multiprocessing
import sys
import wave

SEGMENT_S = 4.5
RATE = 16000
# A segment is judged when so much of it is speech, and this far below the
# loudest frame speech ends.
LEAST_SPEECH = 0.4
SPEECH_DB = 35.0
# How far apart two files may lie, and a segment from the whole.
MOST_DELAY_S = 2.0
MOST_SHIFT_S = 0.2


class Unfit(Exception):
    """The files cannot be judged."""


def read(path):
    import numpy

    try:
        with wave.open(path, "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise Unfit(f"{path}: not 16-bit mono")
            rate = file.getframerate()
            frames = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise Unfit(f"{path}: {error}") from error
    sound = numpy.frombuffer(frames, dtype="<i2").astype(numpy.float64) / 32768.0
    return resample(sound, rate, RATE)


def resample(sound, rate, to):
    from math import gcd

    from scipy.signal import resample_poly

    if rate == to:
        return sound
    common = gcd(rate, to)
    return resample_poly(sound, to // common, rate // common)


def lag(reference, heard, most):
    """By how many samples `heard` comes later, at most `most` either way."""
    import numpy

    size = 1 << (len(reference) + len(heard) - 1).bit_length()
    product = numpy.fft.rfft(heard, size) * numpy.conj(numpy.fft.rfft(reference, size))
    likeness = numpy.fft.irfft(product, size)
    lags = numpy.concatenate([likeness[-most:], likeness[: most + 1]])
    return int(numpy.argmax(lags)) - most


def piece(sound, start, length):
    """A part of it, with silence where there is none."""
    import numpy

    end = start + length
    part = sound[max(start, 0) : max(end, 0)]
    before = min(max(-start, 0), length)
    return numpy.pad(part, (before, length - before - len(part)))


def levels(sound, rate=RATE):
    """In dB, per frame of 20 ms."""
    import numpy

    frame = rate // 50
    frames = sound[: len(sound) // frame * frame].reshape(-1, frame)
    return 10 * numpy.log10(numpy.mean(frames**2, axis=1) + 1e-12)


def narrowed(sound):
    """What a telephone would let through, at 8 kHz."""
    from scipy.signal import firwin, lfilter

    low_pass = firwin(129, 3400, fs=RATE)
    return resample(lfilter(low_pass, 1.0, sound), RATE, 8000)


def gaps(reference, heard):
    """Runs of frames where the one speaks and the other is silent."""
    spoken, came = (levels(narrowed(sound), 8000) for sound in (reference, heard))
    loudest = spoken.max()
    # Overall gain is no gap.
    came = came + (loudest - came.max())
    runs, run = [], 0
    for said, got in zip(spoken, came):
        if said > loudest - 25.0 and got < said - 25.0:
            run += 1
        elif run:
            runs.append(run)
            run = 0
    if run:
        runs.append(run)
    return runs


def judge(job):
    import numpy
    from pesq import PesqError, pesq
    from pystoi import stoi

    reference, heard = read(job["reference"]), read(job["heard"])
    if not len(reference) or not len(heard):
        raise Unfit(f"{job['name']}: an empty file")
    whole = lag(reference, heard, int(MOST_DELAY_S * RATE))
    length = int(SEGMENT_S * RATE)
    loudest = levels(reference).max()
    scores = {kind: [] for kind in job["scores"]}
    clear, delays, runs = [], [], []
    for start in range(0, len(reference) - length + 1, length):
        said = reference[start : start + length]
        if numpy.mean(levels(said) > loudest - SPEECH_DB) < LEAST_SPEECH:
            continue
        margin = int(MOST_SHIFT_S * RATE)
        around = piece(heard, start + whole - margin, length + 2 * margin)
        shift = lag(said, around, 2 * margin) - margin
        got = piece(heard, start + whole + shift, length)
        delays.append((whole + shift) * 1000 / RATE)
        runs += gaps(said, got)
        clear.append(stoi(said, got, RATE))
        for kind, values in scores.items():
            try:
                if kind == "wide":
                    values.append(pesq(RATE, said, got, "wb"))
                else:
                    narrow = [resample(sound, RATE, 8000) for sound in (said, got)]
                    values.append(pesq(8000, *narrow, "nb"))
            except PesqError:
                # No utterance was found in what was heard: as bad as it gets.
                values.append(1.0)
    if not delays:
        raise Unfit(f"{job['name']}: no segment of {SEGMENT_S} s with speech")
    result = {
        "name": job["name"],
        "segments": len(delays),
        "stoi": float(numpy.mean(clear)),
        "delay_ms": whole * 1000 / RATE,
        "least_delay_ms": min(delays),
        "greatest_delay_ms": max(delays),
        "gaps": len(runs),
        "longest_gap_ms": max(runs, default=0) * 20,
    }
    for kind, values in scores.items():
        result[kind] = {"mean": float(numpy.mean(values)), "least": float(min(values))}
    return result


def attempt(job):
    try:
        return judge(job)
    except Unfit as error:
        return error


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="WAV", help="reference, then heard")
    parser.add_argument("--batch", metavar="JOBS.json", help="a list of jobs; - is standard input")
    parser.add_argument("--narrow", action="store_true", help="PESQ-NB only: through G.711")
    parser.add_argument("--json", action="store_true", help="one line of JSON for one pair")
    words = parser.parse_args()
    if words.batch and not words.files:
        source = sys.stdin if words.batch == "-" else open(words.batch, encoding="utf-8")
        with source:
            jobs = json.load(source)
    elif len(words.files) == 2:
        scores = ["narrow"] if words.narrow else ["wide", "narrow"]
        reference, heard = words.files
        jobs = [{"name": heard, "reference": reference, "heard": heard, "scores": scores}]
    else:
        parser.error("give two files, or --batch and none")
    if len(jobs) == 1:
        results = [attempt(jobs[0])]
    else:
        with multiprocessing.Pool() as pool:
            results = pool.map(attempt, jobs, chunksize=1)
    for result in results:
        if isinstance(result, Unfit):
            sys.exit(complain(result))
        if words.batch or words.json:
            print(json.dumps(result))
        else:
            for figure, value in result.items():
                print(f"{figure:18} {told(value)}")


def complain(error):
    print(f"judge: {error}", file=sys.stderr)
    return 2


def told(value):
    if isinstance(value, dict):
        return "  ".join(f"{name} {number:.2f}" for name, number in value.items())
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
