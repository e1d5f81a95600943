//! The best model that a device has room for: families and sizes, searched under a budget.
//!
//! ```text
//! args.rs       the budget on the command line, with its units (quantity.rs)
//! budget.rs     what a device has to give
//! candidates.rs families and sizes whose predicted cost is within it
//! halving.rs    short fits of many, longer ones of those that are left
//! report.rs     what was found: the front of nats against cost
//! plot.rs       the same as a picture
//! ```

mod args;
mod budget;
mod candidates;
mod halving;
mod plot;
mod quantity;
mod report;
#[cfg(test)]
mod tests;

pub use args::BudgetArgs;
pub use budget::{Budget, SearchError};
pub use candidates::{Candidate, Chosen, candidates};
pub use halving::{Trial, Watch, search};
pub use plot::svg;
pub use report::{Entry, Report, name};
