//! Slow drift of a feature's mean and scale, tracked on the device and taken out of its readings, under a bound.
//!
//! With the training's mean μ and deviation σ, and what is tracked now, m and s: x becomes μ + (x - m) · σ/s. Both follow the readings
//! exponentially, at the settings' rate, while the state is normal and never during an alarm or a suspicion. m stays within
//! `bound` deviations of μ, and s within a factor of 1 + `bound` of σ: what lies beyond is not drift, and shows as an anomaly.

use super::SettingsView;
use crate::elementary::{Elementary, Libm};

/// What is tracked of each feature: how far its mean has moved, in deviations of the training, and what its variance has
/// grown by, less 1. Zeros at the start. Savable: plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Drift<F> {
    /// (m - μ) / σ of each feature.
    pub shift: F,
    /// s²/σ² - 1 of each feature.
    pub growth: F,
}

impl<F> Drift<F> {
    /// Drift in this storage.
    #[must_use]
    pub const fn new(shift: F, growth: F) -> Self {
        Self { shift, growth }
    }
}

impl<F: AsMut<[f32]> + AsRef<[f32]>> Drift<F> {
    /// Takes the drift out of a reading.
    #[inline]
    pub fn correct(&self, settings: &SettingsView<'_>, reading: &mut [f32]) {
        if settings.drift_rate == 0.0 {
            return;
        }
        let tracked = self.shift.as_ref().iter().zip(self.growth.as_ref());
        for ((value, (mean, deviation)), (shift, growth)) in
            reading.iter_mut().zip(settings.mean.iter().zip(settings.deviation)).zip(tracked)
        {
            let moved = *value - (*mean + *shift * *deviation);
            *value = *mean + moved / <Libm as Elementary<f32>>::sqrt(1.0 + *growth);
        }
    }

    /// Follows a corrected reading.
    #[inline]
    pub fn track(&mut self, settings: &SettingsView<'_>, reading: &[f32]) {
        let (rate, bound) = (settings.drift_rate, settings.drift_bound);
        if rate == 0.0 {
            return;
        }
        let tracked = self.shift.as_mut().iter_mut().zip(self.growth.as_mut());
        for ((value, (mean, deviation)), (shift, growth)) in
            reading.iter().zip(settings.mean.iter().zip(settings.deviation)).zip(tracked)
        {
            // In deviations of now.
            let z = (*value - *mean) / *deviation;
            let scale = <Libm as Elementary<f32>>::sqrt(1.0 + *growth);
            *shift = within(*shift + rate * (z * scale), -bound, bound);
            // The square of 1 + bound, and the inverse of it, less 1.
            let widest = (1.0 + bound) * (1.0 + bound) - 1.0;
            let grown = *growth + rate * ((z * z - 1.0) * (1.0 + *growth));
            *growth = within(grown, -widest / (1.0 + widest), widest);
        }
    }

    /// The largest share of the bound that a feature's mean or scale has used up, and the feature: at 1, tracking has come to its end, and the
    /// model should be fitted anew. `None` when nothing is tracked.
    #[must_use]
    pub fn used(&self, settings: &SettingsView<'_>) -> Option<(usize, f32)> {
        let bound = settings.drift_bound;
        if settings.drift_rate == 0.0 || bound <= 0.0 {
            return None;
        }
        let share = |(shift, growth): (&f32, &f32)| {
            let scale = <Libm as Elementary<f32>>::sqrt(1.0 + *growth);
            let wider = if scale > 1.0 { scale } else { 1.0 / scale } - 1.0;
            let moved = if *shift < 0.0 { -*shift } else { *shift };
            if moved > wider { moved / bound } else { wider / bound }
        };
        let shares = self.shift.as_ref().iter().zip(self.growth.as_ref()).map(share).enumerate();
        shares.fold(None, |most, (feature, share)| match most {
            Some((_, before)) if before >= share => most,
            _ => Some((feature, share)),
        })
    }
}

#[inline]
fn within(value: f32, low: f32, high: f32) -> f32 {
    if value > high {
        high
    } else if value >= low {
        value
    } else {
        low
    }
}
