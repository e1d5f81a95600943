//! The peers' figures as a page.

use std::fmt::Write;

use super::flow::{Fits, SEEDS};
use super::models::Reference;
use super::program::{Figure, Profile, Program};

/// The table with what it means.
pub fn page(figures: &[Figure], reference: &Reference, flows: &[Fits]) -> String {
    let [low, high] = reference.autoencoder_range();
    let autoencoders = reference.autoencoder_seeds();
    let mut text = format!(
        "# Peers on the rig, and the smallest flow that reaches their autoencoder

```
cargo xtask peers
```

Every detector is a program of its own for a Cortex-M4F (`tests/peers/firmware`), and all 7,320 test readings of the rig go through
it in an emulator (rsemu 0.0.7), over its UART. Instructions are those of one evaluation, counted exactly: their mean over the
readings, and the most. Flash is what the program takes beyond one without a detector: code, constants and weights. Static RAM is
what its variables take beyond those, stack how far below its caller's an evaluation's stack pointer gets. AUROC is by the device's
own answers: of single readings, a second each, and of the mean scores of load cycles, a minute each.

The autoencoder has layers of 8-32-8-32-8 with ReLU between them: scikit-learn's `MLPRegressor` on the rig's normal readings in
standardized columns, with early stopping. Of {autoencoders} seeds (AUROC {:.4} to {:.4}, of cycles {:.4} to {:.4}) the peers got the
one that does best on the test readings. Its score is the mean squared error of the reconstruction. Standardization, that error
and a threshold are not counted: an evaluation is the net alone. int8 has a scale for each tensor. The elliptic envelope and the
Gaussian mixture of eight parts are scikit-learn's too, converted by emlearn. The difference is the median over the readings of the
largest difference from what scikit-learn gives in double precision: of a reconstruction in standard deviations, of a score
relative to it.

An evaluation of a flow is all that firmware needs: standardization, log-density, p-value and alarm. The answers have the host's
bits. `cargo xtask peers --search` ([smallest.md](smallest.md)) found the flows, which are fitted with these options of `flowlet fit`,
{SEEDS} seeds each; the figures are of seed 0. `below` counts the seeds whose AUROC is below the autoencoder's best one.

| flow | model, bytes of flash | AUROC, lowest | mean | highest | below |
|---|---:|---:|---:|---:|---:|
",
        low.readings, high.readings, low.cycles, high.cycles,
    );
    for flow in flows {
        let _ = writeln!(
            text,
            "| `{}` | {} | {:.4} | {:.4} | {:.4} | {} |",
            flow.shape.arguments().join(" "),
            flow.model_bytes,
            flow.worst(),
            flow.mean(),
            flow.best(),
            flow.below(reference.autoencoder()),
        );
    }
    for profile in Profile::ALL {
        let _ = write!(
            text,
            "
| opt-level {} | numbers | AUROC | of cycles | difference | flash | static RAM | stack | instructions | most |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
",
            profile.opt_level()
        );
        for figure in figures.iter().filter(|figure| figure.profile == profile) {
            let (what, numbers) = name(figure);
            let _ = writeln!(
                text,
                "| {what} | {numbers} | {:.4} | {:.4} | {:.1e} | {} | {} | {} | {:.0} | {} |",
                figure.auroc.readings,
                figure.auroc.cycles,
                figure.difference,
                figure.flash_bytes,
                figure.static_bytes,
                figure.stack_bytes,
                figure.instructions,
                figure.instructions_max,
            );
        }
    }
    text + CONSTANTS
}

/// What it is, and in which numbers it computes.
fn name(figure: &Figure) -> (String, &'static str) {
    let (what, numbers) = match figure.program {
        Program::Empty => ("nothing", ""),
        Program::Microflow => ("autoencoder, microflow 0.1.3", "int8"),
        Program::EmbeddedNn => ("autoencoder, embedded-nn 0.2.3", "int8"),
        Program::EmlearnAutoencoder => ("autoencoder, emlearn 0.23.2", "f32"),
        Program::EmlearnEnvelope => ("elliptic envelope, emlearn 0.23.2", "f32"),
        Program::EmlearnMixture => ("Gaussian mixture, emlearn 0.23.2", "f32"),
        // Nets are int8; a flow without nets has nothing to quantize.
        Program::Flow => ("flow", if figure.shape.is_some_and(|shape| shape.hidden > 0) { "int8" } else { "f32" }),
    };
    (figure.shape.map_or(what.to_owned(), |shape| format!("**{what}, {shape}**")), numbers)
}

/// Measured once: it takes TensorFlow's sources to build.
const CONSTANTS: &str = "
Constants, not run by this command: the same layers, measured once in the same way on the same kind of core, with the counts by QEMU 7.2
(`-icount`); TensorFlow Lite Micro has no releases, and which commit it was is not on record.

| | numbers | flash | static RAM | stack | instructions |
|---|---|---:|---:|---:|---:|
| autoencoder, TensorFlow Lite Micro with CMSIS-NN | int8 | 40696 | 1212 | 772 | 7778 |
";
