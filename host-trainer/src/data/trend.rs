/// Whether a column only grows or only falls from reading to reading, as a clock or a counter does.
///
/// In double precision, as a time in seconds since 1970 hardly moves in 32 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    last: Option<f64>,
    grows: bool,
    falls: bool,
    /// How often it changed.
    changes: usize,
}

impl Default for Trend {
    fn default() -> Self {
        Self { last: None, grows: true, falls: true, changes: 0 }
    }
}

impl Trend {
    /// Whether the next values can still change what is known: most columns show at once that they are no counters.
    pub(super) fn is_open(&self) -> bool {
        self.grows || self.falls
    }

    /// Goes on to the next value.
    pub(super) fn push(&mut self, value: f64) {
        if let Some(last) = self.last.replace(value) {
            self.grows &= last <= value;
            self.falls &= last >= value;
            self.changes += usize::from(last != value);
        }
    }

    /// Whether it grows or falls, `true` for growing, if it does nothing else; it may stand still now and then.
    pub(super) fn grows(&self) -> Option<bool> {
        const FEWEST_CHANGES: usize = 9;
        (self.changes >= FEWEST_CHANGES && self.is_open()).then_some(self.grows)
    }
}
