//! From a model and a recording of normal operation to a monitor: limits that keep to a budget of false alarms.
//!
//! Alarms are counted, not readings: entries into the alarm state, after debouncing. Readings of a machine are correlated in time, so
//! scores above a limit come in clusters, and the rate of alarms is not that of readings. What is extrapolated is therefore what
//! raises the alarm, taken along the recording: the k-th highest of the last n scores, and the CUSUM. The maxima of their clusters
//! have a generalized Pareto tail ([`crate::tail`]), by which each limit gets half of the budget.

mod budget;
mod replay;
mod settings;

pub use budget::{Budget, Rate, budget, rate};
pub use replay::{Replay, Step};
pub use settings::{Limit, MonitorError, MonitorOptions, Recording, Report, TAIL, monitored};
