"""Public architectures as their authors initialize them, with verdict and first loss, for docs/public_models.md:

    python -m benchmarks.public_models

Small configurations of public libraries' own classes (those of tests/test_public_models.py and tests/test_public_verdicts.py), in training
mode, randomly initialized from seed 0. Nothing is downloaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import initviz as iv
from benchmarks.common import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))


def table() -> Table:
    from test_public_models import MODELS
    from test_public_verdicts import FRESH

    rows = []
    for name, (make, x) in sorted((MODELS | FRESH).items()):
        torch.manual_seed(0)
        model = make().train()
        report = iv.probe(model, x)
        first = report.first_loss
        loss = f"{report.loss:.2f} (ln {first.classes} = {first.chance:.2f})" if first and first.classes else "-"
        size = sum(p.numel() for p in model.parameters())
        rows.append((name, f"{size:,}", len(report.reached), iv.verdict(report).kind, loss))
    return Table(
        f"{len(rows)} architectures",
        ("model", "parameters", "layers", "verdict", "first loss"),
        tuple(rows),
    )


def main() -> None:
    found = table()
    stable = sum(row[3] == "stable" for row in found.rows)
    page = f"""# Public architectures, fresh from their code

    python -m benchmarks.public_models

Transformers, convolutional and recurrent networks of Hugging Face transformers, MONAI and torch, in small configurations and as their
authors initialize them (seed 0, training mode; nothing is downloaded): {stable} of {len(found.rows)} are judged stable. A first loss is
there where the model computes its own; a guess among V tokens has ln V.

"""
    (ROOT / "docs" / "public_models.md").write_text(page + found.text(markdown=True), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
