//! A recorded stream, as a device that monitors it says it: the core's arithmetic on shapes at run time.

use flowlet::ReadingError;
use flowlet::monitor::{Drift, Monitor, Status, Suspect, attribute};

use crate::model::{Model, Scorer};
use crate::signal::Stream;

/// What a device says of a recorded stream, sample by sample.
#[derive(Debug)]
pub struct Replay<'a> {
    scorer: Scorer<'a>,
    stream: Option<Stream>,
    monitor: Monitor<Vec<f32>, Vec<u32>>,
    channels: usize,
}

/// What a sample has led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The reading that it completes: what was computed of its window, or the sample itself.
    pub reading: Vec<f32>,
    /// What that changes.
    pub status: Status,
}

impl<'a> Replay<'a> {
    /// A replay before its first sample; `None` if the model has no monitor.
    #[must_use]
    pub fn new(model: &'a Model) -> Option<Self> {
        let monitor = model.architecture().monitor?;
        let stream = monitor.signal.recipe().map(Stream::new);
        let zeros = vec![0.0; monitor.features];
        let drift = Drift::new(zeros.clone(), zeros.clone());
        Some(Self {
            scorer: model.scorer(),
            channels: monitor.signal.recipe().map_or(monitor.features, |recipe| recipe.channels),
            stream,
            monitor: Monitor::with(zeros, vec![0; monitor.features], drift),
        })
    }

    /// Values of a sample.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Takes a sample; where it completes a reading, what the device says then.
    ///
    /// # Panics
    /// If the sample has not as many values as [`Self::channels`] says.
    pub fn push(&mut self, sample: &[f32], context: &[f32]) -> Option<Step> {
        assert_eq!(sample.len(), self.channels, "a sample has a value for each channel");
        let reading = match &mut self.stream {
            Some(stream) => stream.push(sample)?,
            None => sample.to_vec(),
        };
        self.judge(reading, context)
    }

    /// What the device says of a reading, however it came about; `None` if the model has no monitor.
    pub fn judge(&mut self, reading: Vec<f32>, context: &[f32]) -> Option<Step> {
        let (scorer, settings) = (&self.scorer, self.scorer.monitor()?);
        let mut corrected = reading.clone();
        let log_prob = |reading: &[f32]| scorer.log_prob(reading, context);
        let status = self.monitor.step(settings, scorer.calibration(), &mut corrected, log_prob);
        Some(Step { reading, status })
    }

    /// The sensors that explain the last reading best, the best one first.
    ///
    /// # Errors
    /// [`ReadingError`] if that reading has no density.
    pub fn attribute<const K: usize>(&self, context: &[f32]) -> Result<[Suspect; K], ReadingError> {
        let Some(settings) = self.scorer.monitor() else { return Err(ReadingError::Singular) };
        let mut reading = self.monitor.corrected(settings);
        attribute(settings, &mut reading, |reading| self.scorer.log_prob(reading, context))
    }

    /// The monitor: what it has tracked, and what it says now.
    #[must_use]
    pub fn monitor(&self) -> &Monitor<Vec<f32>, Vec<u32>> {
        &self.monitor
    }

    /// How much of the bound of drift is used up, and by which feature.
    #[must_use]
    pub fn drift(&self) -> Option<(usize, f32)> {
        self.monitor.drift().used(self.scorer.monitor()?)
    }
}
