"""Fits the peers' models to the rig's normal readings and writes them as each library takes them: see the README.

train.py DATA OUT
"""

import json
import sys
from pathlib import Path

import numpy as np
from quantization import quantize
from rig import Rig
from rust_source import rust_source
from sklearn.covariance import EllipticEnvelope
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPRegressor
from tflite_file import tflite_file

SEEDS = range(5)

HIDDEN = (32, 8, 32)

COMPONENTS = 8


def main(data: Path, out: Path) -> None:
    rig = Rig.read(data)
    # Early stopping on a tenth of the rows: trained to the end, the autoencoder reconstructs faults as well.
    autoencoders = [
        MLPRegressor(
            hidden_layer_sizes=HIDDEN, early_stopping=True, n_iter_no_change=20, max_iter=500, random_state=seed
        ).fit(rig.normal, rig.normal)
        for seed in SEEDS
    ]
    aurocs = [rig.auroc(reconstruction_error(net, rig.test)) for net in autoencoders]
    # The peers get the best one, by the very readings that it is measured on.
    best = int(np.argmax([of_readings for of_readings, _ in aurocs]))
    autoencoder = autoencoders[best]
    envelope = EllipticEnvelope(random_state=0).fit(rig.normal)
    mixture = GaussianMixture(COMPONENTS, random_state=0).fit(rig.normal)

    layers = quantize(autoencoder.coefs_, autoencoder.intercepts_, rig.normal)
    (out / "autoencoder.tflite").write_bytes(tflite_file(layers))
    (out / "layers.rs").write_text(rust_source(layers))
    reference = {
        "autoencoder_aurocs": aurocs,
        "readings": rig.test.tolist(),
        "autoencoder": autoencoder.predict(rig.test).tolist(),
        "envelope": envelope.mahalanobis(rig.test)[:, None].tolist(),
        "mixture": mixture.score_samples(rig.test)[:, None].tolist(),
    }
    (out / "reference.json").write_text(json.dumps(reference))
    convert(autoencoder, envelope, mixture, out)

    for seed, (of_readings, of_cycles) in zip(SEEDS, aurocs):
        mark = ", taken" if seed == best else ""
        print(f"autoencoder, seed {seed}: AUROC {of_readings:.4f}, of cycles {of_cycles:.4f}{mark}")


def reconstruction_error(net: MLPRegressor, readings: np.ndarray) -> np.ndarray:
    return ((net.predict(readings) - readings) ** 2).mean(axis=1)


def convert(autoencoder: MLPRegressor, envelope: EllipticEnvelope, mixture: GaussianMixture, out: Path) -> None:
    """C headers, by emlearn's converter."""
    # Not at the top: it makes NumPy raise on every underflow, which scikit-learn does not expect.
    import emlearn

    emlearn.convert(autoencoder, return_type="regressor").save(name="autoencoder", file=str(out / "autoencoder.h"))
    emlearn.convert(envelope, method="inline").save(name="envelope", file=str(out / "envelope.h"))
    emlearn.convert(mixture).save(name="mixture", file=str(out / "mixture.h"))
    # Where its own headers are.
    (out / "include.txt").write_text(emlearn.includedir)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
