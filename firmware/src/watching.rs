//! The application that watches a stream: samples in, states out.

use flowlet::monitor::{State, Status, Suspect};

use crate::frame::{self, MAX_RESPONSE};
use crate::logging::{info, warning};
use crate::message::{Named, Refusal, Request, Response, SUSPECTS, Statistics, Values};
use crate::{Alarm, Inbox, Malformed, Receiver};

/// What watches a stream of samples of `M` values: [`monitored::Linked`](crate::monitored::Linked), or another.
pub trait Watch<const M: usize> {
    /// Takes a sample; where it completes a reading, what that means.
    fn watch(&mut self, sample: &[f32; M]) -> Option<Status>;
    /// The sensors that explain the last reading best.
    fn attribute(&self) -> Option<[Suspect; SUSPECTS]>;
    /// The name of a feature, for logs.
    fn name(&self, feature: usize) -> &'static str;
    /// Whether the model is as it was, and computes what it did: asked at the start, and whenever the host asks.
    fn is_fit(&self) -> bool;
}

/// Watches the samples of a byte stream.
///
/// `N` is the longest request in bytes: [`frame::max_request`] of `M`.
#[derive(Debug)]
pub struct Watching<W, const M: usize, const N: usize> {
    watch: W,
    receiver: Receiver<N>,
    statistics: Statistics,
    fit: bool,
    late: u32,
}

impl<W: Watch<M>, const M: usize, const N: usize> Watching<W, M, N> {
    /// An application that has seen no sample yet. Tests the model: an unfit one refuses every sample.
    pub fn new(watch: W) -> Self {
        const { assert!(N >= frame::max_request(M), "N is too small: take frame::max_request(M)") };
        let mut application =
            Self { watch, receiver: Receiver::new(), statistics: Statistics::default(), fit: true, late: 0 };
        application.test();
        application
    }

    /// Tests the model. Once unfit it counts as that until the device starts anew.
    pub fn test(&mut self) -> bool {
        if self.fit && !self.watch.is_fit() {
            self.fit = false;
            warning!("the model in flash is unfit: every sample will be refused");
        }
        self.fit
    }

    /// Answers what arrives in the inbox until the host says [`Request::Stop`]; as [`Application::serve`](crate::Application::serve).
    pub fn serve<const Q: usize>(&mut self, inbox: &Inbox<Q>, sleep: impl Fn(), mut send: impl FnMut(&[u8])) {
        loop {
            let byte = inbox.wait(&sleep);
            let lost = inbox.lost();
            if self.statistics.lost_bytes != lost {
                warning!("{} received bytes lost: samples come faster than they are taken", lost);
                self.statistics.lost_bytes = lost;
            }
            let response = match self.push(byte) {
                Some(Some(response)) => response,
                Some(None) => return,
                None => continue,
            };
            // The deadline of a sample is the end of the next one, which has at least the bytes of its values.
            if inbox.waiting() >= 4 * M {
                self.late = self.late.wrapping_add(1);
            }
            match frame::encode::<_, MAX_RESPONSE>(&response) {
                Ok(frame) => send(&frame),
                Err(_too_long) => {
                    warning!("an answer is dropped: {}", _too_long);
                }
            }
        }
    }

    /// Samples whose answer was not ready when the next one had arrived. A host that sends samples as it pleases, and not as they are
    /// sampled, makes this count meaningless.
    pub fn late(&self) -> u32 {
        self.late
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Takes one received byte; at the end of a frame the answer to it, which is nothing when the host ends the program.
    pub fn push(&mut self, byte: u8) -> Option<Option<Response>> {
        let request = match self.receiver.push(byte)? {
            Ok(frame) => frame::decode::<Request<Values<M>>>(frame),
            Err(malformed) => Err(malformed),
        };
        Some(Some(match request {
            Ok(Request::Reading { sequence, values }) => self.take(sequence, &values),
            Ok(Request::Statistics) => Response::Statistics(self.statistics),
            Ok(Request::Stop) => return Some(None),
            Ok(Request::Verify) => Response::Verified { sound: self.test() },
            Err(malformed) => self.reject(malformed),
        }))
    }

    fn take(&mut self, sequence: u32, values: &Values<M>) -> Response {
        if !self.fit {
            return self.refuse(sequence, Refusal::Damaged);
        }
        let status = match values.get() {
            Ok(sample) => self.watch.watch(sample),
            Err(error) => return self.refuse(sequence, error.into()),
        };
        match status {
            None => Response::Taken { sequence },
            Some(status) => self.report(sequence, &status),
        }
    }

    fn report(&mut self, sequence: u32, status: &Status) -> Response {
        let score = match &status.outcome {
            Ok(said) => {
                self.statistics.readings = self.statistics.readings.wrapping_add(1);
                Some((said.log_prob, said.p_value))
            }
            Err(_fault) => {
                self.statistics.refused = self.statistics.refused.wrapping_add(1);
                None
            }
        };
        self.statistics.last = match status.state {
            State::Normal | State::Suspect => Alarm::Normal,
            State::Alarm => Alarm::Anomalous,
            State::SensorFault => Alarm::Fault,
        };
        let entered = status.changed && status.state == State::Alarm;
        let suspects = if entered { self.watch.attribute() } else { None };
        if entered {
            self.statistics.alarms = self.statistics.alarms.wrapping_add(1);
            for _suspect in suspects.iter().flatten().filter(|suspect| suspect.ratio > 0.0) {
                warning!(
                    "sample {}: alarm, {} is {} what the others suggest, {} nats",
                    sequence,
                    self.watch.name(_suspect.feature),
                    if _suspect.above { "above" } else { "below" },
                    _suspect.ratio
                );
            }
        } else if status.changed {
            info!("sample {}: {}", sequence, status.state);
        }
        Response::Watched {
            sequence,
            state: status.state.into(),
            score,
            count: status.count,
            cusum: status.cusum,
            martingale: status.martingale,
            suspects: suspects.map(|suspects| suspects.map(Named::from)),
        }
    }

    fn refuse(&mut self, sequence: u32, reason: Refusal) -> Response {
        self.statistics.refused = self.statistics.refused.wrapping_add(1);
        Response::Refused { sequence, reason }
    }

    fn reject(&mut self, kind: Malformed) -> Response {
        self.statistics.malformed.count(kind);
        warning!("malformed frame: {}", kind);
        Response::Malformed(kind)
    }
}
