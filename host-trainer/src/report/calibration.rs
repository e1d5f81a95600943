//! What `flowlet calibrate` reports.

use std::fmt::{self, Display};

use flowlet::Assessment;
use serde::Serialize;

use super::{nats, percent, score, thousands};
use crate::metrics::{alarm_rate, mean, median};
use crate::model::Model;

/// What the readings that calibrate say of a calibration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// Scores above it raise an alarm.
    pub threshold: f32,
    /// The share of normal readings that may.
    pub false_alarm_rate: f32,
    /// The share of the readings that do.
    pub realized_rate: Option<f64>,
}

/// How a calibration changed. Rates are of the readings that the new one was made from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationReport {
    /// The model's file.
    pub model: String,
    /// The readings' file.
    pub readings: String,
    /// Readings that calibrated.
    pub rows: usize,
    /// Rows left out for missing cells.
    pub incomplete_rows: usize,
    /// The calibration that the model had; `None` if it had none.
    pub before: Option<Alarm>,
    /// The calibration that it has now.
    pub after: Alarm,
    /// Mean log-density of the readings that the model was calibrated on before, in nats, in their own units.
    pub log_prob_before: Option<f64>,
    /// Of these readings.
    pub mean_log_prob: Option<f64>,
    /// The median of the same.
    pub median_log_prob: Option<f64>,
}

impl Alarm {
    fn new(model: &Model, said: &[Assessment]) -> Option<Self> {
        let scorer = model.scorer();
        let calibration = scorer.calibration();
        let alarms: Vec<bool> = said.iter().map(|said| calibration.alarm(said.score())).collect();
        (calibration.rows > 0).then(|| Self {
            threshold: calibration.threshold,
            false_alarm_rate: calibration.false_alarm_rate,
            realized_rate: alarm_rate(&alarms, &vec![false; alarms.len()], false),
        })
    }
}

impl CalibrationReport {
    /// The report of a model that was calibrated anew by readings of which it `said` so; the names are those of files.
    ///
    /// # Panics
    /// If `after` has no calibration.
    pub fn new(names: [String; 2], [before, after]: [&Model; 2], said: &[Assessment], incomplete_rows: usize) -> Self {
        let [model, readings] = names;
        let log_probs: Vec<f32> = said.iter().map(|said| said.log_prob).collect();
        let was = Alarm::new(before, said);
        Self {
            model,
            readings,
            rows: said.len(),
            incomplete_rows,
            log_prob_before: was.as_ref().map(|_| before.metadata().training.calibration_log_prob.into()),
            before: was,
            after: Alarm::new(after, said).expect("a calibration"),
            mean_log_prob: mean(&log_probs),
            median_log_prob: median(&log_probs),
        }
    }

    /// Whether the readings are so unlike those that the model was fitted to that it should be fitted anew: most of them
    /// raise the alarm that it had.
    pub fn is_strange(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.realized_rate > Some(0.5))
    }
}

impl Display for CalibrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: calibrated by {} readings of {}", self.model, thousands(self.rows as u64), self.readings)?;
        match self.incomplete_rows {
            0 => writeln!(f)?,
            rows => writeln!(f, ", {} left out for missing cells", thousands(rows as u64))?,
        }
        let share = |alarm: &Alarm| (percent(alarm.realized_rate), percent(Some(alarm.false_alarm_rate.into())));
        match &self.before {
            None => writeln!(f, "{:<14}none: the model had no calibration", "alarm before")?,
            Some(before) => {
                let (realized, meant) = share(before);
                let threshold = score(before.threshold);
                writeln!(
                    f,
                    "{:<14}score above {threshold}: {realized} of these readings, meant for {meant}",
                    "alarm before"
                )?;
            }
        }
        let (realized, meant) = share(&self.after);
        let threshold = score(self.after.threshold);
        writeln!(f, "{:<14}score above {threshold}: {realized} of these readings, meant for {meant}", "alarm now")?;
        if let Some(before) = &self.before {
            writeln!(f, "{:<14}moved by {:+.4} nats", "threshold", self.after.threshold - before.threshold)?;
        }
        write!(f, "{:<14}{} nats (median {})", "log-density", nats(self.mean_log_prob), nats(self.median_log_prob))?;
        match self.log_prob_before {
            Some(before) => writeln!(f, ", mean of these readings; {} of those before", nats(Some(before)))?,
            None => writeln!(f, ", mean of these readings")?,
        }
        if self.is_strange() {
            writeln!(
                f,
                "{:<14}warning: most of these readings raise the alarm that the model had: it hardly knows them, and a fit to readings of this device will tell more",
                ""
            )?;
        }
        Ok(())
    }
}
