"""The rig's readings, standardized by the columns of the normal ones, and how well scores tell its faults."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

FEATURES = ["ts1", "ts2", "ts3", "ts4", "vs1", "ce", "cp", "se"]


@dataclass
class Rig:
    """Rows are seconds; 60 of them are a load cycle."""

    normal: np.ndarray
    test: np.ndarray
    anomalous: np.ndarray
    cycle: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Rig":
        normal, test = (table(folder / name) for name in ("train_normal.csv", "test.csv"))
        normal_features, test_features = features(normal), features(test)
        mean, deviation = normal_features.mean(axis=0), normal_features.std(axis=0)
        return cls(
            normal=(normal_features - mean) / deviation,
            test=(test_features - mean) / deviation,
            anomalous=np.array([int(row["anomaly"]) for row in test]),
            cycle=np.array([int(row["cycle"]) for row in test]),
        )

    def auroc(self, scores: np.ndarray) -> tuple[float, float]:
        """Of single test readings, and of the mean scores of whole cycles."""
        cycles = np.unique(self.cycle)
        of_cycles = [scores[self.cycle == cycle].mean() for cycle in cycles]
        labels = [self.anomalous[self.cycle == cycle][0] for cycle in cycles]
        return roc_auc_score(self.anomalous, scores), roc_auc_score(labels, of_cycles)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def features(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([[float(row[feature]) for feature in FEATURES] for row in rows])
