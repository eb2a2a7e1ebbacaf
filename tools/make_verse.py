"""Write models/data/verse.npz: stretches of models/data/verse.txt, for models of characters.

Run by hand when the text changes; needs NumPy only. `before` holds 100 characters, `after` the
same moved by one: what a model of the text predicts. Letters are small, a line's end is `/`.
The file comes out the same byte for byte.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "models" / "data"
LENGTH = 100
STRIDE = 7


def main() -> None:
    text = (FOLDER / "verse.txt").read_text(encoding="utf-8").lower().strip()
    characters = np.array(list(text.replace("\n", "/")))
    starts = range(0, len(characters) - LENGTH, STRIDE)
    columns = {
        "before": np.stack([characters[s : s + LENGTH] for s in starts]),
        "after": np.stack([characters[s + 1 : s + 1 + LENGTH] for s in starts]),
    }
    for name, values in columns.items():
        print(name, values.shape, f"{len(np.unique(values))} characters")
    with zipfile.ZipFile(FOLDER / "verse.npz", "w") as archive:
        for name, values in columns.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, values, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(2000, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue(), compresslevel=9)


if __name__ == "__main__":
    main()
