//! What a device has to give.

use serde::Serialize;

use super::Candidate;
use crate::cost::{Cost, Target, UnknownCost};
use crate::report::thousands;

/// Upper limits; `None` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Bytes of flash, for the model and the code of a score.
    pub flash: Option<u64>,
    /// Bytes of RAM: the stack of a score.
    pub ram: Option<u64>,
    /// Instructions of a score.
    pub instructions: Option<u64>,
    /// The core that flash and instructions are of.
    pub target: Option<Target>,
}

/// One of the quantities of a budget.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// Its name.
    pub name: &'static str,
    /// The most of it that may be spent.
    pub limit: u64,
    /// What a model spends.
    pub spent: fn(&Cost) -> u64,
}

impl Budget {
    /// The quantities that are limited.
    pub fn quantities(&self) -> impl Iterator<Item = Quantity> {
        let flash = self.flash.map(|limit| Quantity { name: "bytes of flash", limit, spent: Cost::flash_bytes });
        let ram = self.ram.map(|limit| Quantity { name: "bytes of RAM", limit, spent: |cost| cost.ram_bytes });
        let spent = |cost: &Cost| cost.on_target.map_or(0, |on_target| on_target.instructions);
        let instructions = self.instructions.map(|limit| Quantity { name: "instructions", limit, spent });
        [flash, ram, instructions].into_iter().flatten()
    }

    /// Whether a cost is within every limit, though it turn out as high as it may.
    pub fn allows(&self, cost: &Cost) -> bool {
        self.share(cost) <= 1.0
    }

    /// The share of its limit that the scarcest quantity takes at most; above 1 for what does not fit.
    pub fn share(&self, cost: &Cost) -> f64 {
        let most = cost.at_most();
        self.quantities().map(|quantity| (quantity.spent)(&most) as f64 / quantity.limit as f64).fold(0.0, f64::max)
    }
}

/// Why there is nothing to choose from.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// What was chosen beside the budget has no known cost.
    #[error(transparent)]
    Unknown(#[from] UnknownCost),
    /// No candidate is within the budget.
    #[error("no model fits: {}", needs(budget, smallest))]
    TooSmall {
        /// The budget.
        budget: Budget,
        /// What comes closest.
        smallest: Box<Candidate>,
    },
    /// There is no candidate of the family at all.
    #[error(
        "--family: under a budget it is one of nice, realnvp, spline, maf, maf-spline, planar and sylvester, and its layers \
         have to fit the table (with --context only those with nets do, and masked nets need --hidden of 4 (features - 1) \
         or more)"
    )]
    NoShape,
}

/// What the smallest candidate takes of what there is too little of.
fn needs(budget: &Budget, smallest: &Candidate) -> String {
    let most = smallest.cost.at_most();
    let short: Vec<String> = budget
        .quantities()
        .filter(|quantity| (quantity.spent)(&most) > quantity.limit)
        .map(|Quantity { name, limit, spent }| format!("{} {name} of {}", thousands(spent(&most)), thousands(limit)))
        .collect();
    format!("the one that comes closest, {smallest}, needs up to {}", short.join(" and "))
}
