//! The arguments of a fit under a budget.

use anyhow::{Result, bail};
use clap::Args;

use super::Budget;
use super::quantity::{bytes, count};
use crate::cost::Target;

/// What a device has to give: any of these makes `flowlet fit` choose family and sizes.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Budget: family, layers, hidden units and bins are searched where they are not given")]
pub struct BudgetArgs {
    /// Flash for the model and the code of a score, such as 16KiB
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "target")]
    pub flash: Option<u64>,
    /// RAM of a score, all of it stack, such as 1KiB
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub ram: Option<u64>,
    /// Instructions of a score, such as 100k
    #[arg(long, value_name = "N", value_parser = count, requires = "target")]
    pub instructions: Option<u64>,
    /// The core that flash and instructions are counted for
    #[arg(long, value_enum, value_name = "CORE")]
    pub target: Option<Target>,
}

impl BudgetArgs {
    /// What was given; `None` if nothing was.
    ///
    /// # Errors
    /// If there is a target and nothing to hold it to.
    pub fn budget(&self) -> Result<Option<Budget>> {
        let Self { flash, ram, instructions, target } = *self;
        match (flash.or(ram).or(instructions), target) {
            (Some(_), _) => Ok(Some(Budget { flash, ram, instructions, target })),
            (None, None) => Ok(None),
            (None, Some(_)) => bail!("--target: there is no budget for it (give --flash, --ram or --instructions)"),
        }
    }
}
