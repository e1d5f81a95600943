//! The model that watches a stream in this firmware, and its monitor.
//!
//! It is the file that `flowlet monitor` writes beside the model file: the committed `model/stream.rs`, or the one that the
//! environment variable `FLOWLET_MONITORED` names when the firmware is built.

use flowlet::monitor::{Status, Suspect};
use rand_pcg::Pcg32;

use crate::Watch;
use crate::message::SUSPECTS;

include!(env!("FLOWLET_MONITORED_SOURCE"));

/// Readings that the self-test draws.
const DRAWN: u32 = 32;

/// The linked model with the state of its stream: to be kept in static memory.
#[derive(Debug)]
pub struct Linked {
    signal: Signal,
    monitor: Monitor,
}

impl Linked {
    /// Before the first sample.
    #[must_use]
    pub const fn new() -> Self {
        Self { signal: Signal::new(), monitor: Monitor::new() }
    }
}

impl Default for Linked {
    fn default() -> Self {
        Self::new()
    }
}

impl Watch<CHANNELS> for Linked {
    fn watch(&mut self, sample: &[f32; CHANNELS]) -> Option<Status> {
        MODEL.watch(&mut self.signal, &mut self.monitor, sample, &[])
    }

    fn attribute(&self) -> Option<[Suspect; SUSPECTS]> {
        MODEL.attribute(&self.monitor, &[]).ok()
    }

    fn name(&self, feature: usize) -> &'static str {
        FEATURES.get(feature).copied().unwrap_or("")
    }

    fn is_fit(&self) -> bool {
        // The same readings each time: a test that is passed once is passed until something breaks.
        let mut rng = Pcg32::new(1, 1);
        MODEL.self_test(CHECKSUM).is_ok() && MODEL.self_test_by_samples(&mut rng, DRAWN, &[]).is_ok()
    }
}
