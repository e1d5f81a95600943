//! The alarm: what changes from one verdict to the next.

/// The alarm's state, driven by the verdict on each reading.
///
/// It is raised by the first anomalous reading and cleared by the first normal one: each edge is worth a log line, the
/// state in between is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    active: bool,
}

/// A change of the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Edge {
    /// This reading is anomalous and the one before was not.
    Raised,
    /// This reading is normal and the one before was not.
    Cleared,
}

impl Alarm {
    /// Takes the verdict on one reading and tells what changed, if anything did.
    pub fn update(&mut self, anomalous: bool) -> Option<Edge> {
        let before = core::mem::replace(&mut self.active, anomalous);
        match (before, anomalous) {
            (false, true) => Some(Edge::Raised),
            (true, false) => Some(Edge::Cleared),
            _ => None,
        }
    }

    /// Whether the last reading was anomalous.
    pub fn active(&self) -> bool {
        self.active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_edges() {
        let mut alarm = Alarm::default();
        let edges = [false, true, true, false, false, true].map(|verdict| alarm.update(verdict));
        assert_eq!(edges, [None, Some(Edge::Raised), None, Some(Edge::Cleared), None, Some(Edge::Raised)]);
        assert!(alarm.active());
    }
}
