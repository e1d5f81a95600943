//! The monitor: from the scores of a stream to states and alarms that mean something, day after day.
//!
//! A reading goes on from the detector, and the files carry the names of its stations in that order:
//!
//! ```text
//! reading -> sensors (stuck, out of range) -> drift (corrected) -> detector: score, p-value
//!         -> debounce (k of n) and evidence (CUSUM, martingale) -> state -> attribution: which sensors
//! ```
//!
//! What a model needs for it, its [`Settings`], lies in the model file behind the calibration, and is checked and fingerprinted as the rest.
//! What changes from reading to reading is a [`Monitor`]: a few bytes for each feature, in static memory. All mathematics is on
//! slices ([`SettingsView`], [`Monitor::step`]), so a host that replays a recorded stream gives the device's states to the bit.

use crate::calibration::CalibrationView;
use crate::detector::Assessment;
use crate::flow::ReadingError;

mod attribution;
mod debounce;
mod drift;
mod evidence;
mod sensors;
mod settings;
mod watch;

pub use attribution::{NODES, Suspect, attribute, marginal_log_prob};
pub use debounce::MOST_READINGS;
pub use drift::Drift;
pub use evidence::{EXPONENTS, Evidence};
pub use settings::{MonitorRecord, Settings, SettingsView, fields, parameters, record};
pub use watch::Unfit;

/// What the stream says, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// Nothing speaks against it; or there was no reading yet.
    #[default]
    Normal,
    /// Some evidence of an anomaly, not enough for an alarm.
    Suspect,
    /// An anomaly.
    Alarm,
    /// A sensor is broken: the reading has no score, and whether the machine is normal is not known.
    SensorFault,
}

/// Why a reading has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// It has no density.
    Reading(ReadingError),
    /// A feature is where its sensor cannot be.
    OutOfRange {
        /// Its index.
        feature: usize,
    },
    /// A feature has had the same value for longer than its sensor ever does.
    Stuck {
        /// Its index.
        feature: usize,
    },
}

/// What a reading has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// What the stream says now.
    pub state: State,
    /// It said something else before: entering [`State::Alarm`] is what a false-alarm budget counts.
    pub changed: bool,
    /// What the detector says of the reading, its p-value reaching below 1/(n + 1) by the tail; or why it has no score.
    pub outcome: Result<Assessment, Fault>,
    /// Readings among the last n whose score is above the threshold.
    pub count: u32,
    /// The CUSUM.
    pub cusum: f32,
    /// Logarithm of the martingale, nats.
    pub martingale: f32,
}

/// What changes from reading to reading. `F` holds an f32 for each feature, `U` a u32: arrays on a device, vectors on a host.
#[derive(Clone, Debug)]
pub struct Monitor<F, U> {
    state: State,
    evidence: Evidence,
    /// Whether each of the last readings was above the threshold, the newest in bit 0.
    history: u32,
    /// Readings since one was above the threshold.
    quiet: u32,
    /// Readings in a row without a score.
    faults: u32,
    last: F,
    runs: U,
    drift: Drift<F>,
}

impl<const D: usize> Monitor<[f32; D], [u32; D]> {
    /// A monitor of `D` features that has seen nothing yet: 16 bytes for each feature, and 44.
    #[must_use]
    pub const fn new() -> Self {
        Self::with([0.0; D], [0; D], Drift::new([0.0; D], [0.0; D]))
    }
}

impl<const D: usize> Default for Monitor<[f32; D], [u32; D]> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F, U> Monitor<F, U> {
    /// A monitor that has seen nothing yet, in this storage: zeros, one for each feature.
    #[must_use]
    pub const fn with(last: F, runs: U, drift: Drift<F>) -> Self {
        Self { state: State::Normal, evidence: Evidence::NONE, history: 0, quiet: 0, faults: 0, last, runs, drift }
    }

    /// What the stream says.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What was tracked of slow drift: to report, and to save before a restart.
    #[must_use]
    pub fn drift(&self) -> &Drift<F> {
        &self.drift
    }

    /// Goes on from a drift that was saved.
    pub fn restore(&mut self, drift: Drift<F>) {
        self.drift = drift;
    }

    /// Forgets the evidence, as after an inspection that found nothing. What was tracked of drift stays.
    pub fn acknowledge(&mut self) {
        self.state = State::Normal;
        self.evidence = Evidence::NONE;
        (self.history, self.quiet, self.faults) = (0, 0, 0);
    }
}

impl<F: AsMut<[f32]> + AsRef<[f32]> + Clone, U> Monitor<F, U> {
    /// The last reading as it was scored, unless the state is normal: then it was scored before drift followed it.
    #[inline]
    #[must_use]
    pub fn corrected(&self, settings: &SettingsView<'_>) -> F {
        let mut reading = self.last.clone();
        self.drift.correct(settings, reading.as_mut());
        reading
    }
}

impl<F: AsMut<[f32]> + AsRef<[f32]>, U: AsMut<[u32]>> Monitor<F, U> {
    /// Takes a reading, which is corrected for drift in place, and what `log_prob` says of it then.
    ///
    /// A reading without a score changes no evidence: it is no argument for an anomaly, nor against one.
    #[inline]
    pub fn step(
        &mut self,
        settings: &SettingsView<'_>,
        calibration: &CalibrationView<'_>,
        reading: &mut [f32],
        log_prob: impl FnOnce(&[f32]) -> Result<f32, ReadingError>,
    ) -> Status {
        let checked = sensors::check(settings, self.last.as_mut(), self.runs.as_mut(), reading);
        let outcome = checked.and_then(|()| {
            self.drift.correct(settings, reading);
            log_prob(reading).map_err(Fault::Reading)
        });
        let outcome = outcome.map(|log_prob| {
            let p_value = settings.p_value(calibration, -log_prob);
            Assessment { log_prob, p_value, alarm: calibration.alarm(-log_prob) }
        });
        let state = match &outcome {
            Ok(assessment) => self.decide(settings, assessment),
            Err(_) => {
                self.faults = self.faults.saturating_add(1);
                if self.faults >= settings.faults { State::SensorFault } else { self.state }
            }
        };
        if outcome.is_ok() && state == State::Normal {
            self.drift.track(settings, reading);
        }
        let changed = core::mem::replace(&mut self.state, state) != state;
        Status {
            state,
            changed,
            outcome,
            count: debounce::count(self.history, settings.of),
            cusum: self.evidence.cusum,
            martingale: self.evidence.martingale(),
        }
    }

    /// The state after a reading with a score.
    fn decide(&mut self, settings: &SettingsView<'_>, assessment: &Assessment) -> State {
        self.faults = 0;
        let above = assessment.score() > settings.threshold;
        self.history = debounce::shift(self.history, above);
        self.quiet = if above { 0 } else { self.quiet.saturating_add(1) };
        self.evidence.update(settings, assessment.p_value);
        let count = debounce::count(self.history, settings.of);
        let (cusum, limit) = (self.evidence.cusum, settings.cusum_limit);
        if count >= settings.needed || cusum >= limit {
            return State::Alarm;
        }
        // Half of the limit, so that an alarm does not come and go with each reading.
        let half = 0.5 * limit;
        if self.state == State::Alarm && (self.quiet < settings.release || cusum > half) {
            return State::Alarm;
        }
        if count > 0 || cusum > half { State::Suspect } else { State::Normal }
    }
}

#[cfg(test)]
mod tests;
