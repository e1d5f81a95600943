//! What a model will cost a device, known before it is fitted.
//!
//! Bytes of the model and of RAM follow from its type. Code and instructions are predicted: the work of a score is counted
//! (`work.rs`), and every kind of work has a coefficient for each core, fitted to counts of an emulator. `coefficients.json`
//! is written by `cargo xtask bench costs --write`.

pub mod work;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::ValueEnum;
use flowlet::model_file::Architecture;
use serde::{Deserialize, Serialize};

use work::Work;

/// A processor core whose costs are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Armv6-M, without an FPU or a division
    CortexM0,
    /// Armv7-M, without an FPU
    CortexM3,
    /// Armv7E-M, with DSP instructions and a single-precision FPU
    CortexM4,
    /// The same instructions as a Cortex-M4, counted alike
    CortexM7,
    /// Armv8-M, with a single-precision FPU
    CortexM33,
    /// RISC-V, without an FPU
    Riscv32imc,
}

/// What a model costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Bytes of flash for the model: those of its type, `Model::FLASH`.
    pub model_bytes: u64,
    /// Bytes of RAM, all of it stack: the type's upper bound, `Model::RAM`.
    pub ram_bytes: u64,
    /// What depends on the core; `None` without one.
    #[serde(flatten)]
    pub on_target: Option<OnTarget>,
}

/// What a model costs a core, predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OnTarget {
    /// Bytes of flash for the code of a score and of the model's verification, built for speed.
    pub code_bytes: u64,
    /// Instructions of a score, p-value included.
    pub instructions: u64,
}

/// How far off predictions for a Cortex-M4F and a Cortex-M0 may be, as a share of what is counted, on shapes that no coefficient
/// was fitted to: `cargo xtask bench costs --check`.
pub const TOLERANCE: f64 = 0.1;

impl Cost {
    /// What it may turn out to be: the predictions, and [`TOLERANCE`] above them.
    #[must_use]
    pub fn at_most(self) -> Self {
        let raised = |predicted: u64| (predicted as f64 * (1.0 + TOLERANCE)).ceil() as u64;
        let raise = |OnTarget { code_bytes, instructions }| OnTarget {
            code_bytes: raised(code_bytes),
            instructions: raised(instructions),
        };
        Self { on_target: self.on_target.map(raise), ..self }
    }

    /// Bytes of flash for model and code; for the model alone where no core is known.
    pub fn flash_bytes(&self) -> u64 {
        self.model_bytes + self.on_target.map_or(0, |on_target| on_target.code_bytes)
    }
}

/// A model does what has not been measured on the core.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what {kind} costs a device has not been measured, so no model with it can be held to a budget of flash or instructions (leave \
     out the option that asks for it, or give --ram alone)"
)]
pub struct UnknownCost {
    /// The kind of work.
    pub kind: String,
}

/// What kinds of work cost a core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficients {
    /// Instructions of [`work::of_score`].
    pub instructions: Work,
    /// Bytes of [`work::of_code`].
    pub code_bytes: Work,
}

/// Those of all cores that were measured; a Cortex-M7 runs a Cortex-M4's instructions.
static MEASURED: LazyLock<BTreeMap<Target, Coefficients>> =
    LazyLock::new(|| serde_json::from_str(include_str!("coefficients.json")).expect("written by this type"));

/// What a model of this type costs.
///
/// # Errors
/// [`UnknownCost`] for a type that does what was not measured on the target.
///
/// # Panics
/// If the committed coefficients cannot be read, which a test finds.
pub fn estimate(architecture: &Architecture, target: Option<Target>) -> Result<Cost, UnknownCost> {
    let on_target = match target {
        None => None,
        Some(target) => {
            if !work::is_floating(architecture) {
                return Err(UnknownCost { kind: architecture.arithmetic.to_owned() });
            }
            let measured = if target == Target::CortexM7 { Target::CortexM4 } else { target };
            let Coefficients { instructions, code_bytes } =
                MEASURED.get(&measured).ok_or_else(|| UnknownCost { kind: format!("{target:?}") })?;
            Some(OnTarget {
                code_bytes: total(&work::of_code(architecture), code_bytes)?.round() as u64,
                instructions: total(&work::of_score(architecture), instructions)?.round() as u64,
            })
        }
    };
    Ok(Cost { model_bytes: architecture.size() as u64, ram_bytes: architecture.ram() as u64, on_target })
}

/// The work at its price.
fn total(work: &Work, prices: &Work) -> Result<f64, UnknownCost> {
    work.iter()
        .map(|(kind, times)| {
            let price = prices.get(kind).ok_or_else(|| UnknownCost { kind: kind.clone() })?;
            Ok(times * price)
        })
        .sum()
}
