//! The search for the smallest flow that tells the rig's faults as well as the autoencoder does.

use std::fmt::Write;

use anyhow::Result;
use flowlet_trainer::train::{BaseFamily, Family};
use serde::Serialize;

use super::flow::Shape;
use super::models::Models;
use super::program::{Profile, Program, size};
use super::rig::Rig;

/// Families with nets, which get one hidden layer.
const WITH_NETS: [Family; 5] = [Family::Nice, Family::Realnvp, Family::Spline, Family::Glow, Family::Maf];
const LAYERS: [usize; 2] = [2, 4];
const HIDDEN: [usize; 3] = [4, 8, 16];

/// Fewer hidden units than features but one: a masked autoregressive net needs one for each degree.
const TOO_NARROW: (Family, usize) = (Family::Maf, 4);

/// Families without.
const WITHOUT_NETS: [(Family, &[usize]); 3] =
    [(Family::Planar, &[4, 6, 8, 10, 11, 12, 16]), (Family::Radial, &[8, 16, 32]), (Family::Sylvester, &[2, 3, 4])];

/// Fits of each shape.
const SEEDS: u64 = 5;

const BASES: [BaseFamily; 3] = [BaseFamily::Normal, BaseFamily::StudentT, BaseFamily::Mixture];

/// A shape, how well it does with several seeds, and what it takes if it does as well as the autoencoder.
#[derive(Serialize)]
pub struct Found {
    shape: Shape,
    /// Of the seeds that were fitted; one that falls short is the last.
    auroc_worst: f64,
    auroc_mean: f64,
    seeds: usize,
    model_bytes: usize,
    /// Model and code, built in each way.
    flash_bytes: Option<[i64; 2]>,
}

/// Fits all shapes and builds those that do as well as the autoencoder, the smallest ones first.
pub fn run(models: &Models, rig: &Rig) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for shape in shapes() {
        let bar = models.reference.autoencoder();
        let fits = shape.fit(models, rig, SEEDS, Some(bar))?;
        let flash = |profile| -> Result<i64> {
            let empty = models.build(Program::Empty, profile, &fits.source)?;
            Ok(size(&models.build(Program::Flow, profile, &fits.source)?, &empty)?.0)
        };
        let [fast, small] = Profile::ALL;
        found.push(Found {
            shape,
            auroc_worst: fits.worst(),
            auroc_mean: fits.mean(),
            seeds: fits.aurocs.len(),
            model_bytes: fits.model_bytes,
            flash_bytes: if fits.worst() >= bar { Some([flash(fast)?, flash(small)?]) } else { None },
        });
    }
    found.sort_by_key(|found| (found.flash_bytes.map_or(i64::MAX, |[_, small]| small), found.model_bytes));
    Ok(found)
}

/// What is tried.
fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for base in BASES {
        for family in WITH_NETS {
            for layers in LAYERS {
                let wide_enough = HIDDEN.into_iter().filter(|&hidden| (family, hidden) != TOO_NARROW);
                shapes.extend(wide_enough.map(|hidden| Shape { family, layers, hidden, base }));
            }
        }
        for (family, layers) in WITHOUT_NETS {
            shapes.extend(layers.iter().map(|&layers| Shape { family, layers, hidden: 0, base }));
        }
    }
    shapes
}

/// The table with what it means.
pub fn page(found: &[Found], bar: f64) -> String {
    let mut text = format!(
        "# Small flows on the rig

```
cargo xtask peers --search
```

Flows fitted to the rig's normal readings by `flowlet fit tests/data/hydraulic/train_normal.csv --label anomaly --group cycle` and
the options of the row, int8, with {SEEDS} seeds each, or until one fell short. AUROC is that of single test readings; the
autoencoder's is {bar:.4} (see [peers.md](peers.md)). A flow whose worst seed reaches it was built for a Cortex-M4F: flash is the
model and the code for standardization, log-density, p-value and alarm, by opt-level 3 and opt-level s, and the smallest is first.
Those at the end fell short. Five seeds are few for so many shapes: peers.md has the first two with more.

| options | seeds | AUROC, worst | mean | model | flash, 3 | flash, s |
|---|---:|---:|---:|---:|---:|---:|
"
    );
    for one in found {
        let [fast, small] =
            one.flash_bytes.map_or([String::new(), String::new()], |bytes| bytes.map(|it| it.to_string()));
        let _ = writeln!(
            text,
            "| `{}` | {} | {:.4} | {:.4} | {} | {fast} | {small} |",
            one.shape.arguments().join(" "),
            one.seeds,
            one.auroc_worst,
            one.auroc_mean,
            one.model_bytes
        );
    }
    text
}
