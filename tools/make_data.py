"""Write models/data from the data sets that come with scikit-learn.

Run by hand, in an environment of its own, when the files are to be made again:

    python -m venv /tmp/make-data && /tmp/make-data/bin/pip install scikit-learn
    /tmp/make-data/bin/python tools/make_data.py

scikit-learn is needed for nothing else. The files come out the same byte for byte.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from sklearn import datasets

FOLDER = Path(__file__).resolve().parent.parent / "models" / "data"
IRIS = ("sepal_length", "sepal_width", "petal_length", "petal_width", "species")
WINE = (
    "alcohol",
    "malic_acid",
    "ash",
    "alcalinity_of_ash",
    "magnesium",
    "total_phenols",
    "flavanoids",
    "nonflavanoid_phenols",
    "proanthocyanins",
    "color_intensity",
    "hue",
    "od280_od315",
    "proline",
    "cultivar",
)
DIABETES = (
    "age",
    "sex",
    "bmi",
    "blood_pressure",
    "tc",
    "ldl",
    "hdl",
    "tch",
    "ltg",
    "glu",
    "progression",
)


def digits() -> None:
    """Images of 8 x 8 grey values 0..16, as rows of 64 bytes, and their digits."""
    data, labels = datasets.load_digits(return_X_y=True)
    arrays = {"images": data.astype(np.uint8), "labels": labels.astype(np.uint8)}
    path = FOLDER / "digits.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, array, allow_pickle=False)
            # A fixed date, so that the same data make the same file.
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(2000, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, stream.getvalue(), compresslevel=9)


def iris() -> None:
    bunch = datasets.load_iris()
    species = [str(bunch.target_names[k]) for k in bunch.target]
    table("iris.csv", IRIS, bunch.data.tolist(), species)


def wine() -> None:
    bunch = datasets.load_wine()
    cultivars = [f"cultivar_{k + 1}" for k in bunch.target]
    table("wine.csv", WINE, bunch.data.tolist(), cultivars)


def diabetes() -> None:
    """The measurements as they were taken, not the scaled ones."""
    bunch = datasets.load_diabetes(scaled=False)
    table("diabetes.csv", DIABETES, bunch.data.tolist(), [int(y) for y in bunch.target])


def table(
    name: str, header: Sequence[str], rows: Iterable[Sequence[float]], last: Sequence[object]
) -> None:
    with (FOLDER / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row, end in zip(rows, last, strict=True):
            writer.writerow([*(f"{value:.10g}" for value in row), end])


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    digits()
    iris()
    wine()
    diabetes()


if __name__ == "__main__":
    main()
