"""The neuron of the lecture, looked at: every gate, one gradient in words, a picture, and a page to step through."""

import argparse
from pathlib import Path

import symgrad

AT = {"w0": 2.0, "w1": -3.0, "w2": -3.0, "x0": -1.0, "x1": -2.0}


def main(out: Path = Path("pictures")) -> str:
    """Prints the trace and an explanation, draws the circuit; gives the explanation."""
    kernel = symgrad.compile(Path(__file__).with_name("neuron.txt").read_text(encoding="utf-8"))
    trace = kernel.trace(**AT)
    print(trace)
    print()
    explained = trace.explain("w0")
    print(explained)

    saturated = kernel.trace(**{**AT, "w2": 30.0})
    print()
    print(*saturated.findings, sep="\n")

    drawing = kernel.draw(**AT, level="elementary")  # the sigmoid as its gates
    out.mkdir(parents=True, exist_ok=True)
    drawing.save(out / "neuron.svg")
    drawing.save(out / "neuron.html")
    return explained


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures (default: pictures)")
    main(parser.parse_args().out)
