//! The alarm: what the last reading said, and when that changes.

use serde::{Deserialize, Serialize};

/// What the last reading said.
///
/// A reading without a verdict is a state of its own: it neither raises an alarm nor ends one, and a sensor that has
/// failed never looks "normal".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Alarm {
    /// It was normal; or there was none yet.
    #[default]
    Normal,
    /// It was anomalous.
    Anomalous,
    /// It was refused: a failed sensor, for one.
    Fault,
}

impl Alarm {
    /// Takes what a reading said, and returns whether that is a change: a change is worth a log line, the state in
    /// between is not.
    pub fn update(&mut self, now: Self) -> bool {
        core::mem::replace(self, now) != now
    }
}

#[cfg(test)]
mod tests {
    use super::Alarm::{self, Anomalous, Fault, Normal};

    #[test]
    fn every_change_is_an_edge_and_nothing_else_is() {
        for before in [Normal, Anomalous, Fault] {
            for now in [Normal, Anomalous, Fault] {
                let mut alarm = before;
                assert_eq!(alarm.update(now), before != now, "{before:?} to {now:?}");
                assert_eq!(alarm, now);
            }
        }
        assert_eq!(Alarm::default(), Normal);
    }
}
